//! `recording-vault verify`: compares every copy with its receipt.

mod copies;
mod subset;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use clap::Args;
use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::catalogue::label;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ExportReceipt;
use recording_vault::export::recheck::Depth;
use recording_vault::operator_actions::verify::CopyCheck;
use recording_vault::recording::DocumentId;
use recording_vault::visible;
use serde::Serialize;
use serde_json::json;

use self::copies::{Selection, select};
use self::subset::ReadSubset;
use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output, complain};
use super::progress;
use super::shell_user;

/// Copies that are checked at once.
const AT_ONCE: usize = 4;

/// The arguments of `verify`: which copies to verify, and how closely.
#[derive(Args)]
pub struct Verify {
    /// Chunks to verify; all, if none is named
    #[arg(conflicts_with = "of", value_parser = argument::chunk)]
    documents: Vec<DocumentId>,
    /// Only chunks of a recording or call whose id contains this
    #[arg(long, value_parser = argument::text)]
    of: Option<String>,
    /// Also read and hash copies: `all`, a share such as `5%`, or one of several groups, such as `2/7`
    #[arg(long, value_name = "SUBSET")]
    read_data_subset: Option<ReadSubset>,
    /// The seed of a share; a run prints its own, and the same seed selects the same copies
    #[arg(long)]
    seed: Option<u64>,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyReport {
    verified: usize,
    /// Copies that were also read from end to end.
    read: usize,
    read_bytes: u64,
    /// The seed that selects the same copies again.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Copies that do not match their receipts.
    wrong: Vec<ProblemCopy>,
    /// Chunks that were named, and that the ledger does not know.
    unknown: Vec<DocumentId>,
    /// Chunks that were named and have no copy, and why.
    without_copy: Vec<ProblemCopy>,
    /// Copies that could not be checked: their state is unknown.
    not_checked: Vec<ProblemCopy>,
}

/// A copy and its problems.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemCopy {
    document_id: DocumentId,
    problems: Vec<String>,
}

impl Verify {
    /// # Errors
    /// When the ledger cannot be read or the vault cannot be listed. A wrong copy is no error.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let report = self.verify(&existing::open(config).await?).await?;
        if report.is_empty() {
            let none = match &self.of {
                Some(part) => format!(
                    "No copy matches `{}`: no recording or call whose id contains it has one.",
                    visible::one_line(part)
                ),
                None => "No chunk has a copy in a vault yet; nothing was verified.".to_owned(),
            };
            return Ok(output.decline(NoReport::NotFound, none)?);
        }
        output.report(&report)?;
        let none = report.unknown.len() + report.without_copy.len();
        Ok(
            match (report.wrong.len() + none, report.not_checked.len()) {
                (0, 0) => Exit::Fine,
                (0, _) => Exit::NotDone,
                (_, _) => Exit::NeedsAttention,
            },
        )
    }

    async fn verify(&self, app: &App) -> anyhow::Result<VerifyReport> {
        let Selection {
            mut copies,
            wrong,
            unknown,
            without_copy,
            not_checked,
        } = select(app, &self.named(), self.of.as_deref()).await?;
        let seed = self.seed.unwrap_or_else(rand::random);
        if let Some(subset) = self.read_data_subset {
            let chosen = subset.choose(copies.iter().map(|copy| &copy.document_id), seed);
            let mut chosen = copies
                .iter_mut()
                .filter(|copy| chosen.contains(&copy.document_id));
            chosen.by_ref().for_each(|copy| copy.depth = Depth::Read);
        }
        let read = || copies.iter().filter(|copy| copy.depth == Depth::Read);
        let is_random = self.read_data_subset.is_some_and(ReadSubset::is_random);
        let mut report = VerifyReport {
            verified: copies.len(),
            read: read().count(),
            read_bytes: read()
                .map(|copy| copy.proved.receipt.media().size_bytes())
                .sum(),
            seed: is_random.then_some(seed),
            wrong,
            unknown,
            without_copy,
            not_checked,
        };
        let bar = progress::bar(copies.len(), "copies verified");
        let mut looking = futures::stream::iter(copies)
            .map(|copy| async move {
                let check = copy.proved.check(&app.vaults, copy.depth).await;
                (copy, check)
            })
            .buffered(AT_ONCE);
        let mut checked: BTreeMap<DocumentId, CheckedCopies> = BTreeMap::new();
        while let Some((copy, check)) = looking.next().await {
            bar.inc(1);
            let (wrong, not_checked) = (check.wrong.clone(), check.not_checked.clone());
            let of_chunk = checked.entry(copy.document_id.clone()).or_default();
            of_chunk.was_damaged |= copy.was_damaged;
            of_chunk.receipts.push(copy.proved.receipt);
            of_chunk.check.add(check);
            report.add(copy.document_id, wrong, not_checked);
        }
        bar.finish_and_clear();
        self.note(app, &checked, &report).await?;
        Ok(report)
    }

    /// The chunks that are named, each once.
    fn named(&self) -> Vec<DocumentId> {
        let mut seen = BTreeSet::new();
        let named = self.documents.iter();
        named.filter(|id| seen.insert(*id)).cloned().collect()
    }

    /// Writes one audit record for each chunk that was named, or one for all; and notes in the entries which copies are
    /// damaged, or no longer are. Where there is no copy, there may be no ledger.
    async fn note(
        &self,
        app: &App,
        checked: &BTreeMap<DocumentId, CheckedCopies>,
        report: &VerifyReport,
    ) -> anyhow::Result<()> {
        if checked.is_empty() {
            return Ok(());
        }
        let operator = shell_user::operator();
        let is_named = !self.documents.is_empty();
        for (id, copies) in checked {
            if !is_named && !copies.was_damaged && copies.check.wrong.is_empty() {
                continue;
            }
            let (receipts, check) = (&copies.receipts, &copies.check);
            let noted = app.actions.note_checked(id, receipts, check, &operator);
            match noted.await {
                Ok(()) => {}
                Err(error) if is_named => return Err(error.into()),
                // Its entry may be unreadable. The report names the copy.
                Err(error) => complain(&format!(
                    "What is wrong with the copy of {id} could not be noted in the ledger: {}.\n",
                    ErrorChain(&error)
                )),
            }
        }
        if !is_named {
            let detail = json!({
                "copies": report.verified,
                "wrong": report.wrong.len(),
                "notChecked": report.not_checked.len(),
            });
            app.actions
                .note_verified("vault", &operator, detail)
                .await?;
        }
        Ok(())
    }
}

/// The copies of one chunk, in the order of its entry, and what was found of them.
#[derive(Debug, Default)]
struct CheckedCopies {
    receipts: Vec<ExportReceipt>,
    check: CopyCheck,
    was_damaged: bool,
}

impl VerifyReport {
    /// Whether nothing was selected: that is no "all is well".
    fn is_empty(&self) -> bool {
        self.verified == 0
            && self.wrong.is_empty()
            && self.unknown.is_empty()
            && self.without_copy.is_empty()
            && self.not_checked.is_empty()
    }

    fn add(&mut self, document_id: DocumentId, wrong: Vec<String>, not_checked: Vec<String>) {
        let lists = [
            (&mut self.wrong, wrong),
            (&mut self.not_checked, not_checked),
        ];
        for (list, problems) in lists {
            if !problems.is_empty() {
                let document_id = document_id.clone();
                list.push(ProblemCopy {
                    document_id,
                    problems,
                });
            }
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in &self.unknown {
            visible::write_part(f, format_args!("UNKNOWN: {id}"))?;
            f.write_str("\n  it is not in the ledger\n")?;
        }
        for (mark, copies) in [
            ("WRONG", &self.wrong),
            ("NO COPY", &self.without_copy),
            ("NOT CHECKED", &self.not_checked),
        ] {
            for copy in copies {
                visible::write_part(f, format_args!("{mark}: {}", copy.document_id))?;
                let mut problems = copy.problems.iter();
                problems
                    .try_for_each(|problem| visible::write_line(f, format_args!("  {problem}")))?;
                f.write_str("\n")?;
            }
        }
        let verdict = match (self.wrong.len(), self.not_checked.len()) {
            (0, 0) if self.verified == 0 => String::new(),
            (0, 0) => ": every one is what its receipt says".to_owned(),
            (0, unknown) => format!(": {unknown} could not be checked"),
            (wrong, 0) => format!(": {wrong} NOT as the receipt says"),
            (wrong, unknown) => {
                format!(": {wrong} NOT as the receipt says, {unknown} could not be checked")
            }
        };
        let copies = counted(self.verified, "copy", "copies");
        visible::write_part(f, format_args!("{copies} verified{verdict}."))?;
        match self.unknown.len() {
            0 => {}
            1 => f.write_str(" 1 chunk is unknown.")?,
            count => visible::write_part(f, format_args!(" {count} chunks are unknown."))?,
        }
        match self.without_copy.len() {
            0 => {}
            1 => f.write_str(" 1 chunk has no copy.")?,
            count => visible::write_part(f, format_args!(" {count} chunks have no copy."))?,
        }
        if self.read > 0 {
            let Self {
                read, read_bytes, ..
            } = self;
            let were = if *read == 1 { "was" } else { "were" };
            visible::write_part(
                f,
                format_args!(
                    " {read} of them {were} read from end to end, {}.",
                    label::size(*read_bytes)
                ),
            )?;
        }
        if let Some(seed) = self.seed {
            visible::write_line(
                f,
                format_args!("The same ones are read with `--seed {seed}`."),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> VerifyReport {
        VerifyReport {
            verified: 2,
            read: 0,
            read_bytes: 0,
            seed: None,
            wrong: Vec::new(),
            unknown: Vec::new(),
            without_copy: Vec::new(),
            not_checked: Vec::new(),
        }
    }

    #[test]
    fn a_copy_that_could_not_be_looked_at_is_not_called_wrong_nor_fine() {
        let mut report = report();
        report.add(
            "a".parse().unwrap(),
            Vec::new(),
            vec!["timed out".to_owned()],
        );
        let text = report.to_string();
        assert!(text.starts_with("NOT CHECKED: a\n  timed out\n"), "{text}");
        assert!(
            text.ends_with("2 copies verified: 1 could not be checked."),
            "{text}"
        );
    }

    #[test]
    fn a_chunk_without_a_copy_is_not_called_wrong() {
        let mut report = report();
        report.verified = 0;
        report.unknown = vec!["a".parse().unwrap()];
        report.without_copy = vec![ProblemCopy {
            document_id: "b".parse().unwrap(),
            problems: vec!["it has no copy: it is pending".to_owned()],
        }];
        assert!(!report.is_empty());
        assert_eq!(
            report.to_string(),
            "UNKNOWN: a\n  it is not in the ledger\n\
             NO COPY: b\n  it has no copy: it is pending\n\
             0 copies verified. 1 chunk is unknown. 1 chunk has no copy."
        );
    }
}
