//! Client for a bot's endpoint, to which activities are posted.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use serde_json::Value;
use url::Url;

/// The longest that a bot may take to answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The endpoint that results are posted to, and the identity that posts them.
pub struct Bot {
    client: reqwest::Client,
    url: Url,
    /// A token for the bot's application, where the bot authenticates callers. It is sent to the configured URL only.
    sign_in: Option<(Arc<dyn TokenCredential>, String)>,
}

/// Why an activity did not reach the bot.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    #[error("could not get a token for the bot")]
    Token(#[source] azure_core::Error),
    #[error("could not post to the bot")]
    Post(#[source] reqwest::Error),
    #[error("the bot answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("the bot did not answer within {TIMEOUT:?}")]
    TooLate,
}

impl Bot {
    /// Sets up; sends nothing. `sign_in` is an identity and the application id of the bot.
    ///
    /// # Errors
    /// When the platform offers no TLS.
    pub fn new(
        url: Url,
        sign_in: Option<(Arc<dyn TokenCredential>, String)>,
    ) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url,
            sign_in,
        })
    }

    /// Posts an activity.
    ///
    /// # Errors
    /// When the bot cannot be reached, or its response is not a success.
    pub async fn post(&self, activity: &Value) -> Result<(), BotError> {
        tokio::time::timeout(TIMEOUT, self.send(activity))
            .await
            .unwrap_or(Err(BotError::TooLate))
    }

    async fn send(&self, activity: &Value) -> Result<(), BotError> {
        let mut request = self.client.post(self.url.clone()).json(activity);
        if let Some((identity, application)) = &self.sign_in {
            let scope = format!("{application}/.default");
            let token = identity
                .get_token(&[&scope], None)
                .await
                .map_err(BotError::Token)?;
            request = request.bearer_auth(token.token.secret());
        }
        let response = request
            .send()
            .await
            .map_err(|error| BotError::Post(error.without_url()))?;
        // A redirect is not a success: nothing is posted to another address.
        if response.status().is_success() {
            Ok(())
        } else {
            Err(BotError::Refused(response.status()))
        }
    }
}
