//! Examines the media in the vault: is it what the event and the metadata report?

use std::ops::Range;

use bytes::Bytes;

use crate::export::destination::{DestinationError, ExportDestination};
use crate::export::entry::LedgerEntry;
use crate::export::layout;
use crate::export::receipt::{ExportReceipt, VerifiedFile};
use crate::export::receipt_document::{KeptReceipt, RECEIPT_READ_LIMIT};
use crate::export::slots::Turn;
use crate::export::transfer::file::Transferred;
use crate::media::plausibility::{ReportedMedia, examine};
use crate::media::{MediaExamination, MediaNotice, MediaProbe, PassingMedia, SoundLevels};
use crate::recording::{MetadataSummary, Participant, RecordingMetadata};

/// Bytes of a metadata file that are parsed; the rest is only archived.
const METADATA_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// Bytes per read of a file that is read from its beginning.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// Largest file that is read again: twice the largest one of ACS.
const READ_THROUGH_LIMIT: u64 = 1024 * 1024 * 1024;

/// Examines a chunk's media and compares it with what is reported for it. What an earlier examination of the same file
/// has found is kept where this one sees less: the bytes of a file pass by once. A file of which only a part passed by is read
/// again if its format needs all of it.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn examine_media(
    vault: &dyn ExportDestination,
    entry: &LedgerEntry,
    turn: &Turn,
    media: &Transferred,
    metadata: &RecordingMetadata,
) -> Result<MediaExamination, DestinationError> {
    let (file, size_bytes) = (&media.file, media.file.size_bytes());
    let earlier = if media.passing.is_whole(size_bytes) {
        None
    } else {
        earlier_examination(vault, entry, media).await?
    };
    let mut read_again = None;
    // An earlier process committed the file, and was killed before it noted what it had seen.
    let is_unknown = media.passing.is_empty() && earlier.is_none();
    if is_unknown {
        read_again = read_through(vault, file, turn).await?;
    }
    let passing = read_again.as_ref().unwrap_or(&media.passing);
    let mut probe = look(vault, file, passing).await?;
    // A part of it passed by in an earlier turn, and what that would have shown is unknown.
    if probe.found().is_sampled && !is_unknown && !media.passing.is_whole(size_bytes) {
        let passing = read_through(vault, file, turn).await?;
        let sees_more =
            |passing: &PassingMedia| media.passing.is_empty() || passing.is_whole(size_bytes);
        read_again = passing.filter(sees_more);
        if let Some(passing) = &read_again {
            probe = look(vault, file, passing).await?;
        }
    }
    let passing = read_again.as_ref().unwrap_or(&media.passing);
    let sound = best_heard(probe.hear(passing), earlier.as_ref());
    let mut found = probe.finish();
    let earlier = earlier.filter(|_| may_have_seen_more(passing, size_bytes));
    if let Some(earlier) = &earlier {
        earlier.refine(&mut found);
    }
    let plausibility = examine(
        &found,
        size_bytes,
        &ReportedMedia::of(&entry.chunk, metadata),
    );
    let zeros = passing.long_zeros();
    let notices = MediaNotice::of(&found, size_bytes, sound.as_ref(), &zeros, metadata);
    let examination = MediaExamination::of(&found, size_bytes, plausibility)
        .with_sound(sound, passing.zeros())
        .with_notices(notices);
    Ok(match &earlier {
        Some(earlier) => examination.with_findings_of(earlier),
        None => examination,
    })
}

/// Whether an earlier look may have found what a look at `passing` cannot find. A look at the whole file decides alone: an
/// earlier flaw that it does not find is none.
fn may_have_seen_more(passing: &PassingMedia, size_bytes: u64) -> bool {
    !passing.is_whole(size_bytes)
}

/// Examines a file by what passed by, and by reads of the vault.
async fn look(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
    passing: &PassingMedia,
) -> Result<MediaProbe, DestinationError> {
    let probe = MediaProbe::with_parts(file.size_bytes(), passing);
    let mut probe = on_a_thread(probe, MediaProbe::begin).await;
    while let Some(range) = probe.next_read() {
        let bytes = vault.read(file.name(), range).await?;
        probe = on_a_thread(probe, move |probe| probe.feed(&bytes)).await;
    }
    Ok(probe)
}

/// Works on a value where that delays no other task: a look at a file with many parts takes seconds.
async fn on_a_thread<T: Send + 'static>(
    mut value: T,
    work: impl FnOnce(&mut T) + Send + 'static,
) -> T {
    let working = tokio::task::spawn_blocking(move || {
        work(&mut value);
        value
    });
    working.await.expect("a look neither panics nor is aborted")
}

/// The examination of the same file in an earlier receipt: that of the ledger, or the one beside the file where a process
/// was killed before it wrote to the ledger.
async fn earlier_examination(
    vault: &dyn ExportDestination,
    entry: &LedgerEntry,
    media: &Transferred,
) -> Result<Option<MediaExamination>, DestinationError> {
    let of_same_file = |receipt: &ExportReceipt| {
        let identity =
            |file: &VerifiedFile| (file.name().clone(), file.size_bytes(), file.sha256());
        let is_same = identity(receipt.media()) == identity(&media.file);
        receipt.examination().filter(|_| is_same).cloned()
    };
    if let Some(receipt) = entry.state.receipt() {
        return Ok(of_same_file(receipt));
    }
    let name = layout::receipt(&entry.folder, &entry.chunk);
    if !media.passing.is_empty() || vault.version(&name).await?.is_none() {
        return Ok(None);
    }
    let content = vault.read(&name, 0..RECEIPT_READ_LIMIT).await?;
    let kept = serde_json::from_slice::<KeptReceipt>(&content).ok();
    Ok(kept.and_then(|kept| of_same_file(&kept.receipt)))
}

/// Reads a file of the vault from its beginning, as if it were transferred again; `None` if it is larger than [`READ_THROUGH_LIMIT`]. What
/// does not pass before the turn ends is left out.
async fn read_through(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
    turn: &Turn,
) -> Result<Option<PassingMedia>, DestinationError> {
    let size_bytes = file.size_bytes();
    if size_bytes > READ_THROUGH_LIMIT {
        return Ok(None);
    }
    let (mut passing, mut offset) = (PassingMedia::default(), 0);
    while offset < size_bytes && !turn.is_over() {
        let range = offset..(offset + PIECE_BYTES).min(size_bytes);
        let piece = vault.read(file.name(), range).await?;
        if piece.is_empty() {
            break;
        }
        let (at, length) = (offset, piece.len() as u64);
        let pass = move |passing: &mut PassingMedia| passing.pass(size_bytes, at, &piece);
        passing = on_a_thread(passing, pass).await;
        offset += length;
    }
    Ok(Some(passing))
}

/// The sound levels by this look or the earlier one: of which more was heard.
fn best_heard(
    heard: Option<SoundLevels>,
    earlier: Option<&MediaExamination>,
) -> Option<SoundLevels> {
    let earlier = earlier.and_then(|earlier| earlier.sound.clone());
    let heard = heard.into_iter().chain(earlier);
    heard.max_by_key(|sound| sound.seen_per_mille)
}

/// The part of a metadata file that is read.
pub(in crate::export) struct MetadataContent {
    bytes: Bytes,
    is_whole: bool,
}

impl MetadataContent {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole file; `None` if it is longer than what is read.
    pub fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(&*self.bytes)
    }
}

/// Reads a metadata file of the vault.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn metadata_content(
    vault: &dyn ExportDestination,
    metadata: &Transferred,
) -> Result<MetadataContent, DestinationError> {
    let size_bytes = metadata.file.size_bytes();
    let range = 0..size_bytes.min(METADATA_READ_LIMIT);
    Ok(MetadataContent {
        bytes: read(vault, metadata, range).await?,
        is_whole: size_bytes <= METADATA_READ_LIMIT,
    })
}

/// What a previously proved metadata file says.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn summary_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<MetadataSummary, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).summary())
}

/// All people that a previously proved metadata file names.
///
/// # Errors
/// When the vault cannot be read.
pub(in crate::export) async fn people_of(
    vault: &dyn ExportDestination,
    file: &VerifiedFile,
) -> Result<Vec<Participant>, DestinationError> {
    let content = vault
        .read(file.name(), 0..file.size_bytes().min(METADATA_READ_LIMIT))
        .await?;
    Ok(RecordingMetadata::parse(&content).participants)
}

/// Returns a part of a file: from the current transfer, or else from the vault.
async fn read(
    vault: &dyn ExportDestination,
    from: &Transferred,
    range: Range<u64>,
) -> Result<Bytes, DestinationError> {
    if let Some(kept) = from.passing.get(&range) {
        return Ok(Bytes::copy_from_slice(kept));
    }
    vault.read(from.file.name(), range).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_look_counts_unless_all_of_the_file_has_passed_by() {
        let (file, total) = ([7; 100], 100);
        let passing = |from: usize| {
            let mut passing = PassingMedia::default();
            passing.pass(total, from as u64, &Bytes::copy_from_slice(&file[from..]));
            passing
        };
        assert!(!may_have_seen_more(&passing(0), total));
        assert!(may_have_seen_more(&passing(1), total));
        assert!(may_have_seen_more(&PassingMedia::default(), total));
    }
}
