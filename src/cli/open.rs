//! `recording-vault open` and `play-url`: addresses that a person opens in a browser or a player.

use std::fmt;

use clap::Args;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::detail::RecordingLookup;
use recording_vault::catalogue::media::{ChunkFile, FileKind, KnownDamage, ProvedFile};
use recording_vault::catalogue::not_searched::NotSearched;
use recording_vault::config::Config;
use recording_vault::export::recheck::FoundFile;
use recording_vault::recording::{DocumentId, RecordingId};
use recording_vault::store::audit::{AuditAction, Principal};
use recording_vault::visible;
use serde::Serialize;
use serde_json::json;
use url::Url;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::find;
use super::output::{NoReport, Output, complain};
use super::shell_user::{operator, user_and_host};

/// Where the functions of this app are.
#[derive(Debug, Clone, Args)]
pub struct AppUrl {
    /// Where the functions are; by default the variable `FUNCTIONS_URL`
    #[arg(long, value_name = "https://<app>.azurewebsites.net", value_parser = argument::app_url)]
    url: Option<Url>,
}

/// The arguments of `open`.
#[derive(Args)]
pub struct Open {
    /// The recording, or anything by which `find` finds exactly one
    #[arg(value_parser = argument::text)]
    recording: String,
    #[command(flatten)]
    app: AppUrl,
}

/// The arguments of `play-url`.
#[derive(Args)]
pub struct PlayUrl {
    /// The chunk
    #[arg(value_parser = argument::chunk)]
    document: DocumentId,
    #[command(flatten)]
    app: AppUrl,
}

impl AppUrl {
    /// The address of the app.
    fn address(self) -> Result<Url, &'static str> {
        #[expect(
            clippy::disallowed_methods,
            reason = "an address of the shell, which the handler has no setting for"
        )]
        let given = self.url.or_else(|| {
            let url = std::env::var("FUNCTIONS_URL").ok()?;
            argument::app_url(&url).ok()
        });
        given.ok_or(
            "give --url https://<app>.azurewebsites.net, or set FUNCTIONS_URL to an https address: the settings do not say where the functions are",
        )
    }
}

/// An address.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    url: Url,
    /// When it expires; `None`: it requires a key and does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// What a verification found wrong with the copy that it plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<KnownDamage>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        visible::write_part(f, format_args!("{}", self.url))
    }
}

impl Open {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let text = visible::one_line(&self.recording);
        let id = match only_recording(&app, &self.recording).await? {
            Matches::One(id) => id,
            Matches::Many => {
                let many = format!(
                    "more than one recording matches `{text}`; choose one: recording-vault find {text}"
                );
                return Ok(output.refuse(many)?);
            }
            Matches::NotKnown(not_searched) => {
                let unknown =
                    format!("whether a recording matches `{text}` is unknown; give its whole id");
                let rest = not_searched.to_string();
                let lines: Vec<String> = std::iter::once(unknown)
                    .chain(rest.lines().map(str::to_owned))
                    .collect();
                return Ok(output.decline_in_lines(NoReport::Unknown, &lines)?);
            }
            Matches::None => {
                let none = format!("no recording matches `{text}`");
                return Ok(output.decline(NoReport::NotFound, none)?);
            }
        };
        let id = utf8_percent_encode(&id, NON_ALPHANUMERIC);
        match self.app.address() {
            Ok(url) => {
                output.report(&Address {
                    url: url.join(&format!("/api/vault/#/recordings/{id}"))?,
                    expires_at: None,
                    damage: None,
                })?;
                Ok(Exit::Fine)
            }
            Err(why) => Ok(output.refuse(why)?),
        }
    }
}

/// The recordings that a text finds.
enum Matches {
    One(String),
    Many,
    /// Others, that could not be searched, may match too.
    NotKnown(NotSearched),
    None,
}

async fn only_recording(app: &App, text: &str) -> anyhow::Result<Matches> {
    if let Ok(id) = text.parse::<RecordingId>() {
        match app.catalogue.show(&id).await {
            Ok(RecordingLookup::Known(_)) => return Ok(Matches::One(id.to_string())),
            // It may be another text than an id.
            Ok(RecordingLookup::Erased | RecordingLookup::Unknown)
            | Err(CatalogueError::NotAllRead) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = find::find(app, text.to_owned(), 2).await?;
    let unknown = found.not_searched.filter(|rest| !rest.is_nothing());
    let mut recordings = found.recordings;
    Ok(match (recordings.pop(), recordings.is_empty(), unknown) {
        (Some(_), false, _) => Matches::Many,
        (_, _, Some(not_searched)) => Matches::NotKnown(not_searched),
        (Some(row), true, None) => Matches::One(row.recording_id),
        (None, _, None) => Matches::None,
    })
}

/// The rest of a sentence that begins with a chunk whose file the vault does not have.
const MISSING: &str = "is missing from the vault, although the ledger has its copy there; `recording-vault reconcile` looks for others";

/// Whether a chunk can be played.
enum Playable {
    Yes,
    /// A verification found its copy damaged; it is played as it is.
    Damaged(KnownDamage),
    /// The rest of a sentence that begins with the chunk.
    No(String),
}

async fn playable(app: &App, id: &DocumentId) -> anyhow::Result<Playable> {
    Ok(match app.catalogue.media(id, FileKind::Media).await? {
        ChunkFile::Proved(media) => not_there(app, id, &media)
            .await?
            .map_or(Playable::Yes, Playable::No),
        ChunkFile::Damaged { file, damage } => match app.catalogue.as_it_is(&file).await? {
            Some(_) => Playable::Damaged(damage),
            None => Playable::No(MISSING.to_owned()),
        },
        ChunkFile::Unknown => Playable::No(format!(
            "is not in the ledger; if it is the id of a recording or call, `recording-vault list --of {id}` lists its chunks"
        )),
        ChunkFile::NotYet => Playable::No("is not in the vault yet".to_owned()),
        ChunkFile::None => Playable::No("has no media in the vault".to_owned()),
        ChunkFile::GivenUp { reason } => Playable::No(format!("was given up: {reason}")),
        ChunkFile::Lost { reason } => Playable::No(format!("is lost: {reason}")),
        ChunkFile::Removed { reason } => {
            Playable::No(format!("is no longer in the vault: {reason}"))
        }
        ChunkFile::InPlace { location } => {
            Playable::No(format!("is in your own storage, at {location}"))
        }
    })
}

/// Returns why the vault has no such file, by a look at it.
async fn not_there(
    app: &App,
    id: &DocumentId,
    media: &ProvedFile,
) -> anyhow::Result<Option<String>> {
    Ok(match app.catalogue.look_at_file(media).await? {
        FoundFile::Same(_) => None,
        FoundFile::Missing => Some(MISSING.to_owned()),
        FoundFile::Different(mismatch) => Some(format!(
            "is not in the vault as it was proved: {mismatch}; `recording-vault verify {id}` checks the copy"
        )),
    })
}

impl PlayUrl {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let id = self.document;
        let address = match self.app.address() {
            Ok(address) => address,
            Err(why) => return Ok(output.refuse(why)?),
        };
        let damage = match playable(&app, &id).await? {
            Playable::Yes => None,
            Playable::Damaged(damage) => Some(damage),
            Playable::No(why) => {
                return Ok(output.decline(NoReport::NotFound, format!("{id} {why}"))?);
            }
        };
        let user = Principal::Verified(user_and_host());
        let holder = app.ledger.audit().refer_to(&user).await?;
        let now = app.clock.now();
        let (ticket, expires_at) = app.tickets.issue(&id, Some(holder), now).await?;
        let detail = json!({"until": expires_at});
        app.ledger
            .audit_operator(AuditAction::TicketIssued, id.as_str(), &operator(), detail)
            .await?;
        let url = address.join(&format!("/api/vault/play/{ticket}"))?;
        if let Some(KnownDamage { found_at, problem }) = &damage {
            complain(&format!(
                "The verification at {found_at:.0} found the copy of {id} damaged: {problem}. The address plays the damaged file as it is."
            ));
        }
        let is_whole = damage.is_none();
        output.report(&Address {
            url,
            expires_at: Some(expires_at),
            damage,
        })?;
        Ok(Exit::fine_if(is_whole))
    }
}
