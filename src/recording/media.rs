//! What a recording holds: content, channels and file format, as ACS names them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that names none of the known kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {expected}")]
pub struct UnknownKind {
    given: String,
    expected: &'static str,
}

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $(#[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// The spelling of ACS's REST API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownKind;
            /// Takes any casing: REST says `mp4`, events say `Mp4`.
            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                $(if text.eq_ignore_ascii_case($text) { return Ok(Self::$variant); })+
                Err(UnknownKind { given: text.to_owned(), expected: concat!($("`", $text, "` "),+).trim_end() })
            }
        }
    };
}

kind!(
    /// `recordingContentType`.
    ContentKind { Audio = "audio", AudioVideo = "audioVideo" }
);
kind!(
    /// `recordingChannelType`.
    ChannelKind { Mixed = "mixed", Unmixed = "unmixed" }
);
kind!(
    /// `recordingFormatType`.
    FormatKind { Wav = "wav", Mp3 = "mp3", Mp4 = "mp4" }
);

/// Content and format together, which decide a file's name and media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaKind {
    pub content: ContentKind,
    pub format: FormatKind,
}

impl MediaKind {
    /// ACS's default if nothing was asked for: audio and video, mixed, mp4.
    pub const DEFAULT: Self = Self {
        content: ContentKind::AudioVideo,
        format: FormatKind::Mp4,
    };

    /// Completes a kind of which only one half is known; every format but mp4 is audio only.
    pub fn from_parts(content: Option<ContentKind>, format: Option<FormatKind>) -> Option<Self> {
        let (content, format) = match (content, format) {
            (Some(content), Some(format)) => (content, format),
            (None, Some(FormatKind::Mp4)) => (ContentKind::AudioVideo, FormatKind::Mp4),
            (None, Some(format)) => (ContentKind::Audio, format),
            (Some(ContentKind::AudioVideo), None) => (ContentKind::AudioVideo, FormatKind::Mp4),
            // Audio is wav or mp3: the format must come from elsewhere.
            (Some(ContentKind::Audio), None) | (None, None) => return None,
        };
        Some(Self { content, format })
    }

    /// The `Content-Type` of the file.
    pub fn media_type(self) -> &'static str {
        match (self.format, self.content) {
            (FormatKind::Wav, _) => "audio/wav",
            (FormatKind::Mp3, _) => "audio/mpeg",
            (FormatKind::Mp4, ContentKind::AudioVideo) => "video/mp4",
            (FormatKind::Mp4, ContentKind::Audio) => "audio/mp4",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_rest_and_events_are_both_read() {
        assert_eq!("audioVideo".parse(), Ok(ContentKind::AudioVideo));
        assert_eq!("AudioVideo".parse(), Ok(ContentKind::AudioVideo));
        assert_eq!("Mp3".parse(), Ok(FormatKind::Mp3));
    }

    #[test]
    fn an_unknown_kind_names_what_would_be_right() {
        let error = "ogg".parse::<FormatKind>().unwrap_err();
        assert_eq!(error.to_string(), "`ogg` is not one of `wav` `mp3` `mp4`");
    }

    #[test]
    fn audio_alone_does_not_decide_the_format() {
        assert_eq!(MediaKind::from_parts(Some(ContentKind::Audio), None), None);
        assert_eq!(
            MediaKind::from_parts(None, Some(FormatKind::Mp4)),
            Some(MediaKind::DEFAULT)
        );
    }
}
