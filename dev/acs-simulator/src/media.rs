//! The media of a chunk: real files whose ranges are computed on demand, at almost no cost in time and memory.

mod filler;
mod mp4;
mod wav;

use std::sync::Arc;

use bytes::Bytes;

const MP3_SAMPLE: &[u8] = include_bytes!("../samples/sample.mp3");
/// 48 kbps at 16 kHz (MPEG-2 layer III): 576 audio samples a frame.
const MP3_FRAME_BYTES: u64 = 216;
const MP3_FRAME_MS: u64 = 36;

/// One media file.
#[derive(Debug, Clone)]
pub enum Media {
    Wav(wav::Wav),
    /// The sample's frames, over and over.
    Mp3 {
        frames: u64,
    },
    Mp4(mp4::Mp4),
    /// Bytes that a test provides.
    Given(Arc<[u8]>),
}

impl Media {
    /// Tones at 16 kHz, 16 bit: 256 kbps for each channel, the service's own rate. `number` makes chunks differ.
    pub fn wav(channels: u16, duration_ms: u64, number: usize) -> Self {
        Self::Wav(wav::Wav::new(channels, duration_ms, number as u64))
    }

    pub fn mp3(duration_ms: u64) -> Self {
        Self::Mp3 {
            frames: duration_ms.div_ceil(MP3_FRAME_MS).max(1),
        }
    }

    /// At least `size_bytes` long; says that it plays for `duration_ms`.
    pub fn mp4(size_bytes: u64, duration_ms: u64) -> Self {
        Self::Mp4(mp4::Mp4::new(size_bytes, duration_ms))
    }

    /// An mp4 of `size_bytes` that plays as long as the service's would.
    pub fn mp4_of_size(size_bytes: u64) -> Self {
        Self::mp4(size_bytes, mp4::usual_duration_ms(size_bytes))
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Wav(wav) => wav.len(),
            Self::Mp3 { frames } => frames * MP3_FRAME_BYTES,
            Self::Mp4(mp4) => mp4.len(),
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
            Self::Mp4(mp4) => mp4.duration_ms(),
            Self::Given(_) => 0,
        }
    }

    /// The bytes from `offset` on, at most `limit` of them.
    pub fn read(&self, offset: u64, limit: usize) -> Bytes {
        let end = self.len().min(offset.saturating_add(limit as u64));
        match self {
            Self::Wav(wav) => wav.read(offset, end),
            Self::Mp3 { .. } => repeated(MP3_SAMPLE, offset, end),
            Self::Mp4(mp4) => mp4.read(offset, end),
            Self::Given(bytes) => {
                Bytes::copy_from_slice(&bytes[index(offset).min(bytes.len())..index(end)])
            }
        }
    }
}

fn repeated(sample: &[u8], offset: u64, end: u64) -> Bytes {
    let length = sample.len() as u64;
    (offset..end).map(|at| sample[index(at % length)]).collect()
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
        for media in [
            Media::wav(2, 777, 3),
            Media::mp3(5000),
            Media::mp4(100_003, 90_500),
        ] {
            let pieces: Vec<u8> = (0..media.len().div_ceil(997))
                .flat_map(|piece| media.read(piece * 997, 997).to_vec())
                .collect();
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
    fn a_range_beyond_the_end_is_empty() {
        assert!(Media::mp3(100).read(1 << 40, 10).is_empty());
    }
}
