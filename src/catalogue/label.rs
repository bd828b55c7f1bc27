//! How people recognize a recording: by its start, its call, its participants and its size. Ids of 170 characters alone
//! tell people nothing. Pure.

use std::fmt;

use jiff::Timestamp;

use crate::visible;

/// Characters of an id that are shown before and after the omitted part.
const ID_BEGINS: usize = 12;
const ID_ENDS: usize = 6;
/// Participants that are named; further ones are counted.
const PEOPLE_NAMED: usize = 3;

/// What people recognise a recording by.
#[derive(Debug, Clone, Copy)]
pub struct RecordingLabel<'a> {
    pub started_at: Option<Timestamp>,
    pub call_id: Option<&'a str>,
    pub participants: &'a [String],
    pub size_bytes: Option<u64>,
}

impl fmt::Display for RecordingLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.started_at {
            Some(at) => write!(f, "{}", at.strftime("%Y-%m-%d %H:%M:%SZ"))?,
            None => f.write_str("start not known")?,
        }
        match self.call_id {
            Some(id) => write!(f, ", call {}", short(id))?,
            None => f.write_str(", call not known")?,
        }
        if !self.participants.is_empty() {
            let named = self.participants.iter().take(PEOPLE_NAMED);
            let named: Vec<String> = named.map(|id| short(id)).collect();
            write!(f, ", {}", named.join(" "))?;
            match self.participants.len().saturating_sub(PEOPLE_NAMED) {
                0 => {}
                more => write!(f, " and {more} more")?,
            }
        }
        match self.size_bytes {
            Some(bytes) => write!(f, ", {}", size(bytes)),
            None => Ok(()),
        }
    }
}

/// An id, shortened to its beginning and its end. Metadata may give a participant any text as id.
pub fn short(id: &str) -> String {
    let id = visible::one_line(id);
    let count = id.chars().count();
    if count <= ID_BEGINS + ID_ENDS + 1 {
        return id.into_owned();
    }
    let begin: String = id.chars().take(ID_BEGINS).collect();
    let end: String = id.chars().skip(count - ID_ENDS).collect();
    format!("{begin}…{end}")
}

/// `1.2 MB`
#[expect(clippy::cast_precision_loss, reason = "three digits are shown of it")]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_shown_by_its_beginning_and_its_end() {
        assert_eq!(short("abc"), "abc");
        let long = format!("aHR0cHM6Ly9h{}tail99", "x".repeat(150));
        assert_eq!(short(&long), "aHR0cHM6Ly9h…tail99");
    }

    #[test]
    fn an_id_begins_no_line() {
        assert_eq!(short("8:a\r\nfine"), r"8:a\r\nfine");
    }

    #[rstest::rstest]
    #[case(999, "999 B")]
    #[case(1_152_044, "1.2 MB")]
    #[case(5_000_000_000, "5.0 GB")]
    fn a_size_has_a_unit(#[case] bytes: u64, #[case] expected: &str) {
        assert_eq!(size(bytes), expected);
    }

    #[test]
    fn a_label_says_what_is_known_and_what_is_not() {
        let participants: Vec<String> = ["8:acs:a", "4:+1", "b", "c"].map(str::to_owned).to_vec();
        let label = RecordingLabel {
            started_at: "2026-03-02T10:00:00Z".parse().ok(),
            call_id: Some("call-1"),
            participants: &participants,
            size_bytes: Some(2000),
        };
        assert_eq!(
            label.to_string(),
            "2026-03-02 10:00:00Z, call call-1, 8:acs:a 4:+1 b and 1 more, 2.0 kB"
        );
        let nothing = RecordingLabel {
            started_at: None,
            call_id: None,
            participants: &[],
            size_bytes: None,
        };
        assert_eq!(nothing.to_string(), "start not known, call not known");
    }
}
