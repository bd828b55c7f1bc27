//! `recording-vault acknowledge` and `dismiss`: record, with a reason, that a loss or an unreadable event is known.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ledger::Dismissed;
use recording_vault::operator_actions::acknowledge::Acknowledging;
use recording_vault::operator_actions::given;
use recording_vault::recording::{DocumentId, RecordingId};
use recording_vault::store::audit::{AcknowledgedLoss, CheckpointRef};
use recording_vault::visible;
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::Output;
use super::shell_user;

/// The arguments of `acknowledge`.
#[derive(Args)]
pub struct Acknowledge {
    /// A recording or a chunk that is lost, failed, missing or incomplete, or `checkpoint:<number>:<sha256>`, a checkpoint of
    /// the audit log that is missing
    id: String,
    /// Why it needs no further search; it must not name a person
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// The arguments of `dismiss`.
#[derive(Args)]
pub struct Dismiss {
    /// An event that could not be read: `poison:<sha256>`
    event: String,
    /// Why nothing is lost by it; it must not name a person
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct AcknowledgeReport {
    id: String,
    #[serde(flatten)]
    outcome: Acknowledging,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct DismissReport {
    event: String,
    outcome: &'static str,
}

impl Acknowledge {
    /// # Errors
    /// When there is no vault, or the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let outcome = Box::pin(acknowledge(&app, &self.id, &self.reason)).await?;
        let exit = Exit::fine_if(matches!(
            outcome,
            Acknowledging::Acknowledged { .. } | Acknowledging::AlreadyAcknowledged
        ));
        let id = self.id;
        output.report(&AcknowledgeReport { id, outcome })?;
        Ok(exit)
    }
}

/// `checkpoint:…` means a missing checkpoint, an id of a chunk that is in the ledger means that chunk, any other a recording.
async fn acknowledge(app: &App, id: &str, reason: &str) -> anyhow::Result<Acknowledging> {
    let operator = shell_user::operator();
    if let Some(checkpoint) = id.strip_prefix("checkpoint:")
        && let Ok(checkpoint) = checkpoint.parse::<CheckpointRef>()
    {
        let audit = app.ledger.audit();
        let acknowledged = audit.acknowledge_lost(checkpoint, reason, &operator);
        return Ok(match acknowledged.await? {
            AcknowledgedLoss::Acknowledged => Acknowledging::Acknowledged {
                chunks: Vec::new(),
                problems: Vec::new(),
            },
            AcknowledgedLoss::AlreadyAcknowledged => Acknowledging::AlreadyAcknowledged,
            AcknowledgedLoss::Unknown => Acknowledging::Unknown,
        });
    }
    if let Ok(document) = id.parse::<DocumentId>() {
        let chunk = app.actions.acknowledge_chunk(&document, reason, &operator);
        match chunk.await? {
            Acknowledging::Unknown => {}
            known @ (Acknowledging::Acknowledged { .. }
            | Acknowledging::AlreadyAcknowledged
            | Acknowledging::NothingToAcknowledge { .. }) => return Ok(known),
        }
    }
    match id.parse::<RecordingId>() {
        Ok(recording) => Ok(app
            .actions
            .acknowledge_recording(&recording, reason, &operator)
            .await?),
        Err(_) => Ok(Acknowledging::Unknown),
    }
}

impl Dismiss {
    /// # Errors
    /// When there is no vault, or the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let sha256 = self.event.strip_prefix("poison:").unwrap_or(&self.event);
        let operator = shell_user::operator();
        let dismissed = app.actions.dismiss(sha256, &self.reason, &operator);
        let dismissed = dismissed.await?;
        output.report(&DismissReport {
            event: self.event,
            outcome: match dismissed {
                Dismissed::Dismissed => "dismissed",
                Dismissed::AlreadyDismissed => "alreadyDismissed",
                Dismissed::Unknown => "unknown",
            },
        })?;
        Ok(Exit::fine_if(dismissed != Dismissed::Unknown))
    }
}

impl fmt::Display for AcknowledgeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        match &self.outcome {
            Acknowledging::Acknowledged { chunks, problems } => {
                visible::write_part(f, format_args!("{id} is acknowledged"))?;
                for chunk in chunks {
                    visible::write_line(f, format_args!("  chunk {chunk}"))?;
                }
                problems
                    .iter()
                    .try_for_each(|problem| visible::write_line(f, format_args!("  {problem}")))
            }
            Acknowledging::AlreadyAcknowledged => {
                visible::write_part(f, format_args!("{id} was acknowledged before"))
            }
            Acknowledging::NothingToAcknowledge { standing } => visible::write_part(
                f,
                format_args!("{id} is {standing}; there is no loss to acknowledge"),
            ),
            Acknowledging::Unknown => visible::write_part(
                f,
                format_args!(
                    "{id} is neither a chunk nor a recording here, nor a checkpoint that a sweep missed"
                ),
            ),
        }
    }
}

impl fmt::Display for DismissReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.outcome {
            "dismissed" => "is dismissed",
            "alreadyDismissed" => "was dismissed or processed before",
            _ => "is not the id of an unreadable event; `recording-vault list` lists them",
        };
        visible::write_part(f, format_args!("{} {what}", self.event))
    }
}

/// A reason that is not empty, and does not evidently name anyone.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("expected a reason".to_owned());
    }
    given::check_kept(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}
