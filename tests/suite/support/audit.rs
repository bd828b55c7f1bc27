//! What has to hold of vault and source at the end, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use recording_vault::store::audit::SubjectKey;
use recording_vault::store::digest::Sha256Digest;
use serde_json::Value;

use super::world::{World, files_by_path};

/// Every stored object is in the vault byte for byte, with its metadata and a receipt that says the same.
pub fn assert_all_in_vault(objects: &[Value], files: &BTreeMap<String, Vec<u8>>) {
    for object in objects {
        let id = object["documentId"].as_str().expect("an object has an id");
        let file = |marker: &str| {
            let found = files
                .iter()
                .find(|(name, _)| name.contains(id) && name.contains(marker));
            found
                .unwrap_or_else(|| panic!("{marker} of {id} is not in {:?}", files.keys()))
                .1
        };
        let media = files
            .iter()
            .find(|(name, _)| name.contains(id) && !name.ends_with(".json"))
            .expect("the media is there")
            .1;
        assert_eq!(
            object["sha256"],
            Sha256Digest::of(media).to_string().as_str()
        );
        assert_eq!(
            object["metadata"].as_str().map(str::as_bytes),
            Some(&file("-acsmetadata.")[..]),
            "ACS's bytes, unchanged"
        );
        let receipt: Value = serde_json::from_slice(file("-receipt.")).expect("a receipt is JSON");
        assert_eq!(receipt["receipt"]["media"]["sha256"], object["sha256"]);
        assert_eq!(
            receipt["receipt"]["media"]["sizeBytes"],
            object["sizeBytes"]
        );
    }
}

/// In the content plane's own log, a deletion comes after the last read of its object.
pub async fn assert_deleted_after_read(world: &World) {
    let log = world.content_log().await;
    for (at, line) in log
        .iter()
        .enumerate()
        .filter(|(_, line)| line["method"] == "DELETE")
    {
        let object = line["path"].as_str().expect("a line has a path");
        let read_later = log[at..].iter().any(|later| {
            later["method"] == "GET"
                && later["path"]
                    .as_str()
                    .is_some_and(|path| path.starts_with(object))
        });
        assert!(!read_later, "{object} was read after its deletion");
    }
}

/// The vault holds media, metadata and receipt of each object, and nothing else.
pub fn assert_no_orphan(objects: &[Value], files: &BTreeMap<String, Vec<u8>>) {
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(names.len(), 3 * objects.len(), "{names:?}");
    for object in objects {
        let id = object["documentId"].as_str().expect("an object has an id");
        let of_object = |marker: &str| {
            names
                .iter()
                .filter(|name| name.contains(id) && name.contains(marker))
                .count()
        };
        assert_eq!(
            [
                of_object(""),
                of_object("-acsmetadata."),
                of_object("-receipt.")
            ],
            [3, 1, 1],
            "{id} in {names:?}"
        );
    }
}

/// By the content plane's own log nothing was asked to be deleted before its receipt says that it was proved, and what was
/// deleted has one.
pub async fn assert_deleted_with_receipt(world: &World, files: &BTreeMap<String, Vec<u8>>) {
    let time = |value: &Value| {
        value
            .as_str()
            .expect("a time is text")
            .parse::<Timestamp>()
            .expect("it is a time")
    };
    for line in world
        .content_log()
        .await
        .iter()
        .filter(|line| line["method"] == "DELETE")
    {
        let id = line["path"]
            .as_str()
            .and_then(|path| path.rsplit('/').next())
            .expect("a deletion names its object");
        let receipt = files
            .iter()
            .find(|(name, _)| name.contains(id) && name.contains("-receipt."));
        let (_, receipt) = receipt.unwrap_or_else(|| panic!("{id} was deleted without a receipt"));
        let receipt: Value = serde_json::from_slice(receipt).expect("a receipt is JSON");
        let (proved, deleted) = (time(&receipt["receipt"]["verifiedAt"]), time(&line["at"]));
        assert!(
            proved <= deleted,
            "{id} was deleted at {deleted}, and proved at {proved}"
        );
    }
}

/// Paths of the objects that the service was asked to delete.
pub async fn deletions(world: &World) -> BTreeSet<String> {
    let log = world.content_log().await;
    let deletions = log.iter().filter(|line| line["method"] == "DELETE");
    deletions
        .map(|line| line["path"].as_str().expect("a line has a path").to_owned())
        .collect()
}

/// The records of the audit log that tell of an action on a subject, oldest first.
pub fn audit_records(world: &World, action: &str, subject: &str) -> Vec<Value> {
    let folder = world.vault.with_file_name("vault-ledger").join("audit");
    let documents = files_by_path(&folder);
    let records = documents.values().flat_map(|content| {
        let document: Value = serde_json::from_slice(content).expect("the log is JSON");
        document["records"].as_array().cloned().unwrap_or_default()
    });
    let mut records: Vec<Value> = records
        .filter(|record| record["action"] == action && record["subject"] == subject)
        .map(|record| revealed(world, record))
        .collect();
    // Each process has a log of its own.
    records.sort_by_key(|record| {
        let at = record["at"].as_str().and_then(|at| at.parse().ok());
        at.unwrap_or(Timestamp::MIN)
    });
    records
}

/// A record with the names and texts that it refers to, as far as they are stored.
pub fn revealed(world: &World, mut record: Value) -> Value {
    let ledger = world.vault.with_file_name("vault-ledger");
    let subject = record["subject"].as_str().unwrap_or_default();
    let subject = SubjectKey::of(subject).name();
    let kept = |path: String, member: &str| -> Option<Value> {
        let content = fs::read(ledger.join(path)).ok()?;
        let document: Value = serde_json::from_slice(&content).expect("it is JSON");
        Some(document[member].clone())
    };
    let members = record["detail"].as_object_mut().into_iter().flatten();
    for (_, value) in members {
        let Some((kind, hash)) = value.as_str().and_then(|text| text.split_once(':')) else {
            continue;
        };
        let found = match kind {
            "person" => kept(format!("people/{hash}.json"), "name"),
            "text" => kept(format!("audit-texts/{subject}/{hash}.json"), "text"),
            _ => None,
        };
        if let Some(found) = found {
            *value = found;
        }
    }
    record
}

/// The ledger at one time, without the audit log and what belongs to it.
pub struct LedgerBefore {
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl LedgerBefore {
    pub fn of(world: &World) -> Self {
        let folder = world.vault.with_file_name("vault-ledger");
        let files = Self::changing(files_by_path(&folder));
        Self { folder, files }
    }

    /// Puts everything back, as if the process had died when the audit record was written, and before anything else was.
    pub fn restore(&self) {
        for path in Self::changing(files_by_path(&self.folder)).into_keys() {
            if !self.files.contains_key(&path) {
                fs::remove_file(self.folder.join(path)).expect("the file can be removed");
            }
        }
        for (path, content) in &self.files {
            let path = self.folder.join(path);
            if fs::read(&path).ok().as_ref() != Some(content) {
                fs::write(path, content).expect("the file can be written");
            }
        }
    }

    fn changing(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        files.retain(|path, _| {
            let is_of_the_log = |kept| path.starts_with(kept);
            !["audit", "people/", "keys/"].into_iter().any(is_of_the_log)
        });
        files
    }
}
