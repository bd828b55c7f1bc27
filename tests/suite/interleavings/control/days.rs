//! What must be true of a day's report: nothing of the day is missing, and its forms agree.

use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::DocumentStore as _;
use serde_json::Value;

use super::process::{DOCUMENT, FIRST};
use super::world::{ControlWorld, Told};

const REPORT: &str = "reports/2026-03-02.json";
const SUMMARY: &str = "reports/2026-03-02-summary.json";
const TEXT: &str = "reports/2026-03-02.txt";

/// What is wrong.
pub async fn check(world: &ControlWorld) -> Vec<String> {
    let stored = world.store.find(REPORT).await.expect("memory works");
    let Some(stored) = stored else {
        return vec!["the day has no report".to_owned()];
    };
    let report: Value = serde_json::from_slice(&stored.content).expect("a report is JSON");
    let mut problems = Vec::new();
    let recordings = report["recordings"].as_array().expect("it is a list");
    let first = recordings
        .iter()
        .find(|recording| recording["recordingId"] == FIRST);
    let Some(first) = first else {
        return vec!["the recording is missing from the report of its day".to_owned()];
    };
    let is_announced = world.told().contains(&Told::Announced);
    if is_announced && first["chunks"][0]["documentId"] != DOCUMENT {
        problems.push("its chunk is missing from the report of its day".to_owned());
    }
    let sha256 = Sha256Digest::of(&stored.content).to_string();
    let summary = world.document(SUMMARY).await;
    if summary.is_none_or(|summary| summary["reportSha256"] != sha256.as_str()) {
        problems.push("the numbers are not those of the report".to_owned());
    }
    let text = world.store.find(TEXT).await.expect("memory works");
    let is_same = text.is_some_and(|text| String::from_utf8_lossy(&text.content).contains(&sha256));
    if !is_same {
        problems.push("the text is not that of the report".to_owned());
    }
    problems
}
