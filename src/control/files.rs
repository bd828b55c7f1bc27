//! The files of a recording that its events announced, and what is wrong with the list.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::recording::{DocumentId, RecordingFileStatusUpdated};

/// Stored reasons; an event may refuse thousands of chunks.
const REFUSALS_KEPT: usize = 20;
/// Missing chunks that are named one by one.
const NAMED: usize = 20;

/// A recording's chunks, as far as they were announced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Documents by index; normally one at each.
    pub chunks: BTreeMap<u32, BTreeSet<DocumentId>>,
    /// When the first event with a chunk arrived.
    pub announced_at: Option<Timestamp>,
    /// An event said that no more chunks follow.
    pub has_last: bool,
    /// An event announced no chunk at all.
    pub has_empty_event: bool,
    /// Why chunk entries of its events could not be read; the events are kept as poison.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<String>,
    /// When the sweep reported that no event arrived.
    pub missing_since: Option<Timestamp>,
}

impl Files {
    /// Adds what an event announces.
    pub fn add(&mut self, update: &RecordingFileStatusUpdated, now: Timestamp) {
        for chunk in &update.chunks {
            self.chunks
                .entry(chunk.index)
                .or_default()
                .insert(chunk.document_id.clone());
        }
        // An event without chunks announces no file: it must not prevent the report of missing files.
        if !update.chunks.is_empty() {
            self.announced_at = self.announced_at.or(Some(now));
        }
        self.has_last |= update.is_last;
        self.has_empty_event |= update.chunks.is_empty();
        for refused in &update.refused {
            if self.refused.len() < REFUSALS_KEPT {
                self.refused.insert(refused.reason.to_string());
            }
        }
    }

    /// Documents in order of their index.
    pub fn documents(&self) -> impl Iterator<Item = (u32, &DocumentId)> {
        self.chunks
            .iter()
            .flat_map(|(index, documents)| documents.iter().map(|document| (*index, document)))
    }

    /// Returns what is wrong with the list; empty if nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.chunks.is_empty() {
            problems.push("no event announced a file".to_owned());
        }
        let last = self.chunks.keys().next_back().copied().unwrap_or_default();
        // An event may claim any index: a gap may be wide.
        let missing = (0..last).filter(|index| !self.chunks.contains_key(index));
        let known = self.chunks.len().saturating_sub(1);
        let count = usize::try_from(last).map_or(usize::MAX, |last| last.saturating_sub(known));
        if let (Some(first), Some(last)) = (missing.clone().next(), missing.clone().next_back()) {
            let missing: Vec<u32> = missing.take(NAMED).collect();
            let is_range = usize::try_from(last - first).is_ok_and(|width| width < count);
            // An acknowledgement of this text covers no chunk that is missing later.
            problems.push(match count {
                ..=NAMED => format!("no event announced chunk {}", numbers(&missing)),
                _ if is_range => format!("no event announced {count} chunks: {first}–{last}"),
                _ => format!("no event announced {count} chunks between {first} and {last}"),
            });
        }
        let several: Vec<u32> = self
            .chunks
            .iter()
            .filter(|(_, documents)| documents.len() > 1)
            .map(|(index, _)| *index)
            .collect();
        if !several.is_empty() {
            problems.push(format!(
                "more than one document claims to be chunk {}",
                numbers(&several)
            ));
        }
        if self.has_empty_event {
            problems.push("an event announced no chunk".to_owned());
        }
        for reason in &self.refused {
            problems.push(format!(
                "an event announced a chunk that cannot be read whole: {reason}"
            ));
        }
        if !self.has_last && !self.chunks.is_empty() {
            problems.push("no event announced the end of the recording".to_owned());
        }
        problems
    }
}

fn numbers(numbers: &[u32]) -> String {
    numbers
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(chunks: &[(u32, &str)], has_last: bool) -> Files {
        let mut files = Files {
            has_last,
            announced_at: Some(Timestamp::UNIX_EPOCH),
            ..Files::default()
        };
        for (index, document) in chunks {
            files
                .chunks
                .entry(*index)
                .or_default()
                .insert(document.parse().unwrap());
        }
        files
    }

    #[test]
    fn a_whole_list_has_no_problem_in_whatever_order_it_came() {
        assert_eq!(
            files(&[(2, "c"), (0, "a"), (1, "b")], true).problems(),
            Vec::<String>::new()
        );
    }

    #[rstest::rstest]
    #[case(&[], true, "no event announced a file")]
    #[case(&[(0, "a"), (3, "d")], true, "no event announced chunk 1, 2")]
    #[case(&[(0, "a"), (21, "b")], true, "no event announced chunk 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20")]
    #[case(&[(0, "a"), (35, "b")], true, "no event announced 34 chunks: 1–34")]
    #[case(&[(0, "a"), (9, "b"), (35, "c")], true, "no event announced 33 chunks between 1 and 34")]
    #[case(&[(0, "a"), (0, "b")], true, "more than one document claims to be chunk 0")]
    #[case(&[(0, "a")], false, "no event announced the end of the recording")]
    fn what_is_wrong_is_said(
        #[case] chunks: &[(u32, &str)],
        #[case] has_last: bool,
        #[case] expected: &str,
    ) {
        assert_eq!(files(chunks, has_last).problems(), [expected]);
    }

    #[test]
    fn an_absurd_index_costs_nothing() {
        assert_eq!(files(&[(u32::MAX, "a")], true).problems().len(), 1);
    }
}
