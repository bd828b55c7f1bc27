//! Media files for tests: real ones, and small ones built here.

use crate::media::{MediaProbe, ProbedMedia};

/// Looks into a file that lies in memory.
pub(crate) fn probe(file: &[u8]) -> ProbedMedia {
    probe_in_pieces(file, usize::MAX)
}

/// The same from a source that brings at most `most` bytes at once.
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

/// A real file of the simulator's.
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

pub(crate) fn trak(kind: &str, version: u8, timescale: u32, length: u64) -> Vec<u8> {
    let mdhd = mp4_box(
        "mdhd",
        &[timing(version, timescale, length), vec![0; 4]].concat(),
    );
    let hdlr = mp4_box("hdlr", &[&[0; 8], kind.as_bytes(), &[0; 13]].concat());
    let mdia = mp4_box("mdia", &[mdhd, hdlr, mp4_box("minf", &[0; 200])].concat());
    mp4_box("trak", &[mp4_box("tkhd", &[0; 84]), mdia].concat())
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
