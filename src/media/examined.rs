//! The result of a media examination as stored in a receipt: the verdict and the findings. It draws no conclusions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::media::found::{Container, Length, ProbedMedia, Track, TrackKind};
use crate::media::notice::MediaNotice;
use crate::media::plausibility::Plausibility;
use crate::media::sound::SoundLevels;
use crate::media::zeros::ZeroRuns;

/// Whether a file is what event and metadata report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum MediaVerdict {
    Agrees,
    /// It could not be compared; that is no agreement.
    Unknown,
    Disagrees,
}

/// Result of the inspection of a chunk's media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaExamination {
    pub verdict: MediaVerdict,
    /// Why it disagrees or is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is wrong with the file itself, whatever is reported for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
    pub container: Container,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The duration is an estimate, from samples of a varying bit rate.
    #[serde(default, skip_serializing_if = "is_false")]
    pub duration_is_estimate: bool,
    /// Channels of all its sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Average bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<ExaminedTrack>,
    /// How loud a wav is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<SoundLevels>,
    /// Runs of zero bytes in an mp4 or mp3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zeros: Option<ZeroRuns>,
    /// What an operator may want to know; none of it keeps a source from being deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<MediaNotice>,
}

/// A track of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExaminedTrack {
    pub kind: TrackKind,
    /// `h264`, `aac`, `pcm`, …, or the code in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
}

impl MediaExamination {
    /// Creates the examination of a file of `total_bytes`.
    pub fn of(probed: &ProbedMedia, total_bytes: u64, plausibility: Plausibility) -> Self {
        let (verdict, reason) = match plausibility {
            Plausibility::Agrees => (MediaVerdict::Agrees, None),
            Plausibility::Unknown(why) => (MediaVerdict::Unknown, Some(why)),
            Plausibility::Disagrees(what) => (MediaVerdict::Disagrees, Some(what)),
        };
        Self {
            verdict,
            reason,
            flaw: probed.flaw_sentence(total_bytes),
            container: probed.container,
            duration_ms: probed.duration().map(milliseconds),
            duration_is_estimate: matches!(probed.length, Length::Estimated(_)),
            channels: probed.channels(),
            bit_rate: probed
                .duration()
                .and_then(|plays| bit_rate(total_bytes, plays)),
            tracks: probed.tracks.iter().map(ExaminedTrack::of).collect(),
            sound: None,
            zeros: None,
            notices: Vec::new(),
        }
    }

    /// Adds the sound levels and zero runs found while the file was transferred.
    #[must_use]
    pub fn with_sound(mut self, sound: Option<SoundLevels>, zeros: ZeroRuns) -> Self {
        self.sound = sound;
        let may_have_zeros = matches!(self.container, Container::Mp4 | Container::Mp3);
        self.zeros = (may_have_zeros && zeros.count > 0).then_some(zeros);
        self
    }

    /// Replaces an estimate of the length by what this earlier look at the same file has measured.
    pub fn refine(&self, probed: &mut ProbedMedia) {
        if let (Length::Estimated(_), Some(plays_ms)) = (probed.length, self.duration_ms)
            && !self.duration_is_estimate
            && self.container == probed.container
        {
            probed.length = Length::Exact(Duration::from_millis(plays_ms));
        }
    }

    /// Keeps what an earlier look at the same file has found and this one could not find: then, more of it passed by.
    #[must_use]
    pub fn with_findings_of(mut self, earlier: &Self) -> Self {
        if self.flaw.is_none() && earlier.flaw.is_some() {
            self.flaw.clone_from(&earlier.flaw);
            if self.verdict != MediaVerdict::Disagrees {
                self.verdict = MediaVerdict::Disagrees;
                self.reason.clone_from(&earlier.flaw);
            }
        }
        self.zeros = self.zeros.or_else(|| earlier.zeros.clone());
        let is_of_zeros = |notice: &&MediaNotice| matches!(notice, MediaNotice::ZeroBytes { .. });
        if !self.notices.iter().any(|notice| is_of_zeros(&notice)) {
            let of_zeros = earlier.notices.iter().filter(is_of_zeros);
            self.notices.extend(of_zeros);
        }
        self
    }

    /// Adds notices for an operator.
    #[must_use]
    pub fn with_notices(mut self, notices: Vec<MediaNotice>) -> Self {
        self.notices = notices;
        self
    }

    /// One sentence on the disagreement, if there is one.
    pub fn anomaly(&self) -> Option<&str> {
        match self.verdict {
            MediaVerdict::Disagrees => self.reason.as_deref(),
            MediaVerdict::Agrees | MediaVerdict::Unknown => None,
        }
    }
}

impl ExaminedTrack {
    fn of(track: &Track) -> Self {
        Self {
            kind: track.kind,
            codec: track.codec.clone(),
            duration_ms: track.duration.map(milliseconds),
            channels: track.channels,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bit_rate(total_bytes: u64, plays: Duration) -> Option<u64> {
    let rate = (u128::from(total_bytes) * 8000).checked_div(plays.as_millis())?;
    u64::try_from(rate).ok()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::super::samples::{probe, sample, wav};
    use super::*;

    #[test]
    fn an_examination_says_what_was_found() {
        let file = sample("sample.mp4");
        let found = probe(&file);
        let examination = MediaExamination::of(&found, file.len() as u64, Plausibility::Agrees);
        let json = serde_json::to_value(&examination).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"verdict": "agrees", "container": "mp4", "durationMs": 2000, "channels": 1,
                "bitRate": 53_968, "tracks": [
                    {"kind": "picture", "codec": "h264", "durationMs": 2000},
                    {"kind": "sound", "codec": "aac", "durationMs": 2064, "channels": 1}]})
        );
        assert_eq!(
            serde_json::from_value::<MediaExamination>(json).unwrap(),
            examination
        );
    }

    #[test]
    fn what_an_earlier_look_has_found_is_kept() {
        let file = wav(1, 10);
        let total = file.len() as u64;
        let look = || MediaExamination::of(&probe(&file), total, Plausibility::Agrees);
        let zeros = ZeroRuns {
            count: 1,
            bytes: 70_000,
            longest_at: 4096,
            longest_bytes: 70_000,
        };
        let notice = MediaNotice::ZeroBytes {
            at_byte: 4096,
            bytes: 70_000,
        };
        let mut earlier = look().with_notices(vec![MediaNotice::SilentRecording, notice]);
        earlier.flaw = Some("the file is broken".to_owned());
        earlier.zeros = Some(zeros.clone());
        let kept = look().with_findings_of(&earlier);
        assert_eq!(kept.anomaly(), Some("the file is broken"));
        assert_eq!((&kept.zeros, &kept.flaw), (&Some(zeros), &earlier.flaw));
        // Silence is judged by the levels, which are kept themselves.
        assert_eq!(kept.notices, [notice]);
        let disagrees = Plausibility::Disagrees("it is too short".to_owned());
        let disagrees = MediaExamination::of(&probe(&file), total, disagrees);
        let kept = disagrees.with_findings_of(&earlier);
        assert_eq!(kept.anomaly(), Some("it is too short"));
        assert_eq!(look().with_findings_of(&look()), look());
    }

    #[test]
    fn only_a_disagreement_is_an_anomaly() {
        let of = |plausibility| MediaExamination::of(&probe(&wav(1, 10)), 364, plausibility);
        assert_eq!(of(Plausibility::Unknown("why".into())).anomaly(), None);
        assert_eq!(of(Plausibility::Agrees).anomaly(), None);
        let disagrees = of(Plausibility::Disagrees("what".into()));
        assert_eq!(disagrees.anomaly(), Some("what"));
    }
}
