//! Which functions the key opens. A function opens by its own keys and those of the host: that one function accepts a key
//! says nothing of the others.

use reqwest::{Client, Method, Response, StatusCode};

use super::target::{Handler, unreachable};
use super::{Check, Outcome};

pub(super) const KEY: &str = "function key";
const LIST: &str = "/api/recordings";
/// A request to each function that asks for a key. None changes anything: the handler has no route for the first POST, and
/// the second asks for the caller's rights.
static PROBES: [Probe; 5] = [
    Probe::get("RecordingReads", LIST, &[("state", "active"), ("top", "1")]),
    Probe::get("Vault", "/api/vault/summary", &[]),
    Probe::get("Metrics", "/api/metrics", &[]),
    Probe::post("RecordingControl", "/api/recordings/doctor/check"),
    Probe::post("VaultActions", "/api/vault/rights"),
];

struct Probe {
    function: &'static str,
    method: Method,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
}

impl Probe {
    const fn get(
        function: &'static str,
        path: &'static str,
        query: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            function,
            method: Method::GET,
            path,
            query,
        }
    }

    const fn post(function: &'static str, path: &'static str) -> Self {
        Self {
            function,
            method: Method::POST,
            path,
            query: &[],
        }
    }

    /// The status that the host, or the handler behind it, answers with.
    async fn status(&self, handler: &Handler, client: &Client) -> reqwest::Result<StatusCode> {
        let request = handler.request(client, self.method.clone(), self.path, self.query);
        // The real host forwards no request without a length.
        let request = if self.method == Method::POST {
            request.body("")
        } else {
            request
        };
        request.send().await.map(|answer: Response| answer.status())
    }
}

/// What the functions answered.
#[derive(Debug, Default)]
struct Answered {
    opened: Vec<&'static str>,
    refusing: Vec<&'static str>,
}

/// Checks that every function accepts the key.
pub(super) async fn check(handler: &Handler, client: &Client) -> Check {
    let asking = PROBES
        .iter()
        .map(|probe| async move { (probe, probe.status(handler, client).await) });
    let mut answered = Answered::default();
    let mut failed = None;
    for (probe, status) in futures::future::join_all(asking).await {
        match status {
            Err(error) => {
                return Check::failed(KEY, unreachable(&error), handler.where_it_runs(&error));
            }
            // Only the host answers so: the handler's own refusal is a 403.
            Ok(StatusCode::UNAUTHORIZED) => answered.refusing.push(probe.function),
            Ok(status) => {
                answered.opened.push(probe.function);
                if probe.path == LIST && !status.is_success() {
                    failed = Some(status);
                }
            }
        }
    }
    let check = of_answers(&answered, handler.key.is_some());
    match failed {
        Some(status) if check.result == Outcome::Fine => Check::failed(
            KEY,
            format!("the host accepts the key, but the list of recordings answers {status}"),
            "check the handler's log, and the check of the ledger",
        ),
        Some(_) | None => check,
    }
}

fn of_answers(answered: &Answered, has_key: bool) -> Check {
    let Answered { opened, refusing } = answered;
    if refusing.is_empty() {
        return Check::fine(KEY, "the host accepts the key");
    }
    if opened.is_empty() || !has_key {
        return refused(KEY, StatusCode::UNAUTHORIZED, has_key);
    }
    let plural = if opened.len() == 1 { "" } else { "s" };
    Check::failed(
        KEY,
        format!(
            "the key in FUNCTIONS_KEY is one of the function{plural} {} only: {} refuse it",
            opened.join(", "),
            refusing.join(", ")
        ),
        "put a host key into FUNCTIONS_KEY, which every function accepts: `az functionapp keys list --name <app> --resource-group <group>`",
    )
}

/// A key that is missing, or not one of this app.
pub(super) fn refused(name: &str, status: StatusCode, has_key: bool) -> Check {
    let why = if has_key {
        "the key in FUNCTIONS_KEY is not one of this app's"
    } else {
        "FUNCTIONS_KEY is not set"
    };
    let remedy = "put a key of the app into the variable FUNCTIONS_KEY: `az functionapp keys list --name <app> --resource-group <group>`";
    Check::failed(name, format!("the host answers {status}: {why}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_fine_only_if_every_function_accepts_it() {
        let answers = |opened: &[&'static str], refusing: &[&'static str]| {
            let answered = Answered {
                opened: opened.to_vec(),
                refusing: refusing.to_vec(),
            };
            of_answers(&answered, true)
        };
        assert_eq!(answers(&["RecordingReads"], &[]).result, Outcome::Fine);
        let reads = answers(&["RecordingReads"], &["Vault", "Metrics"]);
        assert!(
            reads.result == Outcome::Failed
                && reads.says.contains("the function RecordingReads only"),
            "{}",
            reads.says
        );
        let none = answers(&[], &["RecordingReads", "Vault"]);
        assert!(none.says.contains("not one of this app's"), "{}", none.says);
    }
}
