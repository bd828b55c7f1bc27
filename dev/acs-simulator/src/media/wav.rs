//! A WAV file that is computed, not stored.

use std::f64::consts::TAU;
use std::sync::OnceLock;

use bytes::{BufMut as _, Bytes, BytesMut};

const SAMPLE_RATE: u32 = 16_000;
const HEADER_BYTES: u64 = 44;
const BYTES_PER_SAMPLE: u16 = 2;
/// A second of sine at 1 Hz, to be read at any step.
const TABLE: usize = SAMPLE_RATE as usize;

/// 16 kHz, 16 bit PCM; each channel sounds its own tone, which rises a little every second.
#[derive(Debug, Clone, Copy)]
pub struct Wav {
    channels: u16,
    frames: u64,
    number: u64,
}

impl Wav {
    pub fn new(channels: u16, duration_ms: u64, number: u64) -> Self {
        Self {
            channels: channels.max(1),
            frames: duration_ms * u64::from(SAMPLE_RATE) / 1000,
            number,
        }
    }

    fn frame_bytes(self) -> u16 {
        self.channels * BYTES_PER_SAMPLE
    }

    pub fn len(self) -> u64 {
        HEADER_BYTES + self.frames * u64::from(self.frame_bytes())
    }

    pub fn duration_ms(self) -> u64 {
        self.frames * 1000 / u64::from(SAMPLE_RATE)
    }

    pub fn read(self, offset: u64, end: u64) -> Bytes {
        let mut bytes = BytesMut::new();
        let header = self.header();
        let mut at = offset;
        while at < end.min(HEADER_BYTES) {
            bytes.put_u8(header[usize::try_from(at).unwrap_or_default()]);
            at += 1;
        }
        while at < end {
            let sample = (at - HEADER_BYTES) / u64::from(BYTES_PER_SAMPLE);
            let low_high = self.sample(sample).to_le_bytes();
            let second_half = (at - HEADER_BYTES) % u64::from(BYTES_PER_SAMPLE) == 1;
            bytes.put_u8(if second_half {
                low_high[1]
            } else {
                low_high[0]
            });
            at += 1;
        }
        bytes.freeze()
    }

    fn sample(self, number: u64) -> i16 {
        static SINE: OnceLock<Vec<i16>> = OnceLock::new();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a sine of 8000 fits 16 bit"
        )]
        let sine = SINE.get_or_init(|| {
            (0..TABLE)
                .map(|step| ((step as f64 / TABLE as f64 * TAU).sin() * 8000.0) as i16)
                .collect()
        });
        let (frame, channel) = (
            number / u64::from(self.channels),
            number % u64::from(self.channels),
        );
        let second = frame / u64::from(SAMPLE_RATE);
        let hertz = 220 * (channel + 1) + (second + 10 * self.number) % 100;
        sine[usize::try_from(frame * hertz % TABLE as u64).unwrap_or_default()]
    }

    /// The canonical 44 bytes (<http://soundfile.sapp.org/doc/WaveFormat/>).
    fn header(self) -> Bytes {
        let data_bytes = u32::try_from(self.len() - HEADER_BYTES).unwrap_or(u32::MAX);
        let mut header = BytesMut::with_capacity(44);
        header.put_slice(b"RIFF");
        header.put_u32_le(data_bytes.saturating_add(36));
        header.put_slice(b"WAVEfmt ");
        header.put_u32_le(16);
        header.put_u16_le(1);
        header.put_u16_le(self.channels);
        header.put_u32_le(SAMPLE_RATE);
        header.put_u32_le(SAMPLE_RATE * u32::from(self.frame_bytes()));
        header.put_u16_le(self.frame_bytes());
        header.put_u16_le(8 * BYTES_PER_SAMPLE);
        header.put_slice(b"data");
        header.put_u32_le(data_bytes);
        header.freeze()
    }
}
