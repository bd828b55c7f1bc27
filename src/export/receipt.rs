//! The proof that a chunk is in the vault. Deletion at ACS requires it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::destination::Protection;
use super::layout::BlobName;
use crate::media::{MediaExamination, MediaNotice, MediaVerdict};
use crate::store::digest::Sha256Digest;

/// What is doubtful about a copy whose metadata ACS did not have any more.
const METADATA_GONE: &str = "its metadata is missing from the vault: ACS no longer has it";

/// A file of the vault whose length and content agree with what was read: by its committed block list, by the CRC-64 of
/// the vault's answer, or by its SHA-256 after it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedFile {
    name: BlobName,
    size_bytes: u64,
    sha256: Sha256Digest,
    etag: String,
}

impl VerifiedFile {
    /// Only [`verify`](crate::export::transfer::verify) creates one.
    pub(super) fn new(name: BlobName, size_bytes: u64, sha256: Sha256Digest, etag: String) -> Self {
        Self {
            name,
            size_bytes,
            sha256,
            etag,
        }
    }

    pub fn name(&self) -> &BlobName {
        &self.name
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    pub fn etag(&self) -> &str {
        &self.etag
    }
}

/// Proof of a chunk's copy: its media and its metadata are committed in the vault and verified.
///
/// Outside `export` it can only be read back from the ledger or from a receipt file.
/// [`RecordingSource::delete`](super::source::RecordingSource::delete) takes it by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReceipt {
    media: VerifiedFile,
    /// `None` when the event named no metadata, or ACS dropped it before the media.
    metadata: Option<VerifiedFile>,
    verified_at: Timestamp,
    /// The vault that holds the files.
    #[serde(default)]
    vault: VaultName,
    /// What is doubtful: the copy is exact, but its source may be wrong, or the copy is not protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anomaly: Option<String>,
    /// The metadata is not that of the chunk, or is not metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_anomaly: Option<String>,
    /// Why there is no metadata, although there may have been some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_lack: Option<MetadataLack>,
    /// The protection that the settings ask for and a file of the copy lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unprotected: Vec<Protection>,
    /// The same of the receipt's own file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    receipt_unprotected: Vec<Protection>,
    /// Result of the media examination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    examination: Option<MediaExamination>,
    /// An operator imported the copy by hand: it proves nothing about a source at ACS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<Import>,
    /// The receipt's own file in the vault is of an earlier proof, because a policy of the vault protects it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_earlier_file: bool,
}

/// Why a copy has no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetadataLack {
    /// ACS answered after its retention that it has none. Whether it ever had some is unknown.
    Gone,
    /// It could not be copied. ACS may have it.
    NotCopied,
}

/// Import of a copy by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub at: Timestamp,
    /// A file's name, or a URL without its query.
    pub from: String,
}

/// One of the two vaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VaultName {
    #[default]
    Home,
    /// `BACKUP_VAULT_URL`, used while the other is not available.
    Backup,
}

impl ExportReceipt {
    pub(super) fn new(
        media: VerifiedFile,
        metadata: Option<VerifiedFile>,
        vault: VaultName,
        examination: Option<MediaExamination>,
        verified_at: Timestamp,
    ) -> Self {
        let receipt = Self {
            media,
            metadata,
            verified_at,
            vault,
            anomaly: None,
            metadata_anomaly: None,
            metadata_lack: None,
            unprotected: Vec::new(),
            receipt_unprotected: Vec::new(),
            examination,
            imported: None,
            has_earlier_file: false,
        };
        receipt.with_doubts(None, Vec::new())
    }

    /// Adds the metadata's anomaly, and the protection that the files lack.
    pub(super) fn with_doubts(
        mut self,
        metadata_anomaly: Option<String>,
        unprotected: Vec<Protection>,
    ) -> Self {
        self.metadata_anomaly = metadata_anomaly;
        self.unprotected = unprotected;
        self.with_anomaly()
    }

    fn with_anomaly(mut self) -> Self {
        let of_media = self.examination.as_ref();
        let of_media = of_media.and_then(MediaExamination::anomaly);
        let doubts = [
            of_media.map(str::to_owned),
            self.metadata_anomaly.clone(),
            self.missing_protection(),
        ];
        let doubts: Vec<String> = doubts.into_iter().flatten().collect();
        self.anomaly = (!doubts.is_empty()).then(|| doubts.join("; "));
        self
    }

    /// Notes why there is no metadata.
    pub(super) fn with_metadata_lack(self, metadata_lack: Option<MetadataLack>) -> Self {
        Self {
            metadata_lack,
            ..self
        }
    }

    /// Why there is no metadata, although there may have been some.
    pub fn metadata_lack(&self) -> Option<MetadataLack> {
        self.metadata_lack
    }

    /// Whether ACS no longer had its metadata after the retention, so that nothing of it is known.
    fn is_without_metadata_for_good(&self) -> bool {
        self.metadata.is_none() && self.metadata_lack == Some(MetadataLack::Gone)
    }

    /// Marks the copy as imported by hand.
    pub(super) fn with_import(self, imported: Option<Import>) -> Self {
        Self { imported, ..self }
    }

    /// Adds protection that the receipt's own file lacks.
    pub(super) fn also_lacking(mut self, missing: Vec<Protection>) -> Self {
        self.receipt_unprotected.extend(missing);
        self.receipt_unprotected.sort_unstable();
        self.receipt_unprotected.dedup();
        self.with_anomaly()
    }

    /// Whether it says that its own file lacks this protection.
    pub(super) fn says_lacking(&self, missing: &[Protection]) -> bool {
        let mut missing = missing.iter();
        missing.all(|protection| self.receipt_unprotected.contains(protection))
    }

    /// Notes that the receipt's own file is of an earlier proof.
    pub(super) fn beside_earlier_file(self) -> Self {
        Self {
            has_earlier_file: true,
            ..self
        }
    }

    /// Whether the receipt's own file is of an earlier proof, because a policy of the vault protects it.
    pub fn has_earlier_file(&self) -> bool {
        self.has_earlier_file
    }

    /// Whether it says what the other one says, except for the time of the proof; or has the same media, and metadata
    /// that the other one lacks.
    pub(super) fn says_no_less_than(&self, other: &Self) -> bool {
        let same = Self {
            verified_at: other.verified_at,
            has_earlier_file: other.has_earlier_file,
            ..self.clone()
        };
        let has_more = other.metadata.is_none() && self.metadata.is_some();
        same == *other || (has_more && self.media == other.media)
    }

    /// The import, if the copy was imported by hand. Such a receipt permits no deletion at ACS.
    pub fn imported(&self) -> Option<&Import> {
        self.imported.as_ref()
    }

    /// Removes the origin of an imported file, whose name may name people.
    pub(super) fn forget_origin(&mut self) {
        if let Some(imported) = &mut self.imported {
            "erased".clone_into(&mut imported.from);
        }
    }

    /// The same proof for files that were proved again.
    pub(super) fn with_files(&self, media: VerifiedFile, metadata: Option<VerifiedFile>) -> Self {
        Self {
            media,
            metadata,
            ..self.clone()
        }
    }

    pub fn vault(&self) -> VaultName {
        self.vault
    }

    /// What is wrong with the metadata, if something is.
    pub(super) fn metadata_anomaly(&self) -> Option<&str> {
        self.metadata_anomaly.as_deref()
    }

    /// One sentence on the protection that the settings ask for and that its files lack, if any.
    pub fn missing_protection(&self) -> Option<String> {
        let of_receipt = self.receipt_unprotected.iter();
        let of_receipt = of_receipt.filter(|missing| !self.unprotected.contains(missing));
        let lacks = |what: &str, missing: Vec<String>| {
            (!missing.is_empty()).then(|| format!("{what} lacks {}", missing.join(" and ")))
        };
        let copy = self.unprotected.iter().map(Protection::to_string);
        let receipt = of_receipt.map(Protection::to_string);
        let sentences = [
            lacks("its copy", copy.collect()),
            lacks("its receipt", receipt.collect()),
        ];
        let sentences: Vec<String> = sentences.into_iter().flatten().collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// One sentence on what is doubtful, if something is.
    pub fn anomaly(&self) -> Option<&str> {
        self.anomaly.as_deref()
    }

    /// What is doubtful about the copy, a sentence each. Unlike an anomaly, missing metadata that ACS no longer has is no
    /// reason to keep the source: it does not bring the metadata back.
    pub fn doubts(&self) -> impl Iterator<Item = &str> {
        let gone = self.is_without_metadata_for_good();
        self.anomaly()
            .into_iter()
            .chain(gone.then_some(METADATA_GONE))
    }

    /// Whether what an operator accepted of another receipt holds for this one: it is of the same media, and nothing else
    /// is doubtful.
    pub(super) fn has_no_doubt_beyond(&self, accepted: &Self) -> bool {
        let of_media = |receipt: &Self| {
            let examination = receipt.examination.as_ref();
            let anomaly = examination.and_then(MediaExamination::anomaly);
            (receipt.media_verdict(), anomaly.map(str::to_owned))
        };
        let of_metadata = &self.metadata_anomaly;
        self.media.sha256 == accepted.media.sha256
            && (self.media_verdict() == MediaVerdict::Agrees
                || of_media(self) == of_media(accepted))
            && (of_metadata.is_none() || *of_metadata == accepted.metadata_anomaly)
            && (!self.is_without_metadata_for_good() || accepted.is_without_metadata_for_good())
            && accepted.says_lacking(&self.unprotected)
    }

    /// Result of the media examination.
    pub fn examination(&self) -> Option<&MediaExamination> {
        self.examination.as_ref()
    }

    /// Notices about the media.
    pub fn notices(&self) -> &[MediaNotice] {
        let examination = self.examination.as_ref();
        examination.map_or(&[], |examination| &examination.notices)
    }

    /// The verdict of the media examination. Without an examination there is no agreement.
    pub fn media_verdict(&self) -> MediaVerdict {
        let examination = self.examination.as_ref();
        examination.map_or(MediaVerdict::Unknown, |examination| examination.verdict)
    }

    pub fn media(&self) -> &VerifiedFile {
        &self.media
    }

    /// Its media, and its metadata where there is some.
    pub fn files(&self) -> impl Iterator<Item = &VerifiedFile> {
        std::iter::once(&self.media).chain(&self.metadata)
    }

    pub fn metadata(&self) -> Option<&VerifiedFile> {
        self.metadata.as_ref()
    }

    pub fn verified_at(&self) -> Timestamp {
        self.verified_at
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::media::MediaProbe;
    use crate::media::plausibility::Plausibility;

    /// The proof of a copy of one byte, at home.
    pub(crate) fn receipt() -> ExportReceipt {
        receipt_in(VaultName::Home)
    }

    pub(in crate::export) fn receipt_in(vault: VaultName) -> ExportReceipt {
        let digest = Sha256Digest::of(b"a");
        let name = "a/b.wav".parse().expect("it is a safe name");
        let media = VerifiedFile::new(name, 1, digest, "e".into());
        let verified_at = "2026-03-02T10:00:00Z".parse().expect("it is a time");
        ExportReceipt::new(media, None, vault, None, verified_at)
    }

    pub(crate) fn receipt_in_backup() -> ExportReceipt {
        receipt_in(VaultName::Backup)
    }

    /// A proof of a copy whose media contradicts its event.
    pub(crate) fn doubtful_receipt() -> ExportReceipt {
        let probe = MediaProbe::new(0).finish();
        let disagrees = Plausibility::Disagrees("the file is a web page".to_owned());
        let proof = receipt();
        let examination = MediaExamination::of(&probe, 0, disagrees);
        ExportReceipt::new(
            proof.media.clone(),
            None,
            VaultName::Home,
            Some(examination),
            proof.verified_at,
        )
    }

    #[test]
    fn a_receipt_says_no_less_only_if_it_says_the_same_or_has_metadata_besides() {
        let (first, doubtful) = (receipt(), doubtful_receipt());
        let later = ExportReceipt {
            verified_at: Timestamp::MAX,
            ..first.clone()
        };
        assert!(first.says_no_less_than(&later));
        assert!(!doubtful.says_no_less_than(&first) && !first.says_no_less_than(&doubtful));
        let unprotected = first.clone().also_lacking(vec![Protection::Retention]);
        assert!(!unprotected.says_no_less_than(&first));
        assert!(!first.says_no_less_than(&unprotected));
        let with_metadata = ExportReceipt {
            metadata: Some(first.media.clone()),
            ..first.clone()
        };
        assert!(with_metadata.says_no_less_than(&first));
        assert!(!first.says_no_less_than(&with_metadata));
    }
}
