//! Erases the events that are kept and name a person or an erased recording. Only this file asks what is in a kept event.
//!
//! ```text
//! events/ ⇄ poison/ ─▶ expired-poison/ ─▶ dismissed/
//! ```
//! Other processes move events meanwhile. Each writes the event at its new place before it removes it at the old one, so
//! places are searched in this order, `events/` also at the end. What was in the memory of a process while it was erased is
//! written at a place that was searched before: the mover looks into the log for it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::kept_events::EVENTS;
use super::{ChunkLedger, DISMISSED, EXPIRED_POISON, LedgerError, POISON};
use crate::recording::IncomingEvent;
use crate::recording::lenient_json::{self, Bound};
use crate::store::audit::{Actor, AuditAction, FoundDocument, SubjectKey};

/// Where events are kept, in the order in which they are moved.
const PLACES: [&str; 5] = [EVENTS, POISON, EXPIRED_POISON, DISMISSED, EVENTS];
/// Documents of the log that are read for the last record of an event. A marker is written before its document, which may
/// not exist.
const DOCUMENTS_READ: usize = 8;

/// Result of an erasure among the kept events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasedEvents {
    pub erased: usize,
    /// They also name something that is to stay, or announce a chunk that nothing else knows of.
    pub left: usize,
}

/// What an erasure does with a kept event.
enum Fate {
    /// It does not exist, or names nothing that is erased.
    Other,
    Left,
    Erased,
}

impl ChunkLedger {
    /// Removes every kept event that names one of `names`: ids of people, recordings and documents. One that names one
    /// of `spared` too stays, and so does one that may be processed yet and that alone knows of a chunk.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn erase_kept_events(
        &self,
        names: &[String],
        spared: &[String],
    ) -> Result<ErasedEvents, LedgerError> {
        let (mut erased, mut left) = (0, BTreeSet::new());
        for place in PLACES {
            for name in self.names(place).await? {
                match self.erase_kept_event(place, &name, names, spared).await? {
                    Fate::Other => {}
                    Fate::Left => drop(left.insert((place, name))),
                    Fate::Erased => erased += 1,
                }
            }
        }
        self.recount_poison();
        Ok(ErasedEvents {
            erased,
            left: left.len(),
        })
    }

    async fn erase_kept_event(
        &self,
        place: &str,
        name: &str,
        names: &[String],
        spared: &[String],
    ) -> Result<Fate, LedgerError> {
        let key = format!("{place}{name}.json");
        let Some(stored) = self.store.find(&key).await? else {
            return Ok(Fate::Other);
        };
        let text = searchable(&stored.content);
        let is_named = |names: &[String]| {
            names.iter().any(|name| {
                let name = normal(name.trim_end_matches('='));
                has_word(&text, &name)
            })
        };
        if !is_named(names) {
            return Ok(Fate::Other);
        }
        let may_be_needed = [EVENTS, POISON].contains(&place);
        let is_only_trace = may_be_needed && self.is_only_trace(&stored.content, names).await?;
        if is_only_trace || is_named(spared) {
            return Ok(Fate::Left);
        }
        if place != EVENTS {
            let subject = format!("poison:{name}");
            let action = AuditAction::EventErased;
            self.audit
                .append(Actor::Handler, action, &subject, Value::Null)
                .await?;
            // Why it was dismissed may name the person too.
            self.audit.erase_texts(&subject).await?;
        }
        self.store.remove(&key).await?;
        Ok(Fate::Erased)
    }

    /// Whether the log says of an event that it was erased, and not that it was kept again later. A document that cannot be
    /// read may say that.
    pub(super) async fn is_last_erased(&self, subject: &str) -> Result<bool, LedgerError> {
        let key = SubjectKey::of(subject);
        for document in self.audit.newest_of(key, DOCUMENTS_READ).await? {
            let records = match self.audit.read(&document.position).await? {
                FoundDocument::Records(records) => records,
                FoundDocument::Missing => continue,
                FoundDocument::Unreadable => return Ok(false),
            };
            let mut of_event = records.iter().filter(|record| {
                let is_marked = record.action.is_marked();
                record.subject == subject && is_marked
            });
            if let Some(last) = of_event.next_back() {
                return Ok(last.action == AuditAction::EventErased);
            }
        }
        Ok(false)
    }

    /// Whether an event announces a chunk that the ledger does not know, and that is not to be erased: neither by its own
    /// id nor by that of its recording.
    async fn is_only_trace(&self, content: &[u8], names: &[String]) -> Result<bool, LedgerError> {
        let kept: Value = serde_json::from_slice(content).unwrap_or_default();
        let Ok(IncomingEvent::RecordingFileStatusUpdated(update)) =
            IncomingEvent::parse(&kept["event"])
        else {
            return Ok(false);
        };
        let is_named = |id: &str| {
            let id = normal(id.trim_end_matches('='));
            names
                .iter()
                .any(|name| normal(name.trim_end_matches('=')) == id)
        };
        for chunk in update.chunks {
            let is_erased = is_named(chunk.document_id.as_str())
                || chunk.filing_names().any(|name| is_named(name.as_str()));
            if !is_erased && self.find(&chunk.document_id).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The whole text of a kept event, in the form of [`normal`]: as stored, and decoded if kept as text or base64.
fn searchable(content: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(content).into_owned();
    let kept: Value = serde_json::from_slice(content).unwrap_or_default();
    let event = &kept["event"];
    let inner = |text: &str| lenient_json::read(text.as_bytes(), Bound::None);
    let decoded = |text: &str| {
        let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let value = inner(&text);
        text.extend(value.map(|value| value.to_string()));
        Some(text)
    };
    // Via a value, which resolves escaped letters.
    text.push_str(&event.to_string());
    if let Some(raw) = event.as_str() {
        text.push_str(raw);
        text.extend(inner(raw).map(|value| value.to_string()));
        text.extend(decoded(raw));
    }
    if let Some(data) = event["data_base64"].as_str() {
        text.extend(decoded(data));
    }
    if let Some(data) = event["data"].as_str() {
        text.extend(inner(data).map(|value| value.to_string()));
    }
    normal(&text)
}

/// Whether a text contains a name that is not part of a longer word.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        })
}

/// Normalizes case and base64 alphabet: an id is one id however it is written.
fn normal(text: &str) -> String {
    text.to_lowercase().replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    #[case::as_it_is(json!({"data": {"rawId": "8:ACS:Anna_1"}}))]
    #[case::as_text(json!("{\"rawId\": \"8:acs:anna_1\""))]
    #[case::escaped_in_text(json!("{\"rawId\": \"8:\\u0061cs:anna_1\"}"))]
    #[case::beside_what_is_no_json(json!("[{\"a\": \"\\ud83d\"}, {\"rawId\": \"8:\\u0061cs:anna_1\"}, <]"))]
    #[case::encoded_twice(json!({"data": "{\"rawId\": \"8:\\u0061cs:anna_1\"}"}))]
    #[case::base64(json!({"data_base64": BASE64_STANDARD.encode("{\"rawId\": \"8:acs:anna_1\"}")}))]
    #[case::a_body_in_base64(json!(BASE64_STANDARD.encode("{\"rawId\": \"8:acs:anna_1\"}")))]
    #[case::escaped_in_base64(json!(BASE64_STANDARD.encode(b"{\"a\": \"\xff\", \"rawId\": \"8:\\u0061cs:anna_1\"}")))]
    fn a_person_is_found_however_an_event_was_kept(#[case] event: Value) {
        let kept = json!({"reason": "r", "event": event}).to_string();
        let text = searchable(kept.as_bytes());
        let is_found = |name: &str| has_word(&text, &normal(name));
        assert!(is_found("8:acs:Anna_1"));
        assert!(!is_found("8:acs:bert") && !is_found("8:acs:anna_"));
    }
}
