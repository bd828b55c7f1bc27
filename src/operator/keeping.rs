//! The verbs `hold` and `retention` at the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::recording::{CallId, RecordingId};
use recording_vault::store::holds::{CaseTag, Held};
use recording_vault::verbs::hold::{self as holding, HeldFor};
use recording_vault::verbs::retention as retaining;

use super::{EXIT_INCOMPLETE, print};

/// What there is to do about holds.
#[derive(Subcommand)]
pub enum HoldVerb {
    /// Hold a recording, or all recordings of a call, for a case
    Add {
        /// The case
        #[arg(long = "case")]
        tag: CaseTag,
        /// Who wants it held
        #[arg(long)]
        by: Option<String>,
        /// Why
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        what: What,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Release a case; what no other case holds is deleted again as its policy says
    Release {
        /// The case
        #[arg(long = "case")]
        tag: CaseTag,
        #[command(flatten)]
        what: What,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// List what is held, and by which cases
    List {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// What there is to do about copies that are past their policy.
#[derive(Subcommand)]
pub enum RetentionVerb {
    /// List copies in the vault that are past `VAULT_RETENTION`, and what holds them
    Plan {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Delete these copies from the vault, but for what is held; may be repeated
    Apply {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// One recording, or one call.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// The recording's `recordingId`
    #[arg(long)]
    recording: Option<RecordingId>,
    /// The call's `callId` or `serverCallId`, as events give them
    #[arg(long)]
    call: Option<CallId>,
}

impl What {
    fn held(self) -> Option<Held> {
        self.recording
            .map(Held::RecordingId)
            .or(self.call.map(Held::CallId))
    }
}

pub async fn hold(config: Config, verb: HoldVerb) -> anyhow::Result<ExitCode> {
    let app = compose::app(config)?;
    let of_what = |what: What| {
        what.held()
            .ok_or_else(|| anyhow::anyhow!("neither a recording nor a call is named"))
    };
    match verb {
        HoldVerb::Add {
            tag,
            by,
            note,
            what,
            json,
        } => {
            let report = holding::add(&app, of_what(what)?, HeldFor { tag, by, note }).await?;
            print(json).report(&report);
            // What is gone cannot be held: somebody has to know.
            Ok(if report.gone.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_INCOMPLETE)
            })
        }
        HoldVerb::Release { tag, what, json } => {
            let report = holding::release(&app, of_what(what)?, tag).await?;
            print(json).report(&report);
            Ok(if report.was_held {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_INCOMPLETE)
            })
        }
        HoldVerb::List { json } => {
            print(json).report(&holding::list(&app).await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub async fn retention(config: Config, verb: RetentionVerb) -> anyhow::Result<ExitCode> {
    let app = compose::app(config)?;
    let Some(retention) = &app.retention else {
        crate::complain(
            "VAULT_RETENTION is not set: copies are kept for ever; set it, such as to 8760h, to let old ones go\n",
        );
        return Ok(ExitCode::from(crate::EXIT_CONFIG));
    };
    match verb {
        RetentionVerb::Plan { json } => {
            print(json).report(&retaining::plan(retention, app.clock.now()).await?);
            Ok(ExitCode::SUCCESS)
        }
        RetentionVerb::Apply { json } => {
            let report = retaining::apply(retention).await?;
            print(json).report(&report);
            Ok(if report.failed.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_INCOMPLETE)
            })
        }
    }
}
