//! Media files for tests: real ones, and small ones built here.

use crate::media::{MediaProbe, PassingMedia, ProbedMedia};

/// Examines a file in memory.
pub(crate) fn probe(file: &[u8]) -> ProbedMedia {
    probe_in_pieces(file, usize::MAX)
}

/// Examines a file from a source that returns at most `most` bytes per read.
pub(crate) fn probe_in_pieces(file: &[u8], most: usize) -> ProbedMedia {
    run(file, most).0
}

pub(crate) fn reads(file: &[u8]) -> u32 {
    run(file, usize::MAX).1
}

fn run(file: &[u8], most: usize) -> (ProbedMedia, u32) {
    let (mut probe, mut reads) = (MediaProbe::new(file.len() as u64), 0);
    while let Some(range) = probe.next_read() {
        reads += 1;
        let bytes =
            &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        probe.feed(&bytes[..bytes.len().min(most)]);
    }
    (probe.finish(), reads)
}

/// Examines a file that passed by in blocks: nothing is read.
pub(crate) fn probe_passed(file: &[u8], block_bytes: usize) -> ProbedMedia {
    let (mut passing, total) = (PassingMedia::default(), file.len() as u64);
    for (number, block) in file.chunks(block_bytes).enumerate() {
        passing.pass(total, (number * block_bytes) as u64, &block.to_vec().into());
    }
    let probe = MediaProbe::of_passing(total, &passing);
    assert_eq!(probe.next_read(), None);
    probe.finish()
}

/// A real file of the simulator.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/dev/acs-simulator/samples/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

/// 16 kHz, 16 bit: 32,000 bytes a second for each channel.
pub(crate) fn wav(channels: u16, duration_ms: usize) -> Vec<u8> {
    let sound = vec![0; 32 * usize::from(channels) * duration_ms];
    wav_of("RIFF", &[fmt(channels), chunk("data", &sound)])
}

pub(crate) fn wav_of(riff: &str, chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(riff, &[b"WAVE".to_vec(), chunks.concat()].concat())
}

pub(crate) fn fmt(channels: u16) -> Vec<u8> {
    let bytes_per_second = 32_000 * u32::from(channels);
    let fields: [&[u8]; 6] = [
        &1_u16.to_le_bytes(),
        &channels.to_le_bytes(),
        &16_000_u32.to_le_bytes(),
        &bytes_per_second.to_le_bytes(),
        &(2 * channels).to_le_bytes(),
        &16_u16.to_le_bytes(),
    ];
    chunk("fmt ", &fields.concat())
}

pub(crate) fn chunk(id: &str, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap();
    let padding = vec![0; body.len() % 2];
    [id.as_bytes(), &size.to_le_bytes(), body, &padding].concat()
}

pub(crate) fn mp4_box(kind: &str, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes(), kind.as_bytes(), body].concat()
}

pub(crate) fn long_mp4_box(kind: &str, body: &[u8]) -> Vec<u8> {
    let size = body.len() as u64 + 16;
    [
        &1_u32.to_be_bytes(),
        kind.as_bytes(),
        &size.to_be_bytes(),
        body,
    ]
    .concat()
}

/// A file's first box.
pub(crate) const FTYP: &[u8] = b"\0\0\0\x10ftypisom\0\0\0\0";
/// Where the media of an `mdat` after that begins.
pub(crate) const MEDIA_AT: u32 = 24;

/// A file with a picture of this length: `ftyp`, `mdat`, `moov`.
pub(crate) fn plain(plays_ms: u64) -> Vec<u8> {
    let boxes = [
        mvhd(0, 1000, plays_ms),
        trak("vide", 0, 1000, plays_ms, MEDIA_AT),
    ];
    [FTYP.to_vec(), mdat(100), moov(&boxes)].concat()
}

pub(crate) fn moov(boxes: &[Vec<u8>]) -> Vec<u8> {
    mp4_box("moov", &boxes.concat())
}

pub(crate) fn mdat(size_bytes: usize) -> Vec<u8> {
    mp4_box("mdat", &vec![7; size_bytes])
}

pub(crate) fn mvhd(version: u8, timescale: u32, length: u64) -> Vec<u8> {
    mp4_box(
        "mvhd",
        &[timing(version, timescale, length), vec![0; 80]].concat(),
    )
}

/// A track with one chunk of one sample of 8 bytes.
pub(crate) fn trak(kind: &str, version: u8, timescale: u32, length: u64, chunk_at: u32) -> Vec<u8> {
    let tables = [
        stsd(),
        table("stts", &[1, 1, u32::try_from(length).unwrap_or(1)]),
        table("stsc", &[1, 1, 1, 1]),
        mp4_box("stsz", &numbers(&[0, 0, 1, 8])),
        table("stco", &[1, chunk_at]),
    ];
    track(kind, version, timescale, length, &tables)
}

/// A track whose media is in fragments.
pub(crate) fn trak_of_fragments(kind: &str) -> Vec<u8> {
    track(kind, 0, 1000, 0, &[stsd(), table("stco", &[0])])
}

fn track(kind: &str, version: u8, timescale: u32, length: u64, tables: &[Vec<u8>]) -> Vec<u8> {
    let mdhd = mp4_box(
        "mdhd",
        &[timing(version, timescale, length), vec![0; 4]].concat(),
    );
    let hdlr = mp4_box("hdlr", &[&[0; 8], kind.as_bytes(), &[0; 13]].concat());
    let minf = mp4_box("minf", &mp4_box("stbl", &tables.concat()));
    let mdia = mp4_box("mdia", &[mdhd, hdlr, minf].concat());
    let tkhd = mp4_box("tkhd", &numbers(&[0, 0, 0, 1, 0, 0]));
    mp4_box("trak", &[tkhd, mdia].concat())
}

fn stsd() -> Vec<u8> {
    let entry = mp4_box("Opus", &[&[0; 16][..], b"\0\x02", &[0; 10]].concat());
    mp4_box("stsd", &[numbers(&[0, 1]), entry].concat())
}

/// A table box with no flags.
fn table(kind: &str, entries: &[u32]) -> Vec<u8> {
    mp4_box(kind, &[numbers(&[0]), numbers(entries)].concat())
}

pub(crate) fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// A track or a fragment of the track with this id.
pub(crate) fn with_id(mut boxes: Vec<u8>, id: u8) -> Vec<u8> {
    for (kind, at) in [(b"tkhd", 19), (b"tfhd", 11)] {
        let kind_at = boxes.windows(4).position(|found| found == kind);
        if let Some(kind_at) = kind_at {
            boxes[kind_at + at] = id;
        }
    }
    boxes
}

/// `ftyp` and a `moov` that announces fragments of sound (1) and of a picture (2).
pub(crate) fn init_of_two() -> Vec<u8> {
    let trex = |id| mp4_box("trex", &numbers(&[0, id, 1, 0, 0, 0]));
    let boxes = [
        mvhd(0, 1000, 0),
        trak_of_fragments("soun"),
        with_id(trak_of_fragments("vide"), 2),
        mp4_box("mvex", &[trex(1), trex(2)].concat()),
    ];
    [FTYP.to_vec(), moov(&boxes)].concat()
}

/// Ends the first box of this kind behind its header; what it held is another box.
pub(crate) fn shorten(file: &mut [u8], kind: &str) {
    let kind_at = file
        .windows(4)
        .position(|found| found == kind.as_bytes())
        .unwrap();
    let size = u32::from_be_bytes(*file[kind_at - 4..].first_chunk().unwrap());
    file[kind_at - 4..kind_at].copy_from_slice(&8_u32.to_be_bytes());
    file[kind_at + 4..kind_at + 8].copy_from_slice(&(size - 8).to_be_bytes());
    file[kind_at + 8..kind_at + 12].copy_from_slice(b"free");
}

/// A file with one track of sound in fragments: when each begins and how long it lasts, in milliseconds.
pub(crate) fn fragmented(fragments: &[(Option<u32>, u32)]) -> Vec<u8> {
    let parts = fragments
        .iter()
        .map(|(begins, lasts)| fragment(*begins, *lasts, 8));
    [init(b""), parts.collect::<Vec<_>>().concat()].concat()
}

/// `ftyp` and a `moov` that announces fragments.
pub(crate) fn init(mehd: &[u8]) -> Vec<u8> {
    let trex = mp4_box("trex", &numbers(&[0, 1, 1, 0, 0, 0]));
    let mvex = mp4_box("mvex", &[mehd, &trex].concat());
    let boxes = [mvhd(0, 1000, 0), trak_of_fragments("soun"), mvex];
    [FTYP.to_vec(), moov(&boxes)].concat()
}

/// `moof` and `mdat` with one sample.
pub(crate) fn fragment(begins: Option<u32>, lasts: u32, size_bytes: u32) -> Vec<u8> {
    [
        moof(begins, lasts, size_bytes),
        mdat(usize::try_from(size_bytes).unwrap()),
    ]
    .concat()
}

pub(crate) fn moof(begins: Option<u32>, lasts: u32, size_bytes: u32) -> Vec<u8> {
    let tfhd = mp4_box("tfhd", &numbers(&[0x02_0000, 1]));
    let tfdt = begins.map_or(Vec::new(), |begins| mp4_box("tfdt", &numbers(&[0, begins])));
    let with_offset = |offset: u32| {
        let trun = mp4_box("trun", &numbers(&[0x0301, 1, offset, lasts, size_bytes]));
        let traf = mp4_box("traf", &[tfhd.clone(), tfdt.clone(), trun].concat());
        let mfhd = mp4_box("mfhd", &numbers(&[0, 1]));
        mp4_box("moof", &[mfhd, traf].concat())
    };
    let media_at = with_offset(0).len() + 8;
    with_offset(u32::try_from(media_at).unwrap())
}

fn timing(version: u8, timescale: u32, length: u64) -> Vec<u8> {
    let flags = [version, 0, 0, 0];
    match version {
        1 => [
            &flags[..],
            &[0; 16],
            &timescale.to_be_bytes(),
            &length.to_be_bytes(),
        ]
        .concat(),
        _ => [
            &flags[..],
            &[0; 8],
            &timescale.to_be_bytes(),
            &u32::try_from(length).unwrap().to_be_bytes(),
        ]
        .concat(),
    }
}
