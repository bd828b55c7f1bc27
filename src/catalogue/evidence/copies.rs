//! Compares the copies that proved records of the audit log name with the packed files, and the packed receipts with the
//! records. Pure. `verify.sh` makes the same comparisons, and accepts a difference only with the words that are used here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::PackedFile;
use crate::catalogue::media::ProvedFile;
use crate::export::ExportReceipt;
use crate::recording::DocumentId;
use crate::store::audit::{AuditAction, AuditRecord};
use crate::store::digest::Sha256Digest;

/// Members of a record's detail with the digest of a copy.
const DIGESTS: [&str; 2] = ["sha256", "metadataSha256"];

/// A file that a packed receipt names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProvedCopy {
    pub document_id: DocumentId,
    /// In the package.
    pub name: String,
    pub sha256: Sha256Digest,
}

impl ProvedCopy {
    pub fn all_of(folder: &str, document_id: &DocumentId, receipt: &ExportReceipt) -> Vec<Self> {
        let files = ProvedFile::all_of(receipt);
        let copies = files.map(|file| Self {
            document_id: document_id.clone(),
            name: format!("{folder}/{}", file.file_name()),
            sha256: file.sha256(),
        });
        copies.collect()
    }
}

/// A recording's proved records, and what the package has of it.
pub(super) struct Compared<'a> {
    pub folder: &'a str,
    /// Those that `records.txt` lists.
    pub records: &'a [AuditRecord],
    pub copies: &'a [ProvedCopy],
    pub files: &'a [PackedFile],
    /// Problems that are reported already.
    pub reported: &'a [String],
}

impl Compared<'_> {
    /// A sentence for each copy that is not in the package, and for each file without a proved record.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.not_packed();
        problems.extend(self.not_recorded());
        problems
    }

    fn not_packed(&self) -> Vec<String> {
        let prefix = format!("{}/", self.folder);
        let files = self.files.iter();
        let files = files.filter(|file| file.name.starts_with(&prefix));
        let packed: BTreeSet<String> = files.map(|file| file.sha256.to_string()).collect();
        let mut looked_at = BTreeSet::new();
        let mut problems = Vec::new();
        for record in self.records.iter().filter(|record| names_copy(record)) {
            for digest in digests(&record.detail) {
                let is_reported =
                    self.is_reported(&format!("SHA-256 {digest} is not in this package"));
                if packed.contains(digest) || is_reported || !looked_at.insert(digest) {
                    continue;
                }
                problems.push(format!(
                    "{}: the audit log has a copy of chunk {}, exported by {:.0}, whose file with SHA-256 {digest} is not in this package",
                    self.folder, record.subject, record.at
                ));
            }
        }
        problems
    }

    fn not_recorded(&self) -> Vec<String> {
        let is_recorded = |copy: &&ProvedCopy| {
            let digest = copy.sha256.to_string();
            let mut records = self.records.iter();
            records.any(|record| {
                record.subject == copy.document_id.as_str()
                    && digests(&record.detail).contains(&&digest[..])
            })
        };
        let copies = self.copies.iter().filter(|copy| !is_recorded(copy));
        let problems = copies.map(|copy| {
            let ProvedCopy { name, sha256, .. } = copy;
            format!("no proved record of the audit log has SHA-256 {sha256} of {name}")
        });
        problems.collect()
    }

    fn is_reported(&self, text: &str) -> bool {
        self.reported.iter().any(|problem| problem.contains(text))
    }
}

/// Whether a record says that a copy is in the vault.
fn names_copy(record: &AuditRecord) -> bool {
    matches!(
        record.action,
        AuditAction::Exported
            | AuditAction::SourceDeleted
            | AuditAction::SourceLeft
            | AuditAction::OtherFileExported
    )
}

/// The digests in a record's detail, however deep.
fn digests(detail: &Value) -> Vec<&str> {
    let Value::Object(members) = detail else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (member, value) in members {
        match value.as_str() {
            Some(digest) if DIGESTS.contains(&&member[..]) => found.push(digest),
            Some(_) | None => found.extend(digests(value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::audit::Actor;

    fn record(action: AuditAction, detail: Value) -> AuditRecord {
        AuditRecord {
            at: "2026-03-02T10:00:00Z".parse().unwrap(),
            actor: Actor::Handler,
            action,
            subject: "a".to_owned(),
            detail,
        }
    }

    fn digest(text: &str) -> Sha256Digest {
        Sha256Digest::of(text.as_bytes())
    }

    fn file(name: &str, content: &str) -> PackedFile {
        PackedFile {
            name: name.to_owned(),
            size_bytes: 1,
            sha256: digest(content),
        }
    }

    fn copy(name: &str, content: &str) -> ProvedCopy {
        ProvedCopy {
            document_id: "a".parse().unwrap(),
            name: name.to_owned(),
            sha256: digest(content),
        }
    }

    fn problems(
        records: &[AuditRecord],
        copies: &[ProvedCopy],
        files: &[PackedFile],
    ) -> Vec<String> {
        let compared = Compared {
            folder: "0001",
            records,
            copies,
            files,
            reported: &[],
        };
        compared.problems()
    }

    #[test]
    fn a_copy_with_its_record_and_its_file_is_no_problem() {
        let proof =
            json!({"proof": {"sha256": digest("m"), "metadataSha256": digest("d")}, "reason": "r"});
        let records = [record(AuditAction::SourceLeft, proof)];
        let copies = [copy("0001/m.wav", "m"), copy("0001/d.json", "d")];
        let files = [file("0001/m.wav", "m"), file("0001/d.json", "d")];
        assert_eq!(problems(&records, &copies, &files), Vec::<String>::new());
    }

    #[test]
    fn a_recorded_copy_without_its_file_is_a_problem_once_with_its_digest() {
        let detail = json!({"sha256": digest("m"), "metadataSha256": null});
        let records = [
            record(AuditAction::Exported, detail.clone()),
            record(AuditAction::SourceDeleted, detail),
        ];
        // A file of another recording is none of this one.
        let found = problems(&records, &[], &[file("0002/m.wav", "m")]);
        let expected = format!("SHA-256 {} is not in this package", digest("m"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&expected), "{found:?}");
    }

    #[test]
    fn a_file_whose_digest_no_record_of_its_document_has_is_a_problem() {
        let mut other = record(AuditAction::Exported, json!({"sha256": digest("m")}));
        other.subject = "b".to_owned();
        let files = [file("0001/m.wav", "m")];
        let found = problems(&[other], &[copy("0001/m.wav", "m")], &files);
        let expected = format!(
            "no proved record of the audit log has SHA-256 {}",
            digest("m")
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&expected), "{found:?}");
    }
}
