//! Lists of the vault: summary, recordings, days, deadlines.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::catalogue::days::{Days, MOST_DAYS};
use crate::catalogue::due::{Deadlines, DueRecordings};
use crate::catalogue::list::{ListFilter, Page};
use crate::catalogue::person::Person;
use crate::catalogue::search::invalid_period;
use crate::catalogue::summary::{self, Tiles};
use crate::functions::host_form::HostForm;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::functions::query::{read, with_plus};
use crate::operator_actions::given::{self, InvalidText};
use crate::standing::verdict::Verdict;
use crate::store::index::Period;

/// The default size of a page, and the largest one.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 200;
/// Days that are listed by default.
const DAYS: i32 = 30;
const HOURS: i64 = 24;
/// The lifetime of a source at ACS.
const MOST_HOURS: i64 = 24 * 30;

/// The state of the vault.
#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    version: &'static str,
    /// Whether the actions are on.
    actions: bool,
    /// Whether everything is safe, and what was not checked.
    verdict: Verdict,
    /// How the Functions host passes requests on to the process that answers: `proxying`, `forwarding` or `direct`.
    #[schema(example = "proxying")]
    host: &'static str,
    tiles: Tiles,
}

/// Returns a summary of the state of the vault.
#[utoipa::path(
    get, path = "/api/vault/summary", operation_id = "getVaultSummary", tag = "vault",
    responses((status = 200, description = "The numbers", body = Summary))
)]
pub(crate) async fn summary(State(app): State<Arc<App>>) -> Result<Json<Summary>, Problem> {
    let summary::Summary { verdict, tiles, .. } = app.catalogue.summary().await?;
    Ok(Json(Summary {
        now: app.clock.now(),
        version: env!("CARGO_PKG_VERSION"),
        actions: app.actions_enabled,
        verdict,
        host: HostForm::last().name(),
        tiles,
    }))
}

/// What to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Recordings that started then or later: a time, or a day (UTC).
    #[param(example = "2026-03-01")]
    from: Option<String>,
    /// Recordings that started before that time, or not after that day.
    to: Option<String>,
    /// `callId` or `serverCallId`, in any casing.
    call: Option<String>,
    /// A person's id or phone number, in any spelling.
    #[param(example = "+49 30 123456")]
    person: Option<String>,
    /// The same as `person`.
    participant: Option<String>,
    /// A standing: `lost`, `failed`, `atRisk`, `unknown`, `missing`, `incomplete`, `doubtful`, `backupOnly`, `active`,
    /// `paused`, `awaitingFiles`, `exporting`, `waiting`, `acknowledged`, `verified`, `inPlace`, `erased` or `removed`.
    state: Option<String>,
    /// `mp4`, `mp3` or `wav`.
    format: Option<String>,
    /// An id of a recording, call, chunk or person, or how one of a recording or call begins; a day (`2026-03-02`), a month,
    /// or two with `..` between; a state; the text of a case's tag.
    q: Option<String>,
    /// How many at most, up to 200.
    top: Option<usize>,
    /// `continuation` of the page before.
    continuation: Option<String>,
}

/// Lists recordings, newest first. A page may have fewer than `top` recordings although there is a next page.
#[utoipa::path(
    get, path = "/api/vault/recordings", operation_id = "listVaultRecordings", tag = "vault", params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = Page),
        (status = 400, description = "The query is wrong", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn recordings(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let mut query = read(query)?;
    let text = filled("q", query.q.take())?;
    if let Some(problem) = text.as_deref().and_then(invalid_period) {
        return Err(Problem::invalid(Some("q"), format!("`q`: {problem}")));
    }
    let wanted = wanted(query)?;
    if let Some(person) = &wanted.person
        && let Err(problem) = app.catalogue.check_country(person)
    {
        let message = format!("{problem}.");
        return Err(Problem::invalid(Some("person"), message));
    }
    let operator = caller.operator();
    Ok(Json(match text {
        Some(text) => app.catalogue.search(&text, wanted, &operator).await?,
        None => app.catalogue.list(&wanted, &operator).await?,
    }))
}

fn wanted(query: ListQuery) -> Result<ListFilter, Problem> {
    let invalid = |name: &'static str| {
        move |problem: String| Problem::invalid(Some(name), format!("`{name}` {problem}."))
    };
    let from = filled("from", query.from)?
        .map(|text| moment(&text, 0))
        .transpose()
        .map_err(invalid("from"))?;
    let to = filled("to", query.to)?
        .map(|text| moment(&text, 1))
        .transpose()
        .map_err(invalid("to"))?;
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        let message =
            "The period must end after it begins: `from` must be before `to`; swap the two.";
        return Err(Problem::invalid(Some("from"), message));
    }
    let format = filled("format", query.format)?
        .map(|text| text.parse().map_err(|error| format!("is wrong: {error}")));
    // Not a filter: the first page is the one after nothing.
    let after = query
        .continuation
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            text.parse()
                .map_err(|_| "is not one that was given".to_owned())
        });
    let top = page_size(query.top)?;
    Ok(ListFilter {
        period: Period { from, to },
        call: filled("call", query.call)?.as_deref().map(with_plus),
        person: person(query.person, query.participant)?,
        status: filled("state", query.state)?
            .map(|text| text.parse())
            .transpose()
            .map_err(invalid("state"))?,
        format: format.transpose().map_err(invalid("format"))?,
        id: None,
        top,
        after: after.transpose().map_err(invalid("continuation"))?,
    })
}

/// A filter that, if it is given, is not blank: a blank one would list everything, as if all matched.
fn filled(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::of_text(name, InvalidText::Empty));
    }
    Ok(Some(text.to_owned()))
}

/// The person of either parameter. An unencoded `+` reads as a space, which phone numbers are read without.
fn person(person: Option<String>, participant: Option<String>) -> Result<Option<Person>, Problem> {
    let (name, text) = match (person, participant) {
        (Some(_), Some(_)) => {
            let message = "`person` and `participant` mean the same; give one of them.";
            return Err(Problem::invalid(Some("participant"), message));
        }
        (Some(text), None) => ("person", text),
        (None, Some(text)) => ("participant", text),
        (None, None) => return Ok(None),
    };
    let text = filled(name, Some(text))?.unwrap_or_default();
    let person = given::person(&text);
    person
        .map(Some)
        .map_err(|invalid| Problem::of_text(name, invalid))
}

/// A time; or the beginning of a day (UTC), plus `days_later` days.
fn moment(text: &str, days_later: i32) -> Result<Timestamp, String> {
    if let Ok(time) = with_plus(text).parse::<Timestamp>() {
        return Ok(time);
    }
    let day = date(text)
        .ok()
        .and_then(|date| date.checked_add(days_later.days()).ok());
    let time = day
        .and_then(|day| day.to_zoned(TimeZone::UTC).ok())
        .map(|start| start.timestamp());
    time.ok_or_else(|| {
        format!(
            "is `{text}`; expected a day such as 2026-03-02 or a time such as 2026-03-02T10:00:00Z"
        )
    })
}

fn date(text: &str) -> Result<Date, String> {
    let is_plain = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|_| is_plain);
    date.ok_or_else(|| format!("is `{text}`; expected a day such as 2026-03-02"))
}

/// Which days.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DaysQuery {
    /// The first day (UTC); 29 days before the last, unless given.
    #[param(example = "2026-03-01")]
    from: Option<String>,
    /// The last day; today, unless given.
    to: Option<String>,
}

/// Recordings by the day they began, at most 92 days.
#[utoipa::path(
    get, path = "/api/vault/days", operation_id = "listVaultDays", tag = "vault", params(DaysQuery),
    responses(
        (status = 200, description = "The days in order", body = Days),
        (status = 400, description = "The query is wrong", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn days(
    State(app): State<Arc<App>>,
    query: Result<Query<DaysQuery>, QueryRejection>,
) -> Result<Json<Days>, Problem> {
    let query = read(query)?;
    let given = |name: &'static str, text: Option<String>| {
        let invalid =
            move |problem: String| Problem::invalid(Some(name), format!("`{name}` {problem}."));
        text.map(|text| date(text.trim()).map_err(invalid))
            .transpose()
    };
    let today = app.clock.now().to_zoned(TimeZone::UTC).date();
    let to = given("to", query.to)?.unwrap_or(today);
    let from = given("from", query.from)?.unwrap_or_else(|| to.saturating_sub((DAYS - 1).days()));
    let days = usize::try_from(from.duration_until(to).as_hours() / 24 + 1).unwrap_or_default();
    if !(1..=MOST_DAYS).contains(&days) {
        let message = format!("`from` {from} to `to` {to} are not 1 to {MOST_DAYS} days.");
        return Err(Problem::invalid(Some("from"), message));
    }
    Ok(Json(app.catalogue.days(from, to).await?))
}

/// How far ahead.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadlinesQuery {
    /// Default: 24.
    hours: Option<i64>,
}

/// Chunks that are not in the vault yet, by when ACS drops them.
#[utoipa::path(
    get, path = "/api/vault/deadlines", operation_id = "listVaultDeadlines", tag = "vault", params(DeadlinesQuery),
    responses(
        (status = 200, description = "The nearest first", body = Deadlines),
        (status = 400, description = "The query is wrong", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn deadlines(
    State(app): State<Arc<App>>,
    query: Result<Query<DeadlinesQuery>, QueryRejection>,
) -> Result<Json<Deadlines>, Problem> {
    let hours = read(query)?.hours.unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::invalid(
            Some("hours"),
            format!("`hours` is {hours}; expected 1 to {MOST_HOURS}."),
        ));
    }
    let until = app
        .clock
        .now()
        .checked_add(SignedDuration::from_hours(hours))
        .unwrap_or(Timestamp::MAX);
    Ok(Json(app.catalogue.deadlines(until).await?))
}

/// How many due recordings.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DueQuery {
    /// How many at most, up to 200. Default: 50.
    top: Option<usize>,
}

/// Lists recordings that need attention or have a deadline.
#[utoipa::path(
    get, path = "/api/vault/deadlines/recordings", operation_id = "listDueRecordings", tag = "vault", params(DueQuery),
    responses(
        (status = 200, description = "The nearest deadline first", body = DueRecordings),
        (status = 400, description = "The query is wrong", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn due_recordings(
    State(app): State<Arc<App>>,
    query: Result<Query<DueQuery>, QueryRejection>,
) -> Result<Json<DueRecordings>, Problem> {
    let top = page_size(read(query)?.top)?;
    Ok(Json(app.catalogue.due(top).await?))
}

fn page_size(top: Option<usize>) -> Result<usize, Problem> {
    let top = top.unwrap_or(PAGE);
    if (1..=LARGEST_PAGE).contains(&top) {
        return Ok(top);
    }
    let message = format!("`top` is {top}; expected 1 to {LARGEST_PAGE}.");
    Err(Problem::invalid(Some("top"), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("2026-03-02", 0, Some("2026-03-02T00:00:00Z"))]
    #[case("2026-03-02", 1, Some("2026-03-03T00:00:00Z"))]
    #[case("2026-03-02T12:00:00Z", 1, Some("2026-03-02T12:00:00Z"))]
    #[case("2026-03-02T12:00:00+02:00", 0, Some("2026-03-02T10:00:00Z"))]
    #[case("9999-12-31", 1, None)]
    #[case("2026-02-30", 0, None)]
    #[case("yesterday", 0, None)]
    #[case("", 0, None)]
    fn a_day_includes_its_end_and_a_time_does_not(
        #[case] text: &str,
        #[case] later: i32,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(
            moment(text, later).ok(),
            expected.map(|time| time.parse().unwrap())
        );
    }
}
