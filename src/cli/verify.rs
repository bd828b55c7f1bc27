//! `recording-vault verify`: compares every copy with its receipt.

mod subset;

use std::collections::BTreeSet;
use std::fmt;

use clap::Args;
use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::layout::{self, BlobName};
use recording_vault::export::receipt::VerifiedFile;
use recording_vault::export::recheck::{self, Depth};
use recording_vault::export::{ExportReceipt, LedgerEntry};
use recording_vault::recording::{DocumentId, RecordingChunk};
use serde::Serialize;

use super::exit::Exit;
use super::list::is_of;
use super::output::Output;
use super::progress;
use super::vault_receipts::vault_receipts;
use subset::ReadSubset;

/// Copies that are looked at together.
const AT_ONCE: usize = 4;

/// The arguments of `verify`: which copies to verify, and how closely.
#[derive(Args)]
pub struct Verify {
    /// Chunks to verify; all, if none is named
    #[arg(conflicts_with = "of")]
    documents: Vec<DocumentId>,
    /// Only chunks of a recording or call whose id contains this
    #[arg(long)]
    of: Option<String>,
    /// Also read and hash copies: `all`, a share such as `5%`, or one of several groups, such as `2/7`
    #[arg(long, value_name = "SUBSET")]
    read_data_subset: Option<ReadSubset>,
    /// The seed of a share; a run prints its own, and the same seed selects the same copies
    #[arg(long)]
    seed: Option<u64>,
}

impl Verify {
    /// # Errors
    /// When the ledger cannot be read or the vault cannot be listed. A wrong copy is no error.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let report = verify(&compose::app(config)?, &self).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.wrong.is_empty()))
    }
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
async fn verify(app: &App, arguments: &Verify) -> anyhow::Result<VerifyReport> {
    let (mut copies, mut wrong) = copies(app, arguments).await?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    if let Some(subset) = arguments.read_data_subset {
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
    let seed = arguments
        .read_data_subset
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

async fn copies(app: &App, arguments: &Verify) -> anyhow::Result<(Vec<Copy>, Vec<WrongCopy>)> {
    let (ledger, mut copies, mut wrong) = (&app.ledger, Vec::new(), Vec::new());
    let is_wanted =
        |chunk: &RecordingChunk| arguments.of.as_ref().is_none_or(|part| is_of(chunk, part));
    if !arguments.documents.is_empty() {
        for id in &arguments.documents {
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
    let mut receipts = vault_receipts(app).await?;
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
