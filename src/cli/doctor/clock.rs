//! Compares our clock with the services': the `Date` of a response to a request without credentials.

use std::collections::BTreeMap;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::DATE;
use url::Url;

use super::{Check, Targets, advice, within};
use recording_vault::clock::Clock;
use recording_vault::vault::VaultUrl;

/// The services refuse signatures that are 15 minutes off; a clock with this deviation will soon be.
const TOLERATED_SECONDS: i64 = 5 * 60;

/// One check per place that has a clock of its own.
pub(super) async fn checks(
    targets: &Targets,
    client: &reqwest::Client,
    clock: &dyn Clock,
) -> Vec<Check> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    places
        .entry(origin(&targets.acs.join("/")))
        .or_default()
        .push("ACS");
    for (role, url) in targets.storages() {
        if let VaultUrl::Container(container) = url {
            places
                .entry(origin(container.expose()))
                .or_default()
                .push(role.label());
        }
    }
    let asking = places.into_iter().map(|(origin, names)| {
        let name = format!("clock of {}", names.join(", "));
        async move { within(&name, check(&name, &origin, client, clock)).await }
    });
    futures::future::join_all(asking).await
}

/// Without path and query, which may contain a SAS.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

async fn check(name: &str, origin: &str, client: &reqwest::Client, clock: &dyn Clock) -> Check {
    let Ok(answer) = client.get(origin).send().await else {
        // The check that needs it reports the reason.
        return Check::not_checked(name, format!("{origin} does not answer"));
    };
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok())
    else {
        return Check::not_checked(name, format!("{origin} does not say what time it is"));
    };
    let ahead = clock.now().as_second() - theirs.as_second();
    let said = match ahead {
        0 => "our clock and theirs agree".to_owned(),
        seconds if seconds > 0 => format!("our clock is {seconds} s ahead of theirs"),
        seconds => format!("our clock is {} s behind theirs", seconds.abs()),
    };
    if ahead.abs() <= TOLERATED_SECONDS {
        Check::fine(name, said)
    } else {
        Check::failed(name, said, advice::clock())
    }
}
