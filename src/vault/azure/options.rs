//! Storage options for recordings in Blob Storage, beyond their bytes.

use std::collections::HashMap;
use std::time::Duration;

use azure_core::http::Etag;
use azure_core::time::{OffsetDateTime, parse_rfc3339, to_rfc3339};
use azure_storage_blob::models::{
    AccessTier, BlockBlobClientCommitBlockListOptions, BlockBlobClientUploadOptions,
    ImmutabilityPolicyMode,
};

use super::SEQUENTIAL;
use crate::export::block::BlockId;
use crate::export::destination::{BLOCK_METADATA, BlobProperties, Protection};

/// Metadata name on a blob that was created without a requested protection; its value names what it lacks.
const UNPROTECTED: &str = "unprotected";
/// Metadata name on a document that replaced another one and keeps its retention; its value says when that began.
const RETAINED_FROM: &str = "retainedfrom";
/// How much shorter than the setting a retention may be: it is counted by the clock of a process, and compared with the
/// storage's.
const CLOCK_SLACK: Duration = Duration::from_hours(1);

/// Options that a storage may refuse although it stores the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    Tags,
    Tier,
    Retention,
    LegalHold,
}

impl From<Protection> for Extra {
    fn from(protection: Protection) -> Self {
        match protection {
            Protection::Retention => Self::Retention,
            Protection::LegalHold => Self::LegalHold,
        }
    }
}

impl Extra {
    const ALL: [Self; 4] = [Self::Tags, Self::Tier, Self::Retention, Self::LegalHold];

    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Tags => "VAULT_TAGS",
            Self::Tier => "VAULT_TIER",
            Self::Retention => "VAULT_IMMUTABLE_FOR",
            Self::LegalHold => "VAULT_LEGAL_HOLD",
        }
    }
}

/// What protects a blob from deletion, as the storage describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlobProtection {
    pub retained_until: Option<OffsetDateTime>,
    /// When its retention began: when it was created, or the document that it replaced.
    pub retained_from: Option<OffsetDateTime>,
    pub has_legal_hold: bool,
}

/// Options of the settings `VERIFY` and `VAULT_*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AzureVaultOptions {
    /// Read every file back and compare its SHA-256 before it counts as proved.
    pub read_back: bool,
    /// Blob index tags: `documentId`, `recordingId`, `callId`. The identity needs the right to write tags.
    pub tags: bool,
    pub tier: Option<AccessTier>,
    /// A time-based retention policy for each file, where the container has version-level immutability.
    pub immutable_for: Option<Duration>,
    pub legal_hold: bool,
}

impl AzureVaultOptions {
    /// Weaker options, for an account or container without support or an identity without permission: first each extra
    /// left out alone, tags and tier before protection, then two of them, at last all.
    pub(super) fn weaker(&self) -> Vec<Self> {
        let asked_for = Extra::ALL.into_iter().filter(|extra| self.has(*extra));
        let mut omissions: Vec<Vec<Extra>> = vec![Vec::new()];
        for extra in asked_for {
            let with = omissions.iter().map(|without| {
                let mut with = without.clone();
                with.push(extra);
                with
            });
            let with: Vec<_> = with.collect();
            omissions.extend(with);
        }
        omissions.retain(|omitted| !omitted.is_empty());
        // Stable: among equally many, those with less to lose come first.
        omissions.sort_by_key(Vec::len);
        omissions
            .into_iter()
            .map(|omitted| omitted.into_iter().fold(self.clone(), Self::without))
            .collect()
    }

    /// The settings that these options lack, compared with others.
    pub(super) fn lacking(&self, asked_for: &Self) -> String {
        let names: Vec<&str> = Extra::ALL
            .into_iter()
            .filter(|extra| asked_for.has(*extra) && !self.has(*extra))
            .map(Extra::setting)
            .collect();
        names.join(", ")
    }

    /// The properties of a blob that is created with these options instead of the requested ones: its missing
    /// protection is noted in its metadata.
    pub(super) fn note_missing_protection(
        &self,
        asked_for: &Self,
        properties: &BlobProperties,
    ) -> BlobProperties {
        let is_missing = |protection: &Protection| {
            let extra = Extra::from(*protection);
            asked_for.has(extra) && !self.has(extra)
        };
        let missing = Protection::ALL.into_iter().filter(is_missing);
        let missing: Vec<&str> = missing.map(Protection::as_str).collect();
        let mut noted = properties.clone();
        if !missing.is_empty() {
            noted.metadata.push((UNPROTECTED, missing.join(" ")));
        }
        noted
    }

    /// The options of a small document beside the media: their protection, but neither tags nor tier.
    pub(super) fn of_document(&self) -> Self {
        self.clone().without(Extra::Tags).without(Extra::Tier)
    }

    /// Whether files are to be protected from deletion.
    pub(super) fn asks_for_protection(&self) -> bool {
        let mut asked_for = Protection::ALL.into_iter().map(Extra::from);
        asked_for.any(|extra| self.has(extra))
    }

    /// Whether a blob lacks a protection that these options ask for.
    pub(super) fn lacks(
        &self,
        protection: Protection,
        blob: BlobProtection,
        now: OffsetDateTime,
    ) -> bool {
        let has_it = match protection {
            Protection::Retention => self.is_retained(blob, now),
            Protection::LegalHold => blob.has_legal_hold,
        };
        self.has(Extra::from(protection)) && !has_it
    }

    /// Whether a blob is retained for as long as these options ask for: another process may have created it under a setting
    /// that was shorter.
    fn is_retained(&self, blob: BlobProtection, now: OffsetDateTime) -> bool {
        let Some(until) = blob.retained_until.filter(|until| *until > now) else {
            return false;
        };
        let asked_for = self.immutable_for.unwrap_or_default();
        let asked_for = asked_for.saturating_sub(CLOCK_SLACK);
        let asked_until = blob
            .retained_from
            .and_then(|from| from.checked_add(asked_for.try_into().ok()?));
        asked_until.is_some_and(|asked_until| until >= asked_until)
    }

    /// The options besides the bytes of a file.
    pub(super) fn extras(&self) -> impl Iterator<Item = Extra> + use<'_> {
        Extra::ALL.into_iter().filter(|extra| self.has(*extra))
    }

    /// These options with this extra alone.
    pub(super) fn only(&self, extra: Extra) -> Self {
        let others = Extra::ALL.into_iter().filter(|other| *other != extra);
        others.fold(self.clone(), Self::without)
    }

    fn has(&self, extra: Extra) -> bool {
        match extra {
            Extra::Tags => self.tags,
            Extra::Tier => self.tier.is_some(),
            Extra::Retention => self.immutable_for.is_some(),
            Extra::LegalHold => self.legal_hold,
        }
    }

    fn without(mut self, extra: Extra) -> Self {
        match extra {
            Extra::Tags => self.tags = false,
            Extra::Tier => self.tier = None,
            Extra::Retention => self.immutable_for = None,
            Extra::LegalHold => self.legal_hold = false,
        }
        self
    }

    /// These options without any that an account or container may lack, or an identity may not be allowed to use.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self {
            read_back: self.read_back,
            ..Self::default()
        }
    }

    /// The options of an upload in one piece that creates a blob and replaces none: those of a commit.
    pub(super) fn upload(
        &self,
        properties: &BlobProperties,
        now: OffsetDateTime,
    ) -> BlockBlobClientUploadOptions<'static> {
        let commit = self.commit(properties, now);
        BlockBlobClientUploadOptions {
            if_none_match: commit.if_none_match,
            blob_content_type: commit.blob_content_type,
            metadata: commit.metadata,
            blob_tags_string: commit.blob_tags_string,
            tier: commit.tier,
            immutability_policy_expiry: commit.immutability_policy_expiry,
            immutability_policy_mode: commit.immutability_policy_mode,
            legal_hold: commit.legal_hold,
            parallel: SEQUENTIAL,
            ..BlockBlobClientUploadOptions::default()
        }
    }

    /// The options of a commit that creates a blob and replaces none. `now`: start of a retention.
    pub(super) fn commit(
        &self,
        properties: &BlobProperties,
        now: OffsetDateTime,
    ) -> BlockBlobClientCommitBlockListOptions<'static> {
        let expiry = self
            .immutable_for
            .and_then(|period| now.checked_add(period.try_into().ok()?));
        BlockBlobClientCommitBlockListOptions {
            if_none_match: Some(Etag::from("*")),
            blob_content_type: Some(properties.content_type.to_owned()),
            metadata: Some(metadata(properties)),
            blob_tags_string: self
                .tags
                .then(|| tags(properties))
                .filter(|tags| !tags.is_empty()),
            tier: self.tier.clone(),
            immutability_policy_expiry: expiry,
            // Unlocked: an administrator may still shorten it; locking is the container's policy.
            immutability_policy_mode: expiry.map(|_| ImmutabilityPolicyMode::Unlocked),
            legal_hold: self.legal_hold.then_some(true),
            ..BlockBlobClientCommitBlockListOptions::default()
        }
    }
}

/// The only block of a blob with this metadata.
pub(super) fn only_block(metadata: &HashMap<String, String>) -> Option<BlockId> {
    let mut members = metadata.iter();
    let (_, id) = members.find(|(name, _)| name.eq_ignore_ascii_case(BLOCK_METADATA))?;
    BlockId::from_hex(id)
}

/// Protection that a blob with this metadata was created without.
pub(super) fn missing_protection(metadata: &HashMap<String, String>) -> Vec<Protection> {
    let names = metadata
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(UNPROTECTED))
        .map_or("", |(_, names)| names);
    let is_named = |protection: &Protection| {
        let mut names = names.split_whitespace();
        names.any(|name| name == protection.as_str())
    };
    Protection::ALL.into_iter().filter(is_named).collect()
}

/// Notes when the retention began that a document keeps of the one that it replaces.
pub(super) fn note_retained_from(from: OffsetDateTime, properties: &mut BlobProperties) {
    properties.metadata.push((RETAINED_FROM, to_rfc3339(&from)));
}

/// When the retention of a document with this metadata began, if it is that of an earlier one.
pub(super) fn retained_from(metadata: &HashMap<String, String>) -> Option<OffsetDateTime> {
    let mut members = metadata.iter();
    let (_, from) = members.find(|(name, _)| name.eq_ignore_ascii_case(RETAINED_FROM))?;
    parse_rfc3339(from).ok()
}

pub(super) fn metadata(properties: &BlobProperties) -> HashMap<String, String> {
    properties
        .metadata
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// `name=value&…`, values percent-encoded; characters that tags do not know become `_`
/// (<https://learn.microsoft.com/rest/api/storageservices/set-blob-tags>: 256 characters of letters, digits
/// and ` +-./:=_`).
fn tags(properties: &BlobProperties) -> String {
    let known = |c: char| {
        if c.is_ascii_alphanumeric() || " +-./:=_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let pairs = properties.tags.iter().map(|(name, value)| {
        let value: String = value.chars().take(256).map(known).collect();
        format!(
            "{name}={}",
            url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>()
        )
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_refused_is_left_out() {
        let asked_for = AzureVaultOptions {
            read_back: true,
            tags: true,
            tier: Some(AccessTier::Cool),
            immutable_for: Some(Duration::from_hours(24)),
            legal_hold: true,
        };
        let weaker = asked_for.weaker();
        assert_eq!(weaker.len(), 15);
        let lacking: Vec<String> = weaker
            .iter()
            .map(|weaker| weaker.lacking(&asked_for))
            .collect();
        assert_eq!(
            lacking[..5],
            [
                "VAULT_TAGS",
                "VAULT_TIER",
                "VAULT_IMMUTABLE_FOR",
                "VAULT_LEGAL_HOLD",
                "VAULT_TAGS, VAULT_TIER"
            ]
        );
        assert_eq!(weaker[14], asked_for.plain());
        assert!(asked_for.plain().weaker().is_empty());
    }

    #[test]
    fn a_blob_says_what_protection_it_was_made_without() {
        let asked_for = AzureVaultOptions {
            tags: true,
            immutable_for: Some(Duration::from_hours(24)),
            legal_hold: true,
            ..AzureVaultOptions::default()
        };
        let missing_of = |made_with: &AzureVaultOptions| {
            let noted = made_with.note_missing_protection(&asked_for, &properties());
            missing_protection(&metadata(&noted))
        };
        assert!(missing_of(&asked_for).is_empty());
        let without_tags = asked_for.clone().without(Extra::Tags);
        assert!(missing_of(&without_tags).is_empty());
        let without_hold = without_tags.without(Extra::LegalHold);
        assert_eq!(missing_of(&without_hold), [Protection::LegalHold]);
        assert_eq!(missing_of(&asked_for.plain()), Protection::ALL);
        assert!(asked_for.asks_for_protection() && !asked_for.plain().asks_for_protection());
    }

    #[test]
    fn a_retention_of_an_earlier_and_shorter_setting_is_not_enough() {
        let hours = azure_core::time::Duration::hours;
        let created = OffsetDateTime::UNIX_EPOCH;
        let now = created + hours(1);
        let lacks = |asked_for, from, until| {
            let options = AzureVaultOptions {
                immutable_for: Some(Duration::from_hours(asked_for)),
                ..AzureVaultOptions::default()
            };
            let blob = BlobProtection {
                retained_until: Some(created + hours(until)),
                retained_from: from,
                has_legal_hold: false,
            };
            options.lacks(Protection::Retention, blob, now)
        };
        assert!(lacks(87_600, Some(created), 1 + 24), "until tomorrow");
        assert!(!lacks(87_600, Some(created), 87_600));
        assert!(!lacks(87_600, Some(created), 87_599), "clocks differ");
        assert!(lacks(87_600, Some(created), 87_598));
        assert!(!lacks(24, Some(created), 87_600), "longer");
        assert!(lacks(1, Some(created), 1), "it has ended");
        assert!(lacks(24, None, 87_600), "not known since when");
    }

    #[test]
    fn a_document_says_since_when_it_is_retained() {
        let mut properties = properties();
        assert_eq!(retained_from(&metadata(&properties)), None);
        note_retained_from(OffsetDateTime::UNIX_EPOCH, &mut properties);
        let found = retained_from(&metadata(&properties));
        assert_eq!(found, Some(OffsetDateTime::UNIX_EPOCH));
    }

    fn properties() -> BlobProperties {
        let tags = vec![
            ("documentId", "0-eus-d1-a".to_owned()),
            ("callId", "a b/c&d=é".to_owned()),
        ];
        BlobProperties {
            content_type: "audio/wav",
            metadata: Vec::new(),
            tags,
        }
    }

    #[test]
    fn tags_hold_only_what_the_service_takes() {
        assert_eq!(
            tags(&properties()),
            "documentId=0-eus-d1-a&callId=a+b%2Fc_d%3D_"
        );
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_set() {
        let options =
            AzureVaultOptions::default().commit(&properties(), OffsetDateTime::UNIX_EPOCH);
        assert!(
            options.blob_tags_string.is_none()
                && options.tier.is_none()
                && options.legal_hold.is_none()
        );
        assert!(
            options.immutability_policy_expiry.is_none()
                && options.immutability_policy_mode.is_none()
        );
    }

    #[test]
    fn a_retention_counts_from_the_commit() {
        let day = Duration::from_hours(24);
        let wanted = AzureVaultOptions {
            immutable_for: Some(day),
            legal_hold: true,
            ..AzureVaultOptions::default()
        };
        let options = wanted.commit(&properties(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(
            options
                .immutability_policy_expiry
                .map(OffsetDateTime::unix_timestamp),
            Some(86_400)
        );
        assert_eq!(options.legal_hold, Some(true));
        assert!(!wanted.weaker().is_empty() && wanted.plain().weaker().is_empty());
    }
}
