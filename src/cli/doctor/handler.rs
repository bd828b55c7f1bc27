//! The functions themselves: do they answer, is the key right, would Event Grid's handshakes succeed?

use recording_vault::functions::host_form::{FORM_HEADER, HostForm};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::front::{asks_for_sign_in, behind_sign_in, is_refused_in_front, refused_in_front};
use super::key::{self, KEY};
use super::target::{HANGS, Handler, WebhookSecret, unreachable};
use super::{Check, DEADLINE, within, within_of};

const HANDLER: &str = "handler";
const WEBHOOK: &str = "webhook, Event Grid schema";
const CLOUD_EVENTS: &str = "webhook, CloudEvents";
const EVENT_GRID: &str = "eventgrid.azure.net";
/// Without key and data.
const OPENAPI_PATH: &str = "/api/openapi.json";
const OPENAPI_IS_PUBLIC: &str = "it contains no data";
const WEBHOOK_PATH: &str = "/api/eventgrid/webhook";
const WEBHOOK_HAS_A_KEY: &str = "Event Grid cannot sign in there, and the webhook asks for a key";
const ONLY_EVENT_GRID: &str =
    "EVENT_GRID_AUDIENCE is set: only Event Grid itself has a token that the webhook accepts";

/// `wants_token`: the webhook accepts only requests with Event Grid's token.
pub(super) async fn checks(
    handler: Option<&Handler>,
    wants_token: bool,
    client: &Client,
) -> Vec<Check> {
    let Some(handler) = handler else {
        let how = "give --url https://<app>.azurewebsites.net (and its key in FUNCTIONS_KEY), or --port, to check it";
        return vec![Check::not_checked(HANDLER, how)];
    };
    if handler.url.scheme() != "https" && !recording_vault::address::is_loopback(&handler.url) {
        let says = "its URL is not https, so the function key is not sent there";
        return vec![Check::failed(HANDLER, says, "give its https:// URL")];
    }
    let reached = within_of(DEADLINE, HANDLER, HANGS, handler.reached(client)).await;
    if reached.result != super::Outcome::Fine {
        return vec![reached];
    }
    let (key, webhook, cloud_events, functions, trigger) = tokio::join!(
        within(KEY, key::check(handler, client)),
        within(WEBHOOK, handler.validates(wants_token, client)),
        within(CLOUD_EVENTS, handler.allows(wants_token, client)),
        within("functions", handler.functions(client)),
        within("Event Grid trigger", handler.trigger(client)),
    );
    vec![reached, key, webhook, cloud_events, functions, trigger]
}

impl Handler {
    fn to_webhook(&self, client: &Client, method: Method) -> RequestBuilder {
        let secret = self.secret.known();
        let secret: Vec<(&str, &str)> = secret
            .map(|secret| ("secret", secret.trim()))
            .into_iter()
            .collect();
        self.request(client, method, WEBHOOK_PATH, &secret)
    }

    async fn reached(&self, client: &Client) -> Check {
        match self
            .request(client, Method::GET, OPENAPI_PATH, &[])
            .send()
            .await
        {
            Err(error) => Check::failed(HANDLER, unreachable(&error), self.where_it_runs(&error)),
            Ok(answer) if answer.status().is_success() => Check::fine(HANDLER, answers(&answer)),
            Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Check::failed(
                HANDLER,
                "something answers, but without the functions of this app",
                "publish all of `dist/`: `cargo xtask stage`, then `cd dist && func azure functionapp publish <app>`",
            ),
            Ok(answer) if asks_for_sign_in(&answer) => {
                behind_sign_in(HANDLER, OPENAPI_PATH, OPENAPI_IS_PUBLIC)
            }
            Ok(answer) => {
                let status = answer.status();
                let body: Value = answer.json().await.unwrap_or_default();
                if is_refused_in_front(status, &body) {
                    return refused_in_front(HANDLER, OPENAPI_PATH, OPENAPI_IS_PUBLIC);
                }
                Check::failed(
                    HANDLER,
                    format!("the host answers {status} for it"),
                    "the host runs and the handler does not: check its log (`func azure functionapp logstream <app>`) for settings that are missing or invalid",
                )
            }
        }
    }

    /// <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>
    async fn validates(&self, wants_token: bool, client: &Client) -> Check {
        if wants_token {
            return Check::not_checked(WEBHOOK, ONLY_EVENT_GRID);
        }
        let code = Uuid::new_v4().to_string();
        let event = json!([{
            "id": Uuid::new_v4(), "topic": "/recording-vault/doctor", "subject": "", "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2026-01-01T00:00:00Z",
            "metadataVersion": "1", "dataVersion": "2",
        }]);
        let request = self
            .to_webhook(client, Method::POST)
            .header("aeg-event-type", "SubscriptionValidation")
            .json(&event);
        match request.send().await {
            Err(error) => Check::failed(WEBHOOK, unreachable(&error), self.where_it_runs(&error)),
            Ok(answer) if asks_for_sign_in(&answer) => {
                behind_sign_in(WEBHOOK, WEBHOOK_PATH, WEBHOOK_HAS_A_KEY)
            }
            Ok(answer) if is_refused(&answer) => self.unauthorized(WEBHOOK, answer).await,
            Ok(answer) => {
                let status = answer.status();
                let answer: Value = answer.json().await.unwrap_or_default();
                if answer["validationResponse"] == code.as_str() {
                    return Check::fine(WEBHOOK, "the validation code comes back");
                }
                Check::failed(
                    WEBHOOK,
                    format!("it answers {status}, and not with the validation code"),
                    no_handshake(),
                )
            }
        }
    }

    /// <https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema>
    async fn allows(&self, wants_token: bool, client: &Client) -> Check {
        let request = self
            .to_webhook(client, Method::OPTIONS)
            .header("webhook-request-origin", EVENT_GRID);
        match request.send().await {
            Err(error) => Check::failed(
                CLOUD_EVENTS,
                unreachable(&error),
                self.where_it_runs(&error),
            ),
            Ok(answer) if asks_for_sign_in(&answer) => {
                behind_sign_in(CLOUD_EVENTS, WEBHOOK_PATH, WEBHOOK_HAS_A_KEY)
            }
            Ok(answer) if is_refused(&answer) => self.unauthorized(CLOUD_EVENTS, answer).await,
            Ok(answer) => {
                let allowed = answer
                    .headers()
                    .get("webhook-allowed-origin")
                    .and_then(|origin| origin.to_str().ok());
                let is_allowed =
                    allowed.is_some_and(|origin| origin == EVENT_GRID || origin == "*");
                if is_allowed && wants_token {
                    let says =
                        format!("the handshake succeeds, which takes no token; {ONLY_EVENT_GRID}");
                    return Check::not_checked(CLOUD_EVENTS, says);
                }
                if is_allowed {
                    return Check::fine(CLOUD_EVENTS, "Event Grid is allowed to deliver");
                }
                let says = format!(
                    "it answers {}, and does not allow Event Grid to deliver",
                    answer.status()
                );
                Check::failed(CLOUD_EVENTS, says, no_handshake())
            }
        }
    }

    /// The host refuses a key without a body; the handler refuses a secret with an error object.
    async fn unauthorized(&self, name: &str, answer: Response) -> Check {
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if is_refused_in_front(status, &body) {
            return refused_in_front(name, WEBHOOK_PATH, WEBHOOK_HAS_A_KEY);
        }
        if body["error"].is_null() {
            return key::refused(name, status, "EventGridWebhook", self.key.is_some());
        }
        let why = match self.secret {
            WebhookSecret::Known(_) => "the secret in EVENT_GRID_SECRET is not the app's",
            WebhookSecret::NotSet => "the app has an EVENT_GRID_SECRET, and here it is not set",
            WebhookSecret::InKeyVault => {
                let says = "EVENT_GRID_SECRET refers to Key Vault, so doctor does not know the secret, which the handler asks for";
                return Check::not_checked(name, says);
            }
        };
        Check::failed(
            name,
            format!("the handler answers {status}: {why}"),
            "give EVENT_GRID_SECRET the same value here and in the app's settings, and in the URL of the subscription (`?secret=`)",
        )
    }
}

/// How the handler says that the host passes requests on.
fn answers(answer: &Response) -> &'static str {
    let form = answer.headers().get(FORM_HEADER);
    if form.is_some_and(|form| form == HostForm::Forwarded.name()) {
        "it answers, through a host that forwards HTTP requests: parts of media are limited to 8 MiB, whole files to 64 MiB; update the host, or set `enableProxyingHttpRequest` in host.json"
    } else {
        "it answers"
    }
}

fn no_handshake() -> String {
    "check that this version is published, with the function EventGridWebhook (`az functionapp function list --name <app> --resource-group <group>`)".to_owned()
}

fn is_refused(answer: &Response) -> bool {
    matches!(
        answer.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}
