//! Settings of ACS: where it is, how to sign in, which hosts may serve content.

use std::str::FromStr;

use super::reader::Reader;
use super::{AcsConfig, SignIn};
use crate::acs::{AccessKey, ApiVersion, ContentHost, connection_string};
use crate::control::auto_record::{AutoRecord, Scope};
use crate::identity::IdentityEndpoint;

impl Reader {
    /// Reads a variable of the platform, which is not one of our settings.
    pub(super) fn identity_endpoint(&self) -> IdentityEndpoint {
        if self.text("IDENTITY_ENDPOINT").is_some() {
            IdentityEndpoint::OfThePlatform
        } else {
            IdentityEndpoint::OfTheMachine
        }
    }

    pub(super) fn acs(&mut self) -> Option<AcsConfig> {
        let connection_string = self.text("ACS_CONNECTION_STRING");
        let (endpoint, sign_in) = match connection_string {
            Some(text) => {
                for name in ["ACS_ENDPOINT", "ACS_ACCESS_KEY"] {
                    if self.text(name).is_some() {
                        self.problem(
                            name,
                            "and ACS_CONNECTION_STRING are both set; keep one of them",
                        );
                    }
                }
                let parts = connection_string::parse(&text)
                    .map_err(|error| self.problem("ACS_CONNECTION_STRING", error))
                    .ok();
                let (endpoint, key) = parts.unzip();
                (endpoint, key.map(SignIn::AccessKey))
            }
            None => {
                let endpoint = self.required("ACS_ENDPOINT");
                let sign_in = match self.text("ACS_ACCESS_KEY") {
                    Some(_) => self
                        .parsed("ACS_ACCESS_KEY", AccessKey::from_str)
                        .map(SignIn::AccessKey),
                    None => Some(SignIn::ManagedIdentity),
                };
                (endpoint, sign_in)
            }
        };
        let api_version = self.parsed("ACS_API_VERSION", ApiVersion::from_str);
        let content_hosts = match self.text("ACS_CONTENT_HOSTS") {
            Some(_) => self.parsed("ACS_CONTENT_HOSTS", |text| {
                let hosts = text.split(',').filter(|host| !host.trim().is_empty());
                // The entry is not shown: it may hold a password.
                let hosts = hosts.zip(1..).map(|(host, number)| {
                    ContentHost::from_str(host).map_err(|error| format!("entry {number} {error}"))
                });
                hosts.collect::<Result<Vec<_>, _>>()
            }),
            None => Some(Vec::new()),
        };
        Some(AcsConfig {
            endpoint: endpoint?,
            sign_in: sign_in?,
            api_version: api_version?,
            content_hosts: content_hosts?,
        })
    }

    pub(super) fn auto_record(
        &mut self,
        acs: Option<&AcsConfig>,
        needs_consent: bool,
    ) -> Option<AutoRecord> {
        let (scope, options) = (self.text("AUTO_RECORD")?, self.text("AUTO_RECORD_OPTIONS")?);
        let scope = Scope::parse(&scope)
            .map_err(|error| self.problem("AUTO_RECORD", error))
            .ok()??;
        let policy = AutoRecord::new(scope, &options, acs?.api_version);
        let policy = policy
            .map_err(|error| self.problem("AUTO_RECORD_OPTIONS", error))
            .ok()?;
        if needs_consent && !policy.has_consent() {
            self.problem(
                "AUTO_RECORD_OPTIONS",
                "have no `consent`, and REQUIRE_CONSENT is true",
            );
        }
        Some(policy)
    }
}
