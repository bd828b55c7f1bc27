//! `recording-vault hold`: what must not be deleted, and for which case.

mod kept;
mod subject;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IsTerminal as _};

use clap::Subcommand;
use recording_vault::app::App;
use recording_vault::catalogue::still_held::StillHeld;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::operator_actions::hold::{
    DoubtfulHold, Holding, HoldsNow, ListedHolds, Releasing, RequestedHold,
};
use recording_vault::recording::{DocumentId, RecordingId};
use recording_vault::store::holds::{self, Added, Case, CaseTag, Held, ReleaseOutcome, tags};
use recording_vault::visible;
use serde::Serialize;

use self::kept::{kept_by, not_known};
use self::subject::{HoldSubject, ReleaseCommand, ReleasedSubject};
use super::argument;
use super::deletion::is_confirmed;
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};
use super::shell_user;

// A person and the ends of a period combine; clap would show them as alternatives.
const RELEASE_USAGE: &str = "recording-vault hold release [OPTIONS] --case <TAG> <--recording <RECORDING>|--call <CALL>|[--person <PERSON>] [--from <DAY>] [--to <DAY>]>";
const ADD_USAGE: &str = "recording-vault hold add [OPTIONS] --case <TAG> <--recording <RECORDING>|--call <CALL>|[--person <PERSON>] [--from <DAY>] [--to <DAY>]>";

/// The verbs of `hold`.
#[derive(Subcommand)]
pub enum Hold {
    /// Hold a recording, a call, or all recordings of a person or a period for a case
    #[command(override_usage = ADD_USAGE)]
    Add {
        /// The case; the audit log keeps it, so it must not name a person
        #[arg(long = "case", value_parser = argument::new_case)]
        tag: CaseTag,
        /// Who requests the hold
        #[arg(long, value_parser = argument::short_text)]
        by: Option<String>,
        /// Why; it must not name a person
        #[arg(long, value_parser = argument::kept_text)]
        note: Option<String>,
        /// Add a hold that matches nothing without asking, also in a ledger that is empty although there were recordings;
        /// without a terminal the verb never asks
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        subject: HoldSubject,
    },
    /// Release the hold of a case; holds of other cases remain
    #[command(override_usage = RELEASE_USAGE)]
    Release {
        /// The case
        #[arg(long = "case")]
        tag: CaseTag,
        #[command(flatten)]
        subject: ReleasedSubject,
    },
    /// List holds, with their cases, what each covers now, and the command that releases it
    List,
}

impl Hold {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        match self {
            Self::Add {
                tag,
                by,
                note,
                yes,
                subject,
            } => {
                if let Some(problem) = subject.problem() {
                    return Ok(output.refuse(problem)?);
                }
                // What is recorded later may be held before.
                let app = existing::open_to_write(config, yes).await?;
                if let Some(problem) = subject.without_country(&app) {
                    return Ok(output.refuse(problem)?);
                }
                let held = subject.held(&app).await?.in_one_form();
                if !yes && io::stdin().is_terminal() && !confirms(&app, &held).await? {
                    return Ok(output.decline(NoReport::NotConfirmed, "nothing was held")?);
                }
                let request = RequestedHold {
                    held,
                    tag,
                    requested_by: by,
                    note,
                };
                let holding = app.actions.hold(request, &shell_user::operator()).await?;
                let is_complete = holding.is_complete();
                output.report(&HoldReport::from(holding))?;
                Ok(Exit::fine_if(is_complete))
            }
            Self::Release { tag, subject } => {
                let subject = HoldSubject::from(subject);
                if let Some(problem) = subject.problem() {
                    return Ok(output.refuse(problem)?);
                }
                let app = existing::open_to_audit(config).await?;
                // A hold that was made with another `DEFAULT_COUNTRY` is released as it was given.
                let without_country = subject.without_country(&app);
                let held = subject.held(&app).await?;
                let operator = shell_user::operator();
                let releasing = app.actions.release(held, tag, &operator).await?;
                let report = ReleaseReport::from(releasing);
                if let Some(problem) = without_country.filter(|_| !report.was_held) {
                    return Ok(output.refuse(problem)?);
                }
                output.report(&report)?;
                Ok(Exit::fine_if(report.was_held))
            }
            Self::List => {
                let app = existing::open_to_audit(config).await?;
                let listing = HoldListing::from(app.actions.holds().await?);
                output.report(&listing)?;
                Ok(Exit::fine_if(listing.is_readable()))
            }
        }
    }
}

/// Asks for confirmation of a hold that matches nothing, because its id may be mistyped.
async fn confirms(app: &App, held: &Held) -> anyhow::Result<bool> {
    if !app.actions.holds_now(held).await?.is_nothing() {
        return Ok(true);
    }
    let about_to =
        format!("No known recording matches: {held}. The hold would apply to future recordings.");
    Ok(is_confirmed(&about_to, "hold")?)
}

/// A hold that is in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldReport {
    held: Held,
    case: CaseTag,
    /// `false`: the case held it already.
    is_new: bool,
    /// Chunks that are known and held; others will be held when they are announced.
    chunks: Vec<DocumentId>,
    /// Chunks that may match, and therefore count as held.
    uncertain: Vec<DocumentId>,
    /// No known recording matches; the hold applies to future recordings.
    matches_nothing: bool,
    /// Chunks whose copies were deleted before, or are being deleted now: they cannot be held any more.
    gone: Vec<DocumentId>,
    /// Chunks whose deletion at ACS began before the hold: whether ACS has them, and keeps them, is unknown.
    in_doubt: Vec<DoubtfulHold>,
    /// Accounts and entries that may belong to it, and are not readable.
    unreadable: Vec<String>,
    /// Recordings that were started with the id that is held, while their files have other ids: they are not held.
    named_otherwise: Vec<RecordingId>,
    #[serde(skip)]
    problems: Vec<String>,
}

impl From<Holding> for HoldReport {
    fn from(holding: Holding) -> Self {
        let problems = holding.problems();
        let matches_nothing = holding.matches_nothing();
        let Holding {
            held,
            tag,
            added,
            chunks,
            gone,
            in_doubt,
            unreadable,
            uncertain,
            named_otherwise,
            is_capped: _,
            recordings: _,
            cases: _,
        } = holding;
        Self {
            held,
            case: tag,
            is_new: added == Added::Added,
            chunks,
            uncertain,
            matches_nothing,
            gone,
            in_doubt,
            unreadable,
            named_otherwise,
            problems,
        }
    }
}

impl fmt::Display for HoldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        let already = if self.is_new { "" } else { " already" };
        visible::write_part(f, format_args!("{}{already} for `{case}`", is_held(held)))?;
        match (self.chunks.len(), self.problems.len()) {
            (0, 0) if self.uncertain.is_empty() => f.write_str(
                "; no such chunk is known yet, and the hold applies as soon as one is announced",
            )?,
            (1, _) => f.write_str("; 1 known chunk is held")?,
            (count, _) => visible::write_part(f, format_args!("; {count} known chunks are held"))?,
        }
        match self.uncertain.len() {
            0 => {}
            1 => {
                f.write_str("; 1 more counts as held, because it may match")?;
            }
            count => visible::write_part(
                f,
                format_args!("; {count} more count as held, because they may match"),
            )?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| visible::write_line(f, format_args!("{problem}")))
    }
}

/// A case that does not hold something any more.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseReport {
    held: Held,
    case: CaseTag,
    /// By this case, before this or an earlier release.
    was_held: bool,
    /// An earlier release did it.
    #[serde(skip)]
    was_released: bool,
    /// Cases that still hold any part of it.
    still: Vec<CaseTag>,
    /// How many of the recordings that it covered are still held.
    still_held: StillHeld,
}

impl From<Releasing> for ReleaseReport {
    fn from(releasing: Releasing) -> Self {
        let was_held = match releasing.outcome {
            // A release that is repeated because its response was lost gets the same response.
            ReleaseOutcome::Released | ReleaseOutcome::ReleasedBefore => true,
            ReleaseOutcome::NeverHeld => false,
        };
        let still: BTreeSet<CaseTag> = releasing.still.into_iter().map(|case| case.tag).collect();
        Self {
            held: releasing.held,
            case: releasing.tag,
            was_held,
            was_released: releasing.outcome == ReleaseOutcome::ReleasedBefore,
            still: still.into_iter().collect(),
            still_held: releasing.still_held,
        }
    }
}

impl fmt::Display for ReleaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        let (is, was) = verbs(held);
        if self.was_held {
            visible::write_part(f, format_args!("{held} {is} no longer held for `{case}`"))?;
            if self.was_released {
                f.write_str("; it was released already")?;
            }
        } else {
            visible::write_part(
                f,
                format_args!(
                    "{held} {was} never held for `{case}`; `recording-vault hold list` prints the command that releases each hold"
                ),
            )?;
        }
        let kept = kept_by(&self.still, &self.still_held);
        let mut lines = kept.into_iter().chain(not_known(&self.still_held));
        lines.try_for_each(|line| visible::write_line(f, format_args!("{line}")))
    }
}

/// All holds in force.
#[derive(Debug, Serialize)]
struct HoldListing {
    holds: Vec<ListedReport>,
    /// Documents of holds that are not readable. Nothing that they may cover is deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

/// A hold, and what it covers now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedReport {
    #[serde(flatten)]
    hold: holds::Hold,
    holds_now: HoldsNow,
}

impl From<ListedHolds> for HoldListing {
    fn from(listed: ListedHolds) -> Self {
        let holds = listed.holds.into_iter().map(|listed| ListedReport {
            hold: listed.hold,
            holds_now: listed.holds_now,
        });
        Self {
            holds: holds.collect(),
            unreadable: listed.unreadable,
        }
    }
}

impl HoldListing {
    /// Whether everything that may belong to a hold could be read.
    fn is_readable(&self) -> bool {
        let mut holds = self.holds.iter();
        self.unreadable.is_empty() && holds.all(|hold| hold.holds_now.unreadable == 0)
    }
}

impl fmt::Display for HoldListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds.is_empty() && self.unreadable.is_empty() {
            return f.write_str("Nothing is held.");
        }
        let mut separator = "";
        for hold in &self.holds {
            f.write_str(separator)?;
            hold.fmt(f)?;
            separator = "\n";
        }
        for key in &self.unreadable {
            f.write_str(separator)?;
            visible::write_part(
                f,
                format_args!("`{key}` is not readable; nothing that it may cover is deleted"),
            )?;
            separator = "\n";
        }
        Ok(())
    }
}

impl fmt::Display for ListedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        visible::write_part(f, format_args!("{}", self.hold.held))?;
        visible::write_line(f, format_args!("  {}", now(&self.holds_now)))?;
        if self.holds_now.named_by_another_key {
            f.write_str("\n  it was added with another `keys/person.json`, so every recording that was named with the present one counts as held: release it and add it again")?;
        }
        for case in &self.hold.cases {
            visible::write_line(f, format_args!("  {}", said_of(case)))?;
            let release = ReleaseCommand {
                held: &self.hold.held,
                case: &case.tag,
            };
            if release.is_complete() {
                visible::write_line(f, format_args!("    {release}"))?;
            }
        }
        Ok(())
    }
}

fn said_of(case: &Case) -> String {
    let since = case.since.strftime("%Y-%m-%dT%H:%M:%SZ");
    let tag = tags(std::slice::from_ref(case));
    let by = case.by.as_ref().map(|by| format!(" by {by}"));
    let name = case.requested_by.as_ref();
    let requested = name.map(|name| format!(", requested by {name}"));
    let note = case.note.as_ref().map(|note| format!(": {note}"));
    let said = [by, requested, note].into_iter().flatten();
    format!("{tag} since {since}{}", said.collect::<String>())
}

/// Describes what a hold covers now.
fn now(holds: &HoldsNow) -> String {
    if holds.is_nothing() {
        return "matches no known recording".to_owned();
    }
    let chunks = counted(holds.chunks, "chunk", "chunks");
    let recordings = counted(holds.recordings, "recording", "recordings");
    let least = if holds.is_capped { "at least " } else { "" };
    let known = if holds.has_no_match() {
        "whether it matches a recording is not known".to_owned()
    } else {
        format!("holds {least}{chunks} of {recordings} now")
    };
    let uncertain = match holds.uncertain_chunks {
        0 => String::new(),
        count => format!(", and {} that may match", counted(count, "chunk", "chunks")),
    };
    let unreadable = match holds.unreadable {
        0 => String::new(),
        1 => "; 1 account or entry that may belong to it is not readable".to_owned(),
        count => format!("; {count} accounts or entries that may belong to it are not readable"),
    };
    format!("{known}{uncertain}{unreadable}")
}

fn is_held(held: &Held) -> String {
    format!("{held} {} held", verbs(held).0)
}

/// The verb for what is held. A rule takes the plural.
fn verbs(held: &Held) -> (&'static str, &'static str) {
    match held {
        Held::RecordingId(_) | Held::CallId(_) => ("is", "was"),
        Held::Matching(_) => ("are", "were"),
    }
}
