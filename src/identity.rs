//! How the process signs in at Microsoft Entra: with the managed identity of the app; at a shell, where there is none, with
//! the login of the Azure CLI. Asks for a token when one is needed. It must not know what the tokens are for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::{
    AzureCliCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};

use crate::error_chain::ErrorChain;
use crate::http_client;

/// Where there is a managed identity, its endpoint is on the same machine. A laptop's network may drop the request silently.
const MANAGED_WITHIN: Duration = Duration::from_secs(3);
/// The same where no other login is tried: a caller waits for the token.
const MACHINE_WITHIN: Duration = Duration::from_millis(1500);
/// The same where the platform names its endpoint: it may be slow at first, and ask for a delay that outlasts every caller.
const PLATFORM_WITHIN: Duration = Duration::from_secs(30);
/// A token that expires within this time is not used.
const SPARE: Duration = Duration::from_mins(5);

/// Which identity to use.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    /// Client id of a user-assigned identity.
    pub client_id: Option<String>,
    pub login: Login,
    pub endpoint: IdentityEndpoint,
}

/// Where a managed identity's tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityEndpoint {
    /// Named by the platform: it exists, but may be slow at first.
    OfThePlatform,
    /// An address that responds on every virtual machine of Azure, and nowhere else.
    OfTheMachine,
}

/// Which logins may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The app's own login only: the handler never acts on behalf of a person.
    ManagedIdentity,
    /// At a shell: that of the person who runs the command, where there is no managed identity.
    ManagedIdentityOrAzureCli,
}

/// The login that returned a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedLogin {
    ManagedIdentity,
    AzureCli,
}

/// An identity that returns tokens.
pub struct Identity {
    managed: Arc<ManagedIdentityCredential>,
    endpoint: IdentityEndpoint,
    cli: Option<CliLogin>,
    used: Mutex<Option<UsedLogin>>,
}

/// The login of the Azure CLI. `az` is started once for each scope and hour: it takes seconds.
struct CliLogin {
    credential: Arc<AzureCliCredential>,
    tokens: tokio::sync::Mutex<Vec<(String, AccessToken)>>,
}

/// Returns the identity as a credential.
///
/// # Errors
/// When the platform's kind of managed identity is not supported.
pub fn credential(config: &IdentityConfig) -> azure_core::Result<Arc<dyn TokenCredential>> {
    Ok(Arc::new(Identity::new(config)?))
}

impl Identity {
    /// Sends no request.
    ///
    /// # Errors
    /// As [`credential`].
    pub fn new(config: &IdentityConfig) -> azure_core::Result<Self> {
        let client_options = ClientOptions {
            transport: Some(http_client::azure_transport()),
            ..ClientOptions::default()
        };
        let options = ManagedIdentityCredentialOptions {
            client_options,
            user_assigned_id: config.client_id.clone().map(UserAssignedId::ClientId),
        };
        let cli = match config.login {
            Login::ManagedIdentity => None,
            Login::ManagedIdentityOrAzureCli => Some(CliLogin {
                credential: AzureCliCredential::new(None)?,
                tokens: tokio::sync::Mutex::default(),
            }),
        };
        Ok(Self {
            managed: ManagedIdentityCredential::new(Some(options))?,
            endpoint: config.endpoint,
            cli,
            used: Mutex::default(),
        })
    }

    /// The login that returned the last token.
    pub fn used(&self) -> Option<UsedLogin> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, used: UsedLogin) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
    }

    /// Requests the first token, while it is unknown whether there is an identity.
    async fn machine_token(&self, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let why = "this machine has no managed identity: nothing answered within 1.5 s";
        within(MACHINE_WITHIN, self.managed.get_token(scopes, None), why).await
    }

    /// Tries both logins, one after the other.
    async fn token_of_either(
        &self,
        cli: &CliLogin,
        scopes: &[&str],
    ) -> azure_core::Result<(UsedLogin, AccessToken)> {
        let managed = tokio::time::timeout(MANAGED_WITHIN, self.managed.get_token(scopes, None));
        let no_managed = match managed.await {
            Ok(Ok(token)) => return Ok((UsedLogin::ManagedIdentity, token)),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer within {} s", MANAGED_WITHIN.as_secs()),
        };
        match cli.token(scopes).await {
            Ok(token) => Ok((UsedLogin::AzureCli, token)),
            Err(error) => {
                let why = format!(
                    "no managed identity ({no_managed}), and no login of the Azure CLI ({})",
                    chain(&error)
                );
                Err(Error::with_message(ErrorKind::Credential, why))
            }
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let (used, token) = match (&self.cli, self.used()) {
            (None, None) if self.endpoint == IdentityEndpoint::OfTheMachine => (
                UsedLogin::ManagedIdentity,
                self.machine_token(scopes).await?,
            ),
            (None, _) | (Some(_), Some(UsedLogin::ManagedIdentity)) => {
                let why = "the managed identity gave no token within 30 s";
                let asking = self.managed.get_token(scopes, options);
                let token = within(PLATFORM_WITHIN, asking, why).await?;
                (UsedLogin::ManagedIdentity, token)
            }
            (Some(cli), Some(UsedLogin::AzureCli)) => {
                (UsedLogin::AzureCli, cli.token(scopes).await?)
            }
            (Some(cli), None) => self.token_of_either(cli, scopes).await?,
        };
        self.remember(used);
        Ok(token)
    }
}

impl CliLogin {
    async fn token(&self, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let scope = scopes.join(" ");
        let mut tokens = self.tokens.lock().await;
        let known = tokens.iter().find(|(known, _)| *known == scope);
        if let Some((_, token)) = known.filter(|(_, token)| is_good(token)) {
            return Ok(token.clone());
        }
        let token = self.credential.get_token(scopes, None).await?;
        tokens.retain(|(known, _)| *known != scope);
        tokens.push((scope, token.clone()));
        Ok(token)
    }
}

/// Waits this long for a token. `why`: what the error says after that.
async fn within(
    limit: Duration,
    asking: impl Future<Output = azure_core::Result<AccessToken>> + Send,
    why: &'static str,
) -> azure_core::Result<AccessToken> {
    match tokio::time::timeout(limit, asking).await {
        Ok(token) => token,
        Err(_) => Err(Error::with_message(ErrorKind::Credential, why)),
    }
}

fn is_good(token: &AccessToken) -> bool {
    OffsetDateTime::now_utc() + SPARE < token.expires_on
}

/// An error with its causes, on one line: the Azure CLI writes several.
fn chain(error: &Error) -> String {
    let text = ErrorChain(error).to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_caller_waits_for_a_token_without_end() {
        let asking = std::future::pending();
        let error = within(PLATFORM_WITHIN, asking, "late").await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Credential));
        assert_eq!(error.to_string(), "late");
    }
}
