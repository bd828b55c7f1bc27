//! The references in stored records: which members have them, and the keys of the documents that they refer to. It reads
//! nothing.

use serde_json::Value;

use super::{PEOPLE, TEXTS};
use crate::store::audit::action::AuditAction;
use crate::store::audit::record::{Actor, AuditRecord};
use crate::store::audit::subjects::SubjectKey;

/// Members of a record's detail that name people: the caller, verified (`by`) or not, and who a request says wants it.
pub(super) const NAME_MEMBERS: [&str; 4] = ["by", "wantedBy", "claimedBy", "startedBy"];
/// Members with text that an operator wrote, or that names an operator's file.
const TEXT_MEMBERS: [&str; 3] = ["reason", "note", "from"];
/// Prefixes of such members in a stored record.
pub(super) const PERSON: &str = "person:";
pub(super) const TEXT: &str = "text:";

/// What a member of a stored record refers to, by its hash.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference<'a> {
    Name(&'a str),
    /// A text about the record's subject.
    Text {
        subject: &'a str,
        hash: &'a str,
    },
}

/// The record that must exist where a name or text is erased.
pub(super) struct Erasing {
    /// The key of the document with the position of that record: in the place of an erased name.
    pub mark: String,
    pub action: AuditAction,
    pub subject: String,
}

impl Erasing {
    pub fn of_name(hash: &str) -> Self {
        Self {
            mark: name_key(hash),
            action: AuditAction::NameErasing,
            subject: format!("{PERSON}{hash}"),
        }
    }

    pub fn of_texts(subject: &str) -> Self {
        let name = SubjectKey::of(subject).name();
        Self {
            mark: format!("{TEXTS}erased/{name}.json"),
            action: AuditAction::TextsErasing,
            subject: subject.to_owned(),
        }
    }
}

impl<'a> Reference<'a> {
    /// The references in a stored record, each with its member.
    pub fn all_in(record: &'a AuditRecord) -> impl Iterator<Item = (&'static str, Self)> {
        let names = NAME_MEMBERS.into_iter().filter_map(|member| {
            let hash = text_of(record, member)?.strip_prefix(PERSON)?;
            Some((member, Self::Name(hash)))
        });
        let texts = text_members(record).iter().filter_map(|member| {
            let hash = text_of(record, member)?.strip_prefix(TEXT)?;
            let subject = record.subject.as_str();
            Some((*member, Self::Text { subject, hash }))
        });
        names.chain(texts)
    }

    /// The key of the document that it refers to.
    pub fn key(self) -> String {
        match self {
            Self::Name(hash) => name_key(hash),
            Self::Text { subject, hash } => text_key(subject, hash),
        }
    }

    /// Whether a record is that of an erasure which covers this.
    pub fn is_erased_by(self, record: &AuditRecord) -> bool {
        let Erasing {
            action, subject, ..
        } = self.erasing();
        record.action == action && SubjectKey::of(&record.subject) == SubjectKey::of(&subject)
    }

    pub fn erasing(self) -> Erasing {
        match self {
            Self::Name(hash) => Erasing::of_name(hash),
            Self::Text { subject, .. } => Erasing::of_texts(subject),
        }
    }
}

/// Members of a record with private text. The handler's own texts name no people.
pub(super) fn text_members(record: &AuditRecord) -> &'static [&'static str] {
    match record.actor {
        Actor::Operator => &TEXT_MEMBERS,
        Actor::Handler => &[],
    }
}

pub(super) fn name_key(hash: &str) -> String {
    format!("{PEOPLE}{hash}.json")
}

/// The same for every format of the id in a subject.
pub(super) fn texts_of(subject: &str) -> String {
    format!("{TEXTS}{}/", SubjectKey::of(subject).name())
}

pub(super) fn text_key(subject: &str, hash: &str) -> String {
    format!("{}{hash}.json", texts_of(subject))
}

fn text_of<'a>(record: &'a AuditRecord, member: &str) -> Option<&'a str> {
    record.detail.get(member).and_then(Value::as_str)
}
