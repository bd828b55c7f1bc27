//! `recording-vault list`: chunks and their standing, recordings that need a person, and events that could not be read.

mod text;

use std::collections::BTreeSet;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::not_searched::NotSearched;
use recording_vault::catalogue::person::Person;
use recording_vault::catalogue::row::Row;
use recording_vault::config::Config;
use recording_vault::export::receipt::VaultName;
use recording_vault::export::{ChunkState, ExportReceipt, LedgerEntry};
use recording_vault::recording::id::has_part;
use recording_vault::recording::{CallId, DocumentId, RecordingChunk, RecordingId, ServerCallId};
use recording_vault::standing::{Assessment, Concern, OperatorStep, Standing, of_chunk};
use serde::Serialize;
use serde_json::Value;

use super::exit::Exit;
use super::output::Output;
use super::{argument, existing, shell_user, unreadable};

/// The arguments of `list`: which chunks to list.
#[derive(Args)]
pub struct List {
    /// Only chunks in this state; also accepts a standing
    #[arg(long, ignore_case = true, value_parser = state_parser(), conflicts_with = "standing")]
    state: Option<StateOrStanding>,
    /// Only chunks and recordings of this standing, such as atRisk, failed, doubtful, missing or lost
    #[arg(long, ignore_case = true, value_parser = standing_parser())]
    standing: Option<Standing>,
    /// Only chunks of a recording or call whose id contains this
    #[arg(long, value_parser = argument::text)]
    of: Option<String>,
    /// Only recordings of this person and their chunks; an id or a phone number in any spelling
    #[arg(
        long,
        value_parser = argument::person,
        conflicts_with_all = ["state", "at_risk", "doubtful", "notices"]
    )]
    person: Option<Person>,
    /// Only chunks that are not in the vault although half of their time at ACS has passed
    #[arg(long)]
    at_risk: bool,
    /// Only chunks whose copy an operator has to accept
    #[arg(long)]
    doubtful: bool,
    /// Only chunks with notices, such as a silent channel
    #[arg(long)]
    notices: bool,
}

/// What `--state` names: `find` shows standings, and this verb both.
#[derive(Debug, Clone, Copy)]
enum StateOrStanding {
    State(StateFilter),
    Standing(Standing),
}

fn standing_parser() -> impl TypedValueParser<Value = Standing> {
    PossibleValuesParser::new(Standing::ALL.map(Standing::name))
        .try_map(|text| text.parse::<Standing>())
}

fn state_parser() -> impl TypedValueParser<Value = StateOrStanding> {
    let only_standings = Standing::ALL.into_iter().map(Standing::name);
    let only_standings = only_standings.filter(|name| state_of_chunks(name).is_none());
    let names = states().chain(only_standings.map(PossibleValue::new));
    PossibleValuesParser::new(names).try_map(|text| match StateFilter::from_str(&text, true) {
        Ok(state) => Ok(StateOrStanding::State(state)),
        Err(_) => text.parse().map(StateOrStanding::Standing),
    })
}

fn states() -> impl Iterator<Item = PossibleValue> {
    let values = StateFilter::value_variants().iter();
    values.filter_map(ValueEnum::to_possible_value)
}

/// The state of chunks that a text names, if it is one.
pub fn state_of_chunks(text: &str) -> Option<String> {
    let name = |value: PossibleValue| value.get_name().to_owned();
    states()
        .map(name)
        .find(|name| name.eq_ignore_ascii_case(text.trim()))
}

/// A state of a chunk, as `--state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
enum StateFilter {
    Pending,
    Exported,
    SourceDeleted,
    SourceLeft,
    Removing,
    Removed,
    InPlace,
    Expired,
    DeadLettered,
}

impl StateFilter {
    fn of(state: &ChunkState) -> Self {
        match state {
            ChunkState::Pending => Self::Pending,
            ChunkState::Exported { .. } => Self::Exported,
            ChunkState::SourceDeleted { .. } => Self::SourceDeleted,
            ChunkState::SourceLeft { .. } => Self::SourceLeft,
            ChunkState::Removing { .. } => Self::Removing,
            ChunkState::Removed { .. } => Self::Removed,
            ChunkState::InPlace { .. } => Self::InPlace,
            ChunkState::Expired { .. } => Self::Expired,
            ChunkState::DeadLettered { .. } => Self::DeadLettered,
        }
    }
}

impl List {
    /// # Errors
    /// When there is no vault, or the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        if let Some(person) = &self.person
            && let Err(problem) = app.catalogue.check_country(person)
        {
            return Ok(output.refuse(format!("{problem}."))?);
        }
        let listing = self.listing(&app).await?;
        output.report(&listing)?;
        let is_found = !self.is_narrowed() || !listing.is_empty();
        let exit = Exit::fine_if(is_found && listing.is_all_searched());
        Ok(unreadable::exit(exit, &listing.unreadable))
    }

    fn state(&self) -> Option<StateFilter> {
        match self.state {
            Some(StateOrStanding::State(state)) => Some(state),
            Some(StateOrStanding::Standing(_)) | None => None,
        }
    }

    fn standing(&self) -> Option<Standing> {
        match self.state {
            Some(StateOrStanding::Standing(standing)) => Some(standing),
            Some(StateOrStanding::State(_)) | None => self.standing,
        }
    }

    /// Looks at every entry; at poison only if nothing narrows the list.
    async fn listing(&self, app: &App) -> Result<Listing, CatalogueError> {
        let ledger = &app.ledger;
        let now = app.clock.now();
        let found = match &self.person {
            Some(person) => Some(
                app.catalogue
                    .find_person(person, &shell_user::operator())
                    .await?,
            ),
            None => None,
        };
        let of_person: Option<BTreeSet<RecordingId>> = found.as_ref().map(|found| {
            let rows = found.recordings.iter();
            rows.filter_map(|row| row.recording_id.parse().ok())
                .collect()
        });
        let is_of_person = |id: &RecordingId| of_person.as_ref().is_none_or(|ids| ids.contains(id));
        let mut entries = ledger
            .entries(|entry| self.matches(entry, now) && is_of_person(&entry.chunk.filed_under()))
            .await?;
        entries.found.sort_by_key(|entry| {
            (
                entry.filed_at(),
                entry.chunk.filed_under(),
                entry.chunk.index,
            )
        });
        let (recordings, is_capped) = self.recordings(app).await?;
        let mut listing = Listing {
            chunks: entries
                .found
                .into_iter()
                .map(|entry| listed(entry, now))
                .collect(),
            recordings,
            is_capped,
            unreadable: entries.unreadable,
            poison: Vec::new(),
            not_searched: None,
        };
        if let Some(found) = found {
            // Recordings of the person without any chunk are listed too, whatever their standing.
            let rows = found.recordings.into_iter();
            listing.recordings = rows.filter(|row| self.is_listed_alone(row)).collect();
            listing.not_searched = Some(found.not_searched);
            listing.is_capped = false;
        }
        if self.is_narrowed() {
            return Ok(listing);
        }
        for sha256 in ledger.poisoned().await? {
            let kept = ledger.poison_or_note(&sha256).await?;
            listing
                .poison
                .push(ListedPoison::read(sha256, kept.as_deref()));
        }
        Ok(listing)
    }

    /// Recordings whose standing is worse than that of their chunks: without files, not started, incomplete, not
    /// readable. Also whether there are more that were not read.
    async fn recordings(&self, app: &App) -> Result<(Vec<Row>, bool), CatalogueError> {
        if self.state().is_some() || self.doubtful || self.at_risk || self.notices {
            return Ok((Vec::new(), false));
        }
        let check = app.catalogue.last_check().await?;
        let survey = app.catalogue.survey(check.as_ref()).await?;
        let is_wanted = |row: &Row| match self.standing() {
            Some(standing) => row.status == standing,
            None => {
                row.status.concern() == Concern::Attention
                    && (row.chunks == 0 || row.status == Standing::Incomplete)
            }
        };
        let is_named = |row: &Row| self.is_named(row);
        let rules = survey.rules;
        // The list names every entry that is not readable.
        let (surveyed, limits) = survey.into_parts();
        let rows = surveyed.iter().map(|one| one.row(rules));
        let mut rows: Vec<Row> = rows.filter(|row| is_wanted(row) && is_named(row)).collect();
        rows.sort_by(|one, other| {
            let key = |row: &Row| (row.started_at, row.recording_id.clone());
            key(one).cmp(&key(other))
        });
        Ok((rows, limits.is_capped))
    }

    /// Whether a recording of the person is listed beside the chunks of the list.
    fn is_listed_alone(&self, row: &Row) -> bool {
        let is_wanted = match self.standing() {
            Some(standing) => row.status == standing,
            None => row.chunks == 0 || row.status == Standing::Incomplete,
        };
        is_wanted && self.is_named(row)
    }

    fn is_named(&self, row: &Row) -> bool {
        let ids = [
            Some(&row.recording_id),
            row.call_id.as_ref(),
            row.server_call_id.as_ref(),
        ];
        let of = self.of.as_ref();
        of.is_none_or(|part| ids.into_iter().flatten().any(|id| has_part(id, part)))
    }

    fn is_narrowed(&self) -> bool {
        self.state.is_some()
            || self.person.is_some()
            || self.standing.is_some()
            || self.of.is_some()
            || self.at_risk
            || self.doubtful
            || self.notices
    }

    fn matches(&self, entry: &LedgerEntry, now: Timestamp) -> bool {
        let standing = of_chunk(entry, now).standing;
        let has_notices = || entry.notices().next().is_some();
        let is_in = |state: StateFilter| state == StateFilter::of(&entry.state);
        (!self.at_risk || standing == Standing::AtRisk)
            && (!self.doubtful || entry.open_anomaly().is_some())
            && (!self.notices || has_notices())
            && self.state().is_none_or(is_in)
            && self.standing().is_none_or(|wanted| wanted == standing)
            && (self.of.as_ref()).is_none_or(|part| is_of(&entry.chunk, part))
    }
}

/// Chunks, and events that could not be read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    /// In the order of their recordings' start.
    pub chunks: Vec<ListedChunk>,
    /// Recordings that need a person and have no such chunk.
    pub recordings: Vec<Row>,
    /// More recordings are not settled than were read.
    pub is_capped: bool,
    pub poison: Vec<ListedPoison>,
    /// Chunks whose entries are not readable.
    pub unreadable: Vec<DocumentId>,
    /// Where a person was searched for: what the search could not look into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_searched: Option<NotSearched>,
}

/// A chunk in a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedChunk {
    pub document_id: DocumentId,
    pub state: &'static str,
    pub standing: Standing,
    /// The reasons of its standing.
    pub reasons: Vec<String>,
    pub next_step: OperatorStep,
    pub advice: Option<&'static str>,
    /// When it gets worse by itself.
    pub deadline: Option<Timestamp>,
    /// When its recording began.
    pub started_at: Option<Timestamp>,
    /// Who was in the call, where that is known.
    pub participants: Vec<String>,
    pub size_bytes: Option<u64>,
    pub index: u32,
    pub recording_id: Option<String>,
    pub call_id: Option<String>,
    pub server_call_id: Option<String>,
    pub expires_at: Timestamp,
    /// The place of the copy.
    pub file: Option<String>,
    /// The vault that has the copy.
    pub vault: Option<VaultName>,
    /// What is doubtful about its copy.
    pub anomaly: Option<String>,
    /// Notices on its media.
    pub notices: Vec<String>,
    /// No caller requested its recording.
    pub unsolicited: bool,
    /// The last failure.
    pub reason: Option<String>,
}

/// An event that was kept because it could not be read; `replay poison:<sha256>` processes it again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPoison {
    pub sha256: String,
    pub kept_at: Option<String>,
    pub reason: Option<String>,
}

impl Listing {
    fn is_all_searched(&self) -> bool {
        let not_searched = self.not_searched.as_ref();
        !self.is_capped && not_searched.is_none_or(NotSearched::is_nothing)
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.recordings.is_empty() && self.poison.is_empty()
    }
}

impl ListedPoison {
    fn read(sha256: String, kept: Option<&[u8]>) -> Self {
        let kept = kept.and_then(|kept| serde_json::from_slice::<Value>(kept).ok());
        let text = |name: &str| Some(kept.as_ref()?[name].as_str()?.to_owned());
        Self {
            kept_at: text("keptAt"),
            reason: text("reason"),
            sha256,
        }
    }
}

/// Whether the chunk is of a recording or call whose id contains `part`.
pub fn is_of(chunk: &RecordingChunk, part: &str) -> bool {
    let ids = [
        chunk.recording_id.as_ref().map(RecordingId::as_str),
        chunk.call_id.as_ref().map(CallId::as_str),
        chunk.server_call_id.as_ref().map(ServerCallId::as_str),
    ];
    ids.into_iter().flatten().any(|id| has_part(id, part))
}

fn listed(entry: LedgerEntry, now: Timestamp) -> ListedChunk {
    let Assessment {
        standing,
        reasons,
        deadline,
        next_step,
    } = of_chunk(&entry, now);
    let (file, end) = match &entry.state {
        ChunkState::Pending => (None, None),
        ChunkState::Exported { receipt } | ChunkState::SourceDeleted { receipt, .. } => {
            (Some(receipt.media().name().to_string()), None)
        }
        ChunkState::SourceLeft { receipt, reason } => (
            Some(receipt.media().name().to_string()),
            Some(reason.clone()),
        ),
        ChunkState::Removing { .. } => (
            None,
            Some("its deletion from the vault has begun and is not finished".to_owned()),
        ),
        ChunkState::Removed { reason, .. } => (None, Some(reason.clone())),
        ChunkState::InPlace { files, .. } => (Some(files.media.location.clone()), None),
        ChunkState::Expired { reason, .. } | ChunkState::DeadLettered { reason, .. } => {
            (None, Some(reason.clone()))
        }
    };
    let metadata = entry.metadata.iter();
    let participants = metadata.flat_map(|metadata| &metadata.participants);
    let anomaly = entry.doubts().next().map(str::to_owned);
    ListedChunk {
        standing,
        reasons,
        next_step,
        advice: next_step.advice(),
        deadline,
        started_at: entry.chunk.plausible_start(entry.recorded_at),
        participants: participants.map(|person| person.id.clone()).collect(),
        size_bytes: size_bytes(&entry.state),
        server_call_id: entry.chunk.server_call_id.as_ref().map(ToString::to_string),
        state: entry.state.name(),
        unsolicited: entry.unsolicited,
        index: entry.chunk.index,
        vault: entry.state.receipt().map(ExportReceipt::vault),
        anomaly,
        notices: entry.notices().map(ToString::to_string).collect(),
        recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
        call_id: entry.chunk.call_id.as_ref().map(ToString::to_string),
        expires_at: entry.expires_at,
        reason: end.or_else(|| entry.failures.last().map(|failure| failure.reason.clone())),
        file,
        document_id: entry.chunk.document_id,
    }
}

fn size_bytes(state: &ChunkState) -> Option<u64> {
    if let ChunkState::InPlace { files, .. } = state {
        return Some(files.media.size_bytes);
    }
    state.receipt().map(|receipt| receipt.media().size_bytes())
}
