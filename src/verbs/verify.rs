//! `recording-vault verify`: is every copy still what its receipt says?

mod subset;

use std::collections::BTreeSet;
use std::fmt;

use futures::StreamExt as _;
use serde::Serialize;

pub use subset::ReadSubset;

use super::{list, progress};
use crate::app::App;
use crate::error_chain::ErrorChain;
use crate::export::layout::{self, BlobName};
use crate::export::receipt::VerifiedFile;
use crate::export::recheck::{self, Depth};
use crate::export::{ExportReceipt, LedgerEntry};
use crate::recording::{DocumentId, RecordingChunk};

/// Copies that are looked at together.
const AT_ONCE: usize = 4;

/// Which copies to verify, and how closely.
#[derive(Debug, Clone, Default)]
pub struct WantedCopies {
    /// All, if none is named.
    pub documents: Vec<DocumentId>,
    /// Part of the id of a recording or a call.
    pub of: Option<String>,
    /// Of which ones the content is read, too.
    pub read: Option<ReadSubset>,
    /// Which ones a share picks; a random number, unless given.
    pub seed: Option<u64>,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    pub verified: usize,
    /// Of these, copies that were read from end to end because it was asked for.
    pub read: usize,
    pub read_bytes: u64,
    /// With this one the same copies are read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    pub wrong: Vec<WrongCopy>,
}

/// A copy that is not what its receipt says, or cannot be looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrongCopy {
    pub document_id: DocumentId,
    pub problems: Vec<String>,
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verified,
            read,
            read_bytes,
            wrong,
            ..
        } = self;
        for copy in wrong {
            writeln!(f, "WRONG: {}", copy.document_id)?;
            copy.problems
                .iter()
                .try_for_each(|problem| writeln!(f, "  {problem}"))?;
        }
        let judgement = match wrong.len() {
            0 => "every one is what its receipt says".to_owned(),
            wrong => format!("{wrong} NOT as the receipt says"),
        };
        write!(f, "{verified} copies verified: {judgement}.")?;
        if *read > 0 {
            write!(
                f,
                " {read} of them were read from end to end, {read_bytes} bytes."
            )?;
        }
        if let Some(seed) = self.seed {
            write!(f, "\nThe same ones are read with `--seed {seed}`.")?;
        }
        Ok(())
    }
}

/// One copy to look at.
struct Copy {
    chunk: RecordingChunk,
    receipt: ExportReceipt,
    /// Where its receipt should lie.
    kept_at: BlobName,
    depth: Depth,
}

/// Verifies the copies that the ledger has a receipt for and, unless some are named, those of receipts that lie in the vault
/// and are unknown to the ledger.
///
/// # Errors
/// When the ledger cannot be read or the vault not listed. What is wrong with a copy is no error.
pub async fn run(app: &App, wanted: &WantedCopies) -> anyhow::Result<VerifyReport> {
    let (mut copies, mut wrong) = copies(app, wanted).await?;
    let seed = wanted.seed.unwrap_or_else(rand::random);
    if let Some(subset) = wanted.read {
        let chosen = subset.choose(copies.iter().map(|copy| &copy.chunk.document_id), seed);
        copies
            .iter_mut()
            .filter(|copy| chosen.contains(&copy.chunk.document_id))
            .for_each(|copy| copy.depth = Depth::Read);
    }
    let read = || copies.iter().filter(|copy| copy.depth == Depth::Read);
    let (read, read_bytes) = (
        read().count(),
        read().map(|copy| copy.receipt.media().size_bytes()).sum(),
    );
    let verified = copies.len();
    let bar = progress::bar(verified, "copies verified");
    let mut looking = futures::stream::iter(copies)
        .map(|copy| async move { problems(app, copy).await })
        .buffered(AT_ONCE);
    while let Some((document_id, problems)) = looking.next().await {
        bar.inc(1);
        if !problems.is_empty() {
            wrong.push(WrongCopy {
                document_id,
                problems,
            });
        }
    }
    bar.finish_and_clear();
    let seed = wanted
        .read
        .filter(|subset| subset.is_random())
        .map(|_| seed);
    Ok(VerifyReport {
        verified,
        read,
        read_bytes,
        seed,
        wrong,
    })
}

async fn copies(app: &App, wanted: &WantedCopies) -> anyhow::Result<(Vec<Copy>, Vec<WrongCopy>)> {
    let (ledger, mut copies, mut wrong) = (&app.ledger, Vec::new(), Vec::new());
    let is_wanted = |chunk: &RecordingChunk| {
        wanted
            .of
            .as_ref()
            .is_none_or(|part| list::is_of(chunk, part))
    };
    if !wanted.documents.is_empty() {
        for id in &wanted.documents {
            match ledger.find(id).await?.map(|found| copy(found.entry)) {
                Some(Ok(copy)) => copies.push(copy),
                Some(Err(state)) => {
                    wrong.push(without_copy(id, &format!("it has no copy: it is {state}")))
                }
                None => wrong.push(without_copy(id, "it is not in the ledger")),
            }
        }
        return Ok((copies, wrong));
    }
    let mut receipts = super::receipts(app).await?;
    let mut known = BTreeSet::new();
    let entries = ledger.entries(|entry| {
        is_wanted(&entry.chunk) || receipts.contains_key(entry.chunk.document_id.as_str())
    });
    for entry in entries.await? {
        known.insert(entry.chunk.document_id.to_string());
        // What has no copy, by its state, is not this verb's matter.
        copies.extend(
            Some(entry)
                .filter(|entry| is_wanted(&entry.chunk))
                .and_then(|entry| copy(entry).ok()),
        );
    }
    receipts.retain(|id, _| !known.contains(id));
    for (id, name) in receipts {
        let Ok(id) = id.parse::<DocumentId>() else {
            continue;
        };
        match recheck::kept_receipt(app.vaults.home(), &name).await? {
            Some(kept) if kept.chunk.document_id != id => {
                wrong.push(without_copy(
                    &id,
                    &format!("the receipt `{name}` is that of {}", kept.chunk.document_id),
                ));
            }
            Some(kept) if is_wanted(&kept.chunk) => {
                copies.push(Copy {
                    chunk: kept.chunk,
                    receipt: kept.receipt,
                    kept_at: name,
                    depth: Depth::Described,
                });
            }
            Some(_) => {}
            None => wrong.push(without_copy(
                &id,
                &format!("the receipt `{name}` is not readable"),
            )),
        }
    }
    Ok((copies, wrong))
}

/// # Errors
/// The state of what has no copy.
fn copy(entry: LedgerEntry) -> Result<Copy, &'static str> {
    let receipt = entry.state.receipt().ok_or(entry.state.name())?.clone();
    let kept_at = layout::receipt(&entry.folder, &entry.chunk);
    Ok(Copy {
        chunk: entry.chunk,
        receipt,
        kept_at,
        depth: Depth::Described,
    })
}

fn without_copy(id: &DocumentId, problem: &str) -> WrongCopy {
    WrongCopy {
        document_id: id.clone(),
        problems: vec![problem.to_owned()],
    }
}

async fn problems(app: &App, copy: Copy) -> (DocumentId, Vec<String>) {
    let Copy {
        chunk,
        receipt,
        kept_at,
        depth,
    } = copy;
    let vaults = &app.vaults;
    let mut problems = Vec::new();
    for file in std::iter::once(receipt.media()).chain(receipt.metadata()) {
        match vaults.recheck(&receipt, file, depth).await {
            Ok(Ok(())) => {}
            Ok(Err(mismatch)) => problems.push(mismatch.to_string()),
            Err(error) => problems.push(ErrorChain(&error).to_string()),
        }
    }
    let kept = match vaults.get(receipt.vault(), &kept_at) {
        Ok(vault) => recheck::kept_receipt(vault, &kept_at).await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(Some(kept)) if contents(&kept.receipt).eq(contents(&receipt)) => {}
        Ok(Some(_)) => problems.push(format!(
            "the receipt `{kept_at}` says another length or SHA-256 than the ledger"
        )),
        Ok(None) => problems.push(format!(
            "the receipt `{kept_at}` is not there, or not readable"
        )),
        Err(error) => problems.push(ErrorChain(&error).to_string()),
    }
    (chunk.document_id, problems)
}

/// What a receipt says of its files' content.
fn contents(receipt: &ExportReceipt) -> impl Iterator<Item = (&BlobName, u64, String)> {
    let said = |file: &VerifiedFile| (file.size_bytes(), file.sha256().to_string());
    let files = std::iter::once(receipt.media()).chain(receipt.metadata());
    files.map(move |file| {
        let (size_bytes, sha256) = said(file);
        (file.name(), size_bytes, sha256)
    })
}
