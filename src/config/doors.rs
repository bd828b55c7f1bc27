//! Settings of the endpoints that authenticate callers themselves: Event Grid's webhook, ACS's callbacks, bots.

use super::reader::Reader;
use super::{EventGridConfig, TelephonyConfig, TokenConfig};
use crate::secret::SharedSecret;

/// A caller who knows the URL can try secrets as fast as the host responds.
const SHORTEST_SECRET: usize = 16;

impl Reader {
    /// Callbacks are off unless the resource that sends them is known.
    pub(super) fn callbacks(&mut self) -> Option<TokenConfig> {
        let openid_url = self.https_url("ACS_OPENID_URL");
        Some(TokenConfig {
            audience: self.guid("ACS_RESOURCE_ID")?,
            openid_url: openid_url?,
        })
    }

    pub(super) fn event_grid(&mut self) -> EventGridConfig {
        let openid_url = self.https_url("EVENT_GRID_OPENID_URL");
        let audience = self.audience("EVENT_GRID_AUDIENCE");
        if self.is_given("EVENT_GRID_OPENID_URL") != self.is_given("EVENT_GRID_AUDIENCE") {
            self.problem(
                "EVENT_GRID_AUDIENCE",
                "and EVENT_GRID_OPENID_URL belong together; set both or none",
            );
        }
        let tokens = openid_url
            .zip(audience)
            .map(|(openid_url, audience)| TokenConfig {
                openid_url,
                audience,
            });
        EventGridConfig {
            secret: self.door_secret("EVENT_GRID_SECRET"),
            tokens,
            // An invalid one is a problem, and is not used.
            app_id: self.guid("EVENT_GRID_APP_ID").unwrap_or_default(),
        }
    }

    /// Reads a secret that callers of an anonymous route present.
    fn door_secret(&mut self, name: &str) -> Option<SharedSecret> {
        self.parsed(name, |text| {
            if text.chars().count() < SHORTEST_SECRET {
                Err(format!(
                    "has fewer than {SHORTEST_SECRET} characters; make one with `openssl rand -hex 24`"
                ))
            } else {
                Ok(SharedSecret::new(text))
            }
        })
    }

    /// The platform sets it where App Service Authentication is on, and removes `X-MS-CLIENT-PRINCIPAL*` from requests
    /// then. <https://learn.microsoft.com/azure/app-service/reference-app-settings>
    pub(super) fn platform_signs_in(&self) -> bool {
        self.text("WEBSITE_AUTH_ENABLED")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Bots are off unless a token or a key authenticates them.
    pub(super) fn telephony(&mut self) -> Option<TelephonyConfig> {
        let (openid_url, bot_url) = (
            self.https_url("TELEPHONY_OPENID_URL"),
            self.https_url("TELEPHONY_BOT_URL"),
        );
        let key = self.door_secret("TELEPHONY_KEY");
        let (app_id, audience) = (
            self.guid("TELEPHONY_APP_ID"),
            self.audience("TELEPHONY_AUDIENCE"),
        );
        let tokens = app_id.zip(openid_url.zip(audience));
        let tokens = tokens.map(|(app_id, (openid_url, audience))| {
            (
                TokenConfig {
                    openid_url,
                    audience,
                },
                app_id,
            )
        });
        let bot_audience = self.audience("TELEPHONY_BOT_AUDIENCE");
        if bot_audience.is_some() && self.text("TELEPHONY_BOT_URL").is_none() {
            self.problem(
                "TELEPHONY_BOT_AUDIENCE",
                "is set without TELEPHONY_BOT_URL; set both or none",
            );
        }
        if !self.is_given("TELEPHONY_KEY") && self.text("TELEPHONY_APP_ID").is_none() {
            if self.text("TELEPHONY_BOT_URL").is_some() {
                let expected = "is set, but nothing authenticates the bot; set TELEPHONY_APP_ID or TELEPHONY_KEY";
                self.problem("TELEPHONY_BOT_URL", expected);
            }
            return None;
        }
        Some(TelephonyConfig {
            key,
            tokens,
            bot_url,
            bot_audience,
        })
    }
}
