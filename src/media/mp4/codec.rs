//! Reads codec and channels from a sample description. It knows no samples.

use super::boxes::{BoxHeader, Boxes};
use crate::media::found::TrackKind;
use crate::media::seen::Stop;

/// Version, flags and the number of descriptions, before the first of them.
const FIRST_ENTRY_AT: u64 = 8;
/// Offsets of version and channels in a sound description.
const VERSION_AT: u64 = 8;
const CHANNELS_AT: u64 = 16;
/// Offset of the channels in version 2.
const CHANNELS_2_AT: u64 = 40;
/// Bytes of a sound description of version 0 before its boxes.
const SOUND_BYTES: u64 = 28;

/// The first description of a track.
pub(super) struct Description {
    pub(super) codec: Option<String>,
    pub(super) channels: Option<u16>,
}

impl Description {
    pub(super) fn read(
        boxes: &mut Boxes<'_>,
        stsd: &BoxHeader,
        kind: TrackKind,
    ) -> Result<Self, Stop> {
        let entries = boxes.children_from(stsd.body.saturating_add(FIRST_ENTRY_AT), stsd.end)?;
        let Some(entry) = entries.first() else {
            return Ok(Self {
                codec: None,
                channels: None,
            });
        };
        let channels = match kind {
            TrackKind::Sound => channels(boxes, entry)?,
            TrackKind::Picture | TrackKind::Other => None,
        };
        Ok(Self {
            codec: Some(codec(entry.kind)),
            channels,
        })
    }
}

fn codec(kind: [u8; 4]) -> String {
    match &kind {
        b"avc1" | b"avc3" => "h264".to_owned(),
        b"hvc1" | b"hev1" => "h265".to_owned(),
        b"av01" => "av1".to_owned(),
        b"vp08" => "vp8".to_owned(),
        b"vp09" => "vp9".to_owned(),
        b"mp4a" => "aac".to_owned(),
        b"Opus" => "opus".to_owned(),
        kind => kind.escape_ascii().to_string(),
    }
}

fn channels(boxes: &mut Boxes<'_>, entry: &BoxHeader) -> Result<Option<u16>, Stop> {
    let channels = match boxes.u16(entry, VERSION_AT)? {
        2 => u16::try_from(boxes.u32(entry, CHANNELS_2_AT)?).unwrap_or(u16::MAX),
        _ => boxes.u16(entry, CHANNELS_AT)?,
    };
    let by_config = if &entry.kind == b"mp4a" {
        aac_channels(boxes, entry)?
    } else {
        None
    };
    Ok(by_config
        .or(Some(channels))
        .filter(|channels| *channels > 0))
}

/// AAC has its channels in its own configuration; the field of the container is always 2.
fn aac_channels(boxes: &mut Boxes<'_>, entry: &BoxHeader) -> Result<Option<u16>, Stop> {
    let children = boxes.children_from(entry.body.saturating_add(SOUND_BYTES), entry.end)?;
    let Some(esds) = children.into_iter().find(|child| &child.kind == b"esds") else {
        return Ok(None);
    };
    let length = (esds.end - esds.body.min(esds.end)).min(256);
    let bytes = match boxes.seen.some(esds.body, length) {
        Ok(bytes) => &bytes[..bytes.len().min(usize::try_from(length).unwrap_or_default())],
        Err(Stop::PastEnd) => return Ok(None),
        Err(stop @ (Stop::Want(_) | Stop::TooMany)) => return Err(stop),
    };
    Ok(channels_of_config(bytes))
}

/// The channel configuration of an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1), where it is of the plain kind.
fn channels_of_config(esds: &[u8]) -> Option<u16> {
    // Version and flags; the ES descriptor (3) with three bytes; the decoder's (4) with 13; the configuration (5).
    let (es, _) = descriptor(esds.get(4..)?, 3)?;
    let (decoder, _) = descriptor(es.get(3..)?, 4)?;
    let is_aac = decoder.first() == Some(&0x40);
    let (config, _) = descriptor(decoder.get(13..)?, 5)?;
    let (first, second) = (*config.first()?, *config.get(1)?);
    let (object_type, rate) = (first >> 3, (first & 7) << 1 | second >> 7);
    let is_plain = is_aac && object_type != 31 && rate != 15;
    match second >> 3 & 15 {
        channels @ 1..=6 if is_plain => Some(u16::from(channels)),
        7 if is_plain => Some(8),
        _ => None,
    }
}

/// The body of a descriptor with this tag, and what follows it.
fn descriptor(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    if *bytes.first()? != tag {
        return None;
    }
    let (mut length, mut at) = (0_usize, 1);
    loop {
        let byte = *bytes.get(at)?;
        length = length << 7 | usize::from(byte & 0x7f);
        at += 1;
        if byte & 0x80 == 0 || at > 4 {
            break;
        }
    }
    let end = at.checked_add(length)?.min(bytes.len());
    Some((bytes.get(at..end)?, bytes.get(end..)?))
}
