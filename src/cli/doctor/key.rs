//! Which functions the key opens. A function opens by its own keys and those of the host: that one function accepts a key
//! says nothing of the others.

use recording_vault::counted::counted;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::front::{asks_for_sign_in, is_refused_in_front};
use super::target::{Handler, unreachable};
use super::{Check, Outcome};

pub(super) const KEY: &str = "function key";
const HOST_KEY: &str = "put a host key into the variable FUNCTIONS_KEY, which every function accepts: `az functionapp keys list --name <app> --resource-group <group>`";
/// What to do about functions that anybody may call.
const CLOSE: &str = "publish all of `dist/`, whose function.json files have `\"authLevel\": \"function\"`, and let callers reach the handler through the Functions host only; until then, restrict who may reach the app. If a gateway in front adds the key, it has to authenticate its callers";
/// A request to each function that asks for a key. None changes anything: the handler has no route for the first POST, and
/// the second asks for the caller's rights.
static PROBES: [Probe; 5] = [
    Probe::get(
        "RecordingReads",
        "/api/recordings",
        &[("state", "active"), ("top", "1")],
    ),
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

    async fn ask(&self, handler: &Handler, client: &Client) -> reqwest::Result<Answer> {
        let request = handler.request(client, self.method.clone(), self.path, self.query);
        // The real host forwards no request without a length.
        let request = if self.method == Method::POST {
            request.body("")
        } else {
            request
        };
        Ok(Answer::of(request.send().await?).await)
    }
}

/// Who answered a probe, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The function did what was asked, or refused it in its own words: the key opens it.
    Opened,
    /// The host does not accept the key.
    Refused,
    /// App Service Authentication, in front of the host, asks for a sign-in, or refuses the request.
    SignIn,
    /// Neither is known: the function fails, or something else answers in its place.
    Other(StatusCode),
}

impl Answer {
    async fn of(answer: Response) -> Self {
        if asks_for_sign_in(&answer) {
            return Self::SignIn;
        }
        let status = answer.status();
        let body = answer.json::<Value>().await.unwrap_or_default();
        Self::from_parts(status, &body)
    }

    /// Only the handler answers with an error object. Only the host answers 401: the handler's own refusal is a 403.
    fn from_parts(status: StatusCode, body: &Value) -> Self {
        let has_error_object = !body["error"].is_null();
        if status == StatusCode::UNAUTHORIZED {
            Self::Refused
        } else if is_refused_in_front(status, body) {
            Self::SignIn
        } else if status.is_success() || (status.is_client_error() && has_error_object) {
            Self::Opened
        } else {
            Self::Other(status)
        }
    }
}

/// Where requests without a key arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At a Functions host on this machine.
    HostHere,
    /// At the handler itself, on this machine.
    HandlerHere,
    /// At another machine, which others may reach too.
    Elsewhere,
}

impl Place {
    async fn of(handler: &Handler, client: &Client) -> Self {
        if !recording_vault::address::is_loopback(&handler.url) {
            Self::Elsewhere
        } else if handler.is_host(client).await {
            Self::HostHere
        } else {
            Self::HandlerHere
        }
    }
}

/// What the functions answered.
#[derive(Debug, Default)]
struct Answered {
    opened: Vec<&'static str>,
    refusing: Vec<&'static str>,
    /// Behind a sign-in.
    behind: Vec<&'static str>,
    other: Vec<(&'static str, StatusCode)>,
}

impl Answered {
    fn add(&mut self, function: &'static str, answer: Answer) {
        match answer {
            Answer::Opened => self.opened.push(function),
            Answer::Refused => self.refusing.push(function),
            Answer::SignIn => self.behind.push(function),
            Answer::Other(status) => self.other.push((function, status)),
        }
    }
}

/// Checks that every function accepts the key, and none does without it.
pub(super) async fn check(handler: &Handler, client: &Client) -> Check {
    let stranger = handler.without_key();
    let (with_key, without) = tokio::join!(answers(handler, client), answers(&stranger, client));
    match (with_key, without) {
        (Ok(with_key), Ok(without)) => {
            let check = of_answers(&with_key, handler.key.is_some());
            match of_open(&without, Place::of(handler, client).await) {
                // An open function is worse than a key that does not fit.
                Some(open) if open.result == Outcome::Failed || check.result == Outcome::Fine => {
                    open
                }
                Some(_) | None => check,
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            Check::failed(KEY, unreachable(&error), handler.where_it_runs(&error))
        }
    }
}

/// What the functions answer.
async fn answers(handler: &Handler, client: &Client) -> reqwest::Result<Answered> {
    let asking = PROBES
        .iter()
        .map(|probe| async move { (probe, probe.ask(handler, client).await) });
    let mut answered = Answered::default();
    for (probe, answer) in futures::future::join_all(asking).await {
        answered.add(probe.function, answer?);
    }
    Ok(answered)
}

/// Where functions answer without a key, an answer says nothing of the key. On another machine, and at a host that asks for
/// the keys of others, it says that anybody may call them: each of [`PROBES`] asks for a key.
fn of_open(without_key: &Answered, place: Place) -> Option<Check> {
    let open = &without_key.opened;
    if open.is_empty() {
        return None;
    }
    let asks_for_others = !without_key.refusing.is_empty();
    let says = match place {
        Place::Elsewhere => return Some(open_to_anybody(open)),
        Place::HostHere if asks_for_others => return Some(open_to_anybody(open)),
        Place::HostHere => {
            "the host asks for no key, as `func start` does; in Azure each function asks for one"
        }
        Place::HandlerHere => {
            "there is no Functions host at this address, and the handler asks for no key"
        }
    };
    Some(Check::not_checked(KEY, says))
}

fn open_to_anybody(open: &[&str]) -> Check {
    let says = format!(
        "{} without a key too: {}",
        counted(open.len(), "function answers", "functions answer"),
        open.join(", ")
    );
    Check::failed(KEY, says, CLOSE)
}

fn of_answers(answered: &Answered, has_key: bool) -> Check {
    let Answered {
        opened,
        refusing,
        behind,
        other,
    } = answered;
    if !behind.is_empty() {
        let says = format!(
            "App Service Authentication asks for a sign-in, which doctor cannot do, or refuses the request, in front of {}",
            behind.join(", ")
        );
        return Check::not_checked(KEY, says);
    }
    if !refusing.is_empty() {
        return of_refusals(answered, has_key);
    }
    if other.is_empty() {
        return Check::fine(KEY, "the host accepts the key");
    }
    let others = other
        .iter()
        .map(|(function, status)| format!("{function} answers {status}"));
    let others: Vec<String> = others.collect();
    let accepted = match opened.len() {
        0 => "no function answers as it should".to_owned(),
        count => format!(
            "{} the key, but not all are known to",
            counted(count, "function accepts", "functions accept")
        ),
    };
    Check::failed(
        KEY,
        format!("{accepted}: {}", others.join(", ")),
        "check the handler's log, and the checks of the ledger and of the functions",
    )
}

fn of_refusals(answered: &Answered, has_key: bool) -> Check {
    let Answered {
        opened, refusing, ..
    } = answered;
    if opened.is_empty() || !has_key {
        let asked = "any function that was asked";
        return refused(KEY, StatusCode::UNAUTHORIZED, asked, has_key);
    }
    let plural = if opened.len() == 1 { "" } else { "s" };
    Check::failed(
        KEY,
        format!(
            "the key in FUNCTIONS_KEY is one of the function{plural} {} only: {} refuse it",
            opened.join(", "),
            refusing.join(", ")
        ),
        HOST_KEY,
    )
}

/// A key that is missing, or does not open this function.
pub(super) fn refused(name: &str, status: StatusCode, function: &str, has_key: bool) -> Check {
    let why = if has_key {
        format!("the key in FUNCTIONS_KEY does not open {function}")
    } else {
        "FUNCTIONS_KEY is not set".to_owned()
    };
    Check::failed(name, format!("the host answers {status}: {why}"), HOST_KEY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(opened: &[&'static str], refusing: &[&'static str]) -> Answered {
        Answered {
            opened: opened.to_vec(),
            refusing: refusing.to_vec(),
            ..Answered::default()
        }
    }

    #[test]
    fn a_key_is_fine_only_if_every_function_accepts_it() {
        let check = |opened: &[_], refusing: &[_]| of_answers(&answered(opened, refusing), true);
        assert_eq!(check(&["RecordingReads"], &[]).result, Outcome::Fine);
        let reads = check(&["RecordingReads"], &["Vault", "Metrics"]);
        assert!(
            reads.result == Outcome::Failed
                && reads.says.contains("the function RecordingReads only"),
            "{}",
            reads.says
        );
        let none = check(&[], &["RecordingReads", "Vault"]);
        assert!(
            none.says.contains("does not open any function"),
            "{}",
            none.says
        );
    }

    const ALL: [&str; 5] = [
        "RecordingReads",
        "Vault",
        "Metrics",
        "RecordingControl",
        "VaultActions",
    ];

    #[rstest::rstest]
    #[case::handler_alone(&ALL, &[], Place::HandlerHere, Outcome::NotChecked, "no Functions host")]
    #[case::host_without_keys(&ALL, &[], Place::HostHere, Outcome::NotChecked, "asks for no key")]
    #[case::one_is_open(&["Vault"], &["Metrics"], Place::HostHere, Outcome::Failed, "1 function answers without a key too: Vault")]
    #[case::one_is_open_elsewhere(&["Vault"], &["Metrics"], Place::Elsewhere, Outcome::Failed, "1 function answers without a key too: Vault")]
    #[case::all_are_open_elsewhere(&ALL, &[], Place::Elsewhere, Outcome::Failed, "5 functions answer without a key too: RecordingReads, Vault, Metrics, RecordingControl, VaultActions")]
    fn a_function_that_opens_without_a_key_proves_no_key(
        #[case] open: &[&'static str],
        #[case] refusing: &[&'static str],
        #[case] place: Place,
        #[case] result: Outcome,
        #[case] says: &str,
    ) {
        let check = of_open(&answered(open, refusing), place).unwrap();
        assert_eq!(check.result, result, "{}", check.says);
        assert!(check.says.contains(says), "{}", check.says);
    }

    #[rstest::rstest]
    #[case(Place::HandlerHere)]
    #[case(Place::HostHere)]
    #[case(Place::Elsewhere)]
    fn functions_that_all_ask_for_a_key_are_not_open(#[case] place: Place) {
        assert!(of_open(&answered(&[], &ALL), place).is_none());
    }

    #[rstest::rstest]
    #[case::success(200, false, Answer::Opened)]
    #[case::refused_by_the_handler(403, true, Answer::Opened)]
    #[case::no_such_route_of_the_handler(404, true, Answer::Opened)]
    #[case::refused_by_the_host(401, false, Answer::Refused)]
    #[case::not_at_the_host(404, false, Answer::Other(StatusCode::NOT_FOUND))]
    #[case::refused_in_front(403, false, Answer::SignIn)]
    #[case::failing(500, true, Answer::Other(StatusCode::INTERNAL_SERVER_ERROR))]
    #[case::elsewhere(302, false, Answer::Other(StatusCode::FOUND))]
    fn only_success_and_the_handlers_own_refusal_show_that_the_key_is_accepted(
        #[case] status: u16,
        #[case] has_error_object: bool,
        #[case] expected: Answer,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = if has_error_object {
            json!({"error": {"code": "Forbidden"}})
        } else {
            Value::Null
        };
        assert_eq!(Answer::from_parts(status, &body), expected);
    }

    #[tokio::test]
    async fn what_a_sign_in_hides_is_not_checked() {
        let answer = |with_scheme: bool| {
            let mut answer = axum::http::Response::builder().status(401);
            if with_scheme {
                answer = answer.header("www-authenticate", "Bearer realm=\"app\"");
            }
            Answer::of(answer.body("").expect("it is an answer").into())
        };
        assert_eq!(answer(false).await, Answer::Refused);
        let mut answered = answered(&["RecordingReads"], &[]);
        answered.add("Vault", answer(true).await);
        let check = of_answers(&answered, true);
        assert_eq!(check.result, Outcome::NotChecked);
        assert!(check.says.ends_with("in front of Vault"), "{}", check.says);
    }

    #[test]
    fn a_function_that_answers_otherwise_is_named_with_its_status() {
        let mut answered = answered(&["RecordingReads"], &[]);
        answered.add("Vault", Answer::Other(StatusCode::BAD_GATEWAY));
        let check = of_answers(&answered, true);
        assert_eq!(check.result, Outcome::Failed);
        assert!(
            check.says.contains("1 function accepts the key")
                && check.says.contains("Vault answers 502 Bad Gateway"),
            "{}",
            check.says
        );
    }
}
