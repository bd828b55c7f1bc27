//! Holds over HTTP: those of a recording, a call, a person or a period, added, released and listed. Turns outcomes into
//! text; it must not decide what a hold covers.

mod answer;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::answer::HoldsAnswer;
use super::actions::{authorize, case_tag, filled, kept, new_case_tag};
use super::{recording_id, unknown_recording};
use crate::app::App;
use crate::catalogue::detail::{ShownCase, shown_case};
use crate::catalogue::person::{NoPerson, Person};
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::operator_actions::given;
use crate::operator_actions::hold::{self, Holding, HoldsNow, ListedHold, PeriodEdge};
use crate::recording::{CallId, RecordingId};
use crate::request_body;
use crate::store::holds::{Held, HeldPerson, HoldRule, ReleaseOutcome};

/// Where the id of a person belongs.
const MEMBER_PERSON: &str = "give it as `person` to `POST /api/vault/holds`";

/// A case to hold a recording for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRequest {
    #[schema(example = "A-2026-17")]
    case: String,
    /// Who requests the hold, if not the caller. It is stored beside the caller's name, and is not verified.
    by: Option<String>,
    note: Option<String>,
}

/// A case to release a recording from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRequest {
    #[schema(example = "A-2026-17")]
    case: String,
}

/// What to hold, and for which case: a recording, a call, or all recordings of a person, of a period, or of a person in a
/// period.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewHold {
    #[schema(example = "A-2026-17")]
    case: String,
    recording_id: Option<String>,
    /// `callId` or `serverCallId`.
    call_id: Option<String>,
    /// A participant's id, in any format.
    #[schema(example = "4:+15551230001")]
    person: Option<String>,
    /// Start of the period, inclusive: a day, a month (both UTC) or a time.
    #[schema(example = "2026-03-01")]
    from: Option<String>,
    /// End of the period: a day or a month (both UTC and inclusive), or a time (exclusive).
    #[schema(example = "2026-03-31")]
    to: Option<String>,
    /// Who requests the hold, if not the caller. It is stored beside the caller's name, and is not verified.
    by: Option<String>,
    note: Option<String>,
}

/// What to release, as in the hold, and from which case.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HoldToRelease {
    #[schema(example = "A-2026-17")]
    case: String,
    recording_id: Option<String>,
    /// `callId` or `serverCallId`.
    call_id: Option<String>,
    /// A participant's id, in any format.
    #[schema(example = "4:+15551230001")]
    person: Option<String>,
    /// Start of the period, as in the hold.
    #[schema(example = "2026-03-01")]
    from: Option<String>,
    /// End of the period, as in the hold.
    #[schema(example = "2026-03-31")]
    to: Option<String>,
}

/// What a hold is on. Bodies have these members beside their own: serde refuses unknown ones only without `flatten`, and one
/// that is misspelled would widen a hold.
struct GivenSubject {
    recording_id: Option<String>,
    call_id: Option<String>,
    person: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// A hold in force, and what it covers now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownHold {
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    cases: Vec<ShownCase>,
    holds_now: HoldsNow,
}

/// All holds in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldList {
    holds: Vec<ShownHold>,
    /// Documents of holds that are not readable. What they cover is unknown; nothing that they may cover is deleted.
    unreadable: Vec<String>,
}

/// What an added hold covers now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HoldAnswer {
    holds: Vec<ShownCase>,
    /// Chunks that are known and held.
    chunks: Vec<String>,
    /// Chunks that may match, and therefore count as held.
    uncertain: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "No known recording matches. The hold applies to future recordings.")]
    message: Option<&'static str>,
}

impl GivenSubject {
    /// What a new hold is on. Parsed strictly: a mistyped id would hold nothing.
    async fn strictly_held(self, app: &App) -> Result<Held, Problem> {
        if let Some(id) = &self.recording_id {
            recording_to_hold(id)?;
        }
        if let Some(id) = &self.call_id {
            given::id::<CallId>(id, "the id of a call", MEMBER_PERSON)
                .map_err(|invalid| Problem::of_text("callId", invalid))?;
        }
        if let Some(text) = &self.person {
            let person = given::person(text);
            let person = person.map_err(|invalid| Problem::of_text("person", invalid))?;
            check_country(app, &person)?;
        }
        self.held(app).await
    }

    /// Also of a hold that exists: takes every id under which one may have been made, through any door.
    async fn held(self, app: &App) -> Result<Held, Problem> {
        let is_rule = self.person.is_some() || self.from.is_some() || self.to.is_some();
        match (self.recording_id, self.call_id) {
            (Some(id), None) if !is_rule => recording_id(id.trim()).map(Held::RecordingId),
            (None, Some(id)) if !is_rule => {
                let id = id.trim().parse().map(Held::CallId);
                id.map_err(|error| Problem::invalid(Some("callId"), format!("The {error}.")))
            }
            (None, None) if is_rule => {
                let person = match self.person {
                    Some(text) => Some(app.actions.held_person(&person_of(&text)?).await?),
                    None => None,
                };
                let period = PeriodEdge::period(edge("from", self.from)?, edge("to", self.to)?);
                HoldRule::new(person, period)
                    .map(Held::Matching)
                    .map_err(|error| Problem::invalid(Some("from"), format!("Invalid: {error}.")))
            }
            (_, _) => {
                let message =
                    "Give `recordingId`, or `callId`, or any of `person`, `from` and `to`.";
                Err(Problem::invalid(None, message))
            }
        }
    }
}

fn person_of(text: &str) -> Result<Person, Problem> {
    text.parse()
        .map_err(|error: NoPerson| Problem::of_text("person", error.into()))
}

fn check_country(app: &App, person: &Person) -> Result<(), Problem> {
    let checked = app.catalogue.check_country(person);
    checked.map_err(|problem| Problem::invalid(Some("person"), format!("{problem}.")))
}

/// The recording of a new hold.
fn recording_to_hold(id: &str) -> Result<RecordingId, Problem> {
    given::id(id, "the id of a recording", MEMBER_PERSON)
        .map_err(|invalid| Problem::of_text("recordingId", invalid))
}

fn edge(name: &'static str, text: Option<String>) -> Result<Option<PeriodEdge>, Problem> {
    let parse = |text: String| {
        text.parse().map_err(|error| {
            Problem::invalid(Some(name), format!("`{name}` is `{text}`; {error}."))
        })
    };
    text.map(parse).transpose()
}

/// Holds a recording for a case: it is deleted neither at ACS nor in the vault. It need not be known yet.
#[utoipa::path(
    post, path = "/api/vault/recordings/{recordingId}/hold", operation_id = "holdRecording", tag = "vault",
    params(("recordingId" = String, Path)), request_body = HoldRequest,
    responses(
        (status = 200, description = "The cases that hold it", body = HoldsAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "The hold is in force, but some chunks are deleted already, may still be deleted at ACS, or are not readable", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn hold_recording(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldsAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    let held = recording_to_hold(&id).map(Held::RecordingId)?;
    let HoldRequest { case, by, note } = request_body::read(&body?)?;
    let request = hold::RequestedHold {
        held,
        tag: new_case_tag(&case)?,
        requested_by: filled("by", by)?,
        note: kept("note", note)?,
    };
    let holding = app.actions.hold(request, &operator).await?;
    if let Some(problem) = incomplete(&holding) {
        return Err(problem);
    }
    Ok(Json(HoldsAnswer::from(&holding)))
}

/// Releases a recording from a case; other cases still hold it. Repeating a release is not an error.
#[utoipa::path(
    post, path = "/api/vault/recordings/{recordingId}/release", operation_id = "releaseRecording", tag = "vault",
    params(("recordingId" = String, Path)), request_body = ReleaseRequest,
    responses(
        (status = 200, description = "The cases that still hold any part of it, and how much of it", body = HoldsAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such recording, or the case has no hold on it", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn release_recording(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldsAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    let ReleaseRequest { case } = request_body::read(&body?)?;
    let releasing = app
        .actions
        .release(
            recording_id(&id).map(Held::RecordingId)?,
            case_tag(&case)?,
            &operator,
        )
        .await?;
    match releasing.outcome {
        ReleaseOutcome::NeverHeld if releasing.recordings == 0 => Err(unknown_recording()),
        ReleaseOutcome::NeverHeld => Err(unknown_hold()),
        ReleaseOutcome::Released | ReleaseOutcome::ReleasedBefore => Ok(Json(releasing.into())),
    }
}

/// Lists all holds in force, with their cases and what each covers now.
#[utoipa::path(
    get, path = "/api/vault/holds", operation_id = "listHolds", tag = "vault",
    responses((status = 200, description = "The holds", body = HoldList))
)]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<HoldList>, Problem> {
    let listed = app.actions.holds().await?;
    Ok(Json(HoldList {
        holds: listed.holds.into_iter().map(shown).collect(),
        unreadable: listed.unreadable,
    }))
}

fn shown(listed: ListedHold) -> ShownHold {
    let ListedHold { hold, holds_now } = listed;
    let mut shown = ShownHold {
        recording_id: None,
        call_id: None,
        person: None,
        from: None,
        to: None,
        cases: hold.cases.iter().map(shown_case).collect(),
        holds_now,
    };
    match hold.held {
        Held::RecordingId(id) => shown.recording_id = Some(id.to_string()),
        Held::CallId(id) => shown.call_id = Some(id.to_string()),
        Held::Matching(rule) => {
            shown.person = rule.person().and_then(HeldPerson::id).map(str::to_owned);
            shown.from = rule.period().from;
            shown.to = rule.period().to;
        }
    }
    shown
}

/// Adds a hold for a case on a recording, a call, or all recordings, also later ones, of a person or a period.
#[utoipa::path(
    post, path = "/api/vault/holds", operation_id = "addHold", tag = "vault", request_body = NewHold,
    responses(
        (status = 200, description = "The chunks that the hold covers now", body = HoldAnswer),
        (status = 400, description = "The request does not say what to hold", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "The hold is in force, but some chunks are deleted already, may still be deleted at ACS, or are not readable, or recordings that were started with this id have files with other ids, and are not held", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    let new: NewHold = request_body::read(&body?)?;
    let tag = new_case_tag(&new.case)?;
    let (requested_by, note) = (filled("by", new.by)?, kept("note", new.note)?);
    let subject = GivenSubject {
        recording_id: new.recording_id,
        call_id: new.call_id,
        person: new.person,
        from: new.from,
        to: new.to,
    };
    let request = hold::RequestedHold {
        held: subject.strictly_held(&app).await?,
        tag,
        requested_by,
        note,
    };
    let holding = app.actions.hold(request, &operator).await?;
    if let Some(problem) = incomplete(&holding) {
        return Err(problem);
    }
    let ids = |ids: &[crate::recording::DocumentId]| ids.iter().map(ToString::to_string).collect();
    Ok(Json(HoldAnswer {
        holds: holding.cases.iter().map(shown_case).collect(),
        chunks: ids(&holding.chunks),
        uncertain: ids(&holding.uncertain),
        message: holding
            .matches_nothing()
            .then_some("No known recording matches. The hold applies to future recordings."),
    }))
}

/// Returns why a hold that is in force may not have kept everything.
pub(super) fn incomplete(holding: &Holding) -> Option<Problem> {
    if holding.is_complete() {
        return None;
    }
    let code = if holding.gone.is_empty() {
        "HoldInDoubt"
    } else {
        "PartlyRemoved"
    };
    let problems = holding.problems().join("; ");
    let message = format!("The hold is in force, but {problems}.");
    Some(Problem::new(StatusCode::CONFLICT, code, message))
}

/// Releases a hold of a case; other cases still hold it. Repeating a release is not an error.
#[utoipa::path(
    post, path = "/api/vault/holds/release", operation_id = "releaseHold", tag = "vault", request_body = HoldToRelease,
    responses(
        (status = 200, description = "The cases that still hold any part of it, and how much of it", body = HoldsAnswer),
        (status = 400, description = "The request does not say what to release", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "The case has no such hold", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldsAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    let released: HoldToRelease = request_body::read(&body?)?;
    let tag = case_tag(&released.case)?;
    let subject = GivenSubject {
        recording_id: released.recording_id,
        call_id: released.call_id,
        person: released.person,
        from: released.from,
        to: released.to,
    };
    let person = subject.person.as_deref().map(person_of).transpose()?;
    let held = subject.held(&app).await?;
    let releasing = app.actions.release(held, tag, &operator).await?;
    match releasing.outcome {
        ReleaseOutcome::NeverHeld => {
            if let Some(person) = person {
                check_country(&app, &person)?;
            }
            Err(unknown_hold())
        }
        ReleaseOutcome::Released | ReleaseOutcome::ReleasedBefore => Ok(Json(releasing.into())),
    }
}

fn unknown_hold() -> Problem {
    let message = "The case has no such hold; `GET /api/vault/holds` lists all holds.";
    Problem::new(StatusCode::NOT_FOUND, "HoldNotFound", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_wrong_is_told() {
        for wrong in [
            "",
            "[]",
            "[\"A-1\"]",
            "{}",
            r#"{"case": 7}"#,
            r#"{"case": "A", "more": 1}"#,
        ] {
            assert!(
                request_body::read::<HoldRequest>(wrong.as_bytes()).is_err(),
                "{wrong}"
            );
        }
        assert!(request_body::read::<HoldRequest>(br#"{"case": "A-1", "by": null}"#).is_ok());
        let new: NewHold = request_body::read(
            br#"{"case": "A-1", "person": "p", "from": "2026-03", "note": null}"#,
        )
        .unwrap();
        assert_eq!(new.person.as_deref(), Some("p"));
        assert_eq!(new.from.as_deref(), Some("2026-03"));
        assert!(new.to.is_none());
        let misspelled = br#"{"case": "A-1", "persons": "p", "from": "2026-03"}"#;
        assert!(request_body::read::<NewHold>(misspelled).is_err());
        for wrong in [
            &misspelled[..],
            br#"{"case": "A-1", "by": "ada", "person": "p"}"#,
        ] {
            assert!(request_body::read::<HoldToRelease>(wrong).is_err());
        }
        assert!(case_tag(" ").is_err() && kept("note", Some("x".repeat(1001))).is_err());
    }
}
