//! The media of a chunk: real files, any range of which costs nothing to make and nothing to keep.

mod filler;
mod wav;

use std::sync::Arc;

use bytes::Bytes;

const MP3_SAMPLE: &[u8] = include_bytes!("../samples/sample.mp3");
/// 48 kbps at 16 kHz (MPEG-2 layer III): 576 audio samples a frame.
const MP3_FRAME_BYTES: u64 = 216;
const MP3_FRAME_MS: u64 = 36;
const MP4_SAMPLE: &[u8] = include_bytes!("../samples/sample.mp4");
const MP4_SAMPLE_MS: u64 = 2000;
/// Size and type of an MP4 box.
const MP4_BOX_HEADER: u64 = 8;

/// One media file.
#[derive(Debug, Clone)]
pub enum Media {
    Wav(wav::Wav),
    /// The sample's frames, over and over.
    Mp3 {
        frames: u64,
    },
    /// The sample, and a `free` box that makes it `size_bytes` long. It always plays for 2 s.
    Mp4 {
        size_bytes: u64,
    },
    /// Bytes a test brought along.
    Given(Arc<[u8]>),
}

impl Media {
    /// Tones at 16 kHz, 16 bit: 256 kbps for each channel, the service's own rate. `number` makes chunks differ.
    pub fn wav(channels: u16, duration_ms: u64, number: usize) -> Self {
        Self::Wav(wav::Wav::new(channels, duration_ms, number as u64))
    }

    pub fn mp3(duration_ms: u64) -> Self {
        Self::Mp3 { frames: duration_ms.div_ceil(MP3_FRAME_MS).max(1) }
    }

    /// At least `size_bytes` long.
    pub fn mp4(size_bytes: u64) -> Self {
        Self::Mp4 { size_bytes: size_bytes.max(MP4_SAMPLE.len() as u64 + MP4_BOX_HEADER).min(u64::from(u32::MAX)) }
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Wav(wav) => wav.len(),
            Self::Mp3 { frames } => frames * MP3_FRAME_BYTES,
            Self::Mp4 { size_bytes } => *size_bytes,
            Self::Given(bytes) => bytes.len() as u64,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long it plays.
    pub fn duration_ms(&self) -> u64 {
        match self {
            Self::Wav(wav) => wav.duration_ms(),
            Self::Mp3 { frames } => frames * MP3_FRAME_MS,
            Self::Mp4 { .. } => MP4_SAMPLE_MS,
            Self::Given(_) => 0,
        }
    }

    /// The bytes from `offset` on, at most `limit` of them.
    pub fn read(&self, offset: u64, limit: usize) -> Bytes {
        let end = self.len().min(offset.saturating_add(limit as u64));
        match self {
            Self::Wav(wav) => wav.read(offset, end),
            Self::Mp3 { .. } => repeated(MP3_SAMPLE, offset, end),
            Self::Mp4 { size_bytes } => mp4(*size_bytes, offset, end),
            Self::Given(bytes) => Bytes::copy_from_slice(&bytes[index(offset).min(bytes.len())..index(end)]),
        }
    }
}

fn repeated(sample: &[u8], offset: u64, end: u64) -> Bytes {
    let length = sample.len() as u64;
    (offset..end).map(|at| sample[index(at % length)]).collect()
}

/// The sample, the header of a `free` box, and what fills that.
fn mp4(size_bytes: u64, offset: u64, end: u64) -> Bytes {
    if offset >= MP4_SAMPLE.len() as u64 + MP4_BOX_HEADER {
        return filler::read(offset, end);
    }
    let mut head = MP4_SAMPLE.to_vec();
    let free_box = u32::try_from(size_bytes - MP4_SAMPLE.len() as u64).unwrap_or(u32::MAX);
    head.extend_from_slice(&free_box.to_be_bytes());
    head.extend_from_slice(b"free");
    let from_head = index(offset).min(head.len())..index(end).min(head.len());
    let mut bytes = head[from_head].to_vec();
    bytes.extend_from_slice(&filler::read(head.len() as u64, end));
    bytes.into()
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a media offset fits the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(media: &Media) -> Bytes {
        media.read(0, index(media.len()))
    }

    #[test]
    fn any_cut_into_ranges_gives_the_same_file() {
        for media in [Media::wav(2, 777, 3), Media::mp3(5000), Media::mp4(100_003)] {
            let pieces: Vec<u8> =
                (0..media.len().div_ceil(997)).flat_map(|piece| media.read(piece * 997, 997).to_vec()).collect();
            assert_eq!(pieces, whole(&media));
        }
    }

    #[test]
    fn a_wav_has_the_services_data_rate() {
        let media = Media::wav(1, 60_000, 0);
        assert_eq!(media.len(), 44 + 1_920_000);
        assert_eq!(&whole(&media)[..4], b"RIFF");
    }

    #[test]
    fn an_mp4_is_filled_up_with_a_free_box() {
        let media = Media::mp4(50_000);
        let bytes = whole(&media);
        assert_eq!(bytes.len(), 50_000);
        assert_eq!(&bytes[MP4_SAMPLE.len() + 4..MP4_SAMPLE.len() + 8], b"free");
    }

    #[test]
    fn a_range_beyond_the_end_is_empty() {
        assert!(Media::mp3(100).read(1 << 40, 10).is_empty());
    }
}
