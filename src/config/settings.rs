//! The name and default of every setting.

/// A setting as the documentation lists it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// `None`: there is no default, or the setting is required.
    pub default: Option<&'static str>,
}

const fn setting(name: &'static str, default: Option<&'static str>) -> Setting {
    Setting { name, default }
}

/// All settings. `local.settings.sample.json` and docs/SETTINGS.md list the same; a test compares them.
pub const SETTINGS: &[Setting] = &[
    setting("ACS_ENDPOINT", None),
    setting("ACS_ACCESS_KEY", None),
    setting("ACS_CONNECTION_STRING", None),
    setting("ACS_API_VERSION", Some("2026-03-12")),
    setting("ACS_CONTENT_HOSTS", None),
    setting("ACS_RESOURCE_ID", None),
    setting(
        "ACS_OPENID_URL",
        Some(
            "https://acscallautomation.communication.azure.com/calling/.well-known/acsopenidconfiguration",
        ),
    ),
    setting("EVENT_GRID_SECRET", None),
    setting("EVENT_GRID_AUDIENCE", None),
    setting("EVENT_GRID_OPENID_URL", None),
    // Microsoft.EventGrid in the public cloud.
    setting(
        "EVENT_GRID_APP_ID",
        Some("4962773b-9cdb-44cf-a8bf-237846a00ab7"),
    ),
    setting("TELEPHONY_APP_ID", None),
    setting("TELEPHONY_AUDIENCE", Some("https://api.botframework.com")),
    setting(
        "TELEPHONY_OPENID_URL",
        Some("https://login.microsoftonline.com/botframework.com/.well-known/openid-configuration"),
    ),
    setting("TELEPHONY_KEY", None),
    setting("TELEPHONY_BOT_URL", None),
    setting("TELEPHONY_BOT_AUDIENCE", None),
    setting("AZURE_CLIENT_ID", None),
    setting("REQUIRE_CONSENT", Some("false")),
    setting("MISSING_AFTER", Some("30m")),
    setting("AUTO_RECORD", Some("off")),
    setting(
        "AUTO_RECORD_OPTIONS",
        Some(
            r#"{"recordingContentType":"audioVideo","recordingChannelType":"mixed","recordingFormatType":"mp4"}"#,
        ),
    ),
    setting("VAULT_URL", None),
    setting("BACKUP_VAULT_URL", None),
    setting("VERIFY", Some("block-list")),
    setting("ON_ANOMALY", Some("keep")),
    setting("ON_UNKNOWN_MEDIA", Some("delete")),
    setting("VAULT_TIER", None),
    setting("VAULT_TAGS", Some("false")),
    setting("VAULT_IMMUTABLE_FOR", None),
    setting("VAULT_LEGAL_HOLD", Some("false")),
    setting("VAULT_RETENTION", None),
    setting("RETENTION_KEEPS", Some("people")),
    setting("LEDGER_URL", None),
    setting("AUDIT_URL", None),
    setting("EXTERNAL_STORAGE", None),
    setting("REPLAY_FROM", None),
    setting("EXPORT_QUEUE_URL", None),
    setting("EXPORT_SWEEP_SCHEDULE", None),
    setting("EVENT_BUDGET", Some("20s")),
    setting("SWEEP_BUDGET", Some("4m")),
    setting("CLAIM_TTL", Some("60s")),
    setting("SOURCE_RETENTION", Some("24h")),
    setting("DELETE_DELAY", Some("0s")),
    setting("DELETE_OTHER_OBJECT", Some("false")),
    setting("DELETE_UNSOLICITED", Some("true")),
    setting("POISON_RETENTION", Some("2160h")),
    setting("EXPORT_ATTEMPTS", Some("100")),
    setting("BLOCK_SIZE", Some("6MiB")),
    setting("BLOCKS_IN_FLIGHT", Some("4")),
    setting("CHUNKS_IN_FLIGHT", Some("4")),
    setting("OPERATOR_ACTIONS", Some("off")),
    setting("DEFAULT_COUNTRY", None),
    setting("NOTIFY_URL", None),
    setting("NOTIFY_SECRET", None),
    setting("NOTIFY_QUEUE_URL", None),
    setting("TIMESTAMP_URL", None),
    setting("TIMESTAMP_CA", None),
    setting("LOG", Some("info")),
    setting("LOG_FORMAT", Some("text")),
    setting("OTEL_EXPORTER_OTLP_ENDPOINT", None),
    setting("OTEL_EXPORTER_OTLP_HEADERS", None),
    setting("OTEL_SERVICE_NAME", Some("recording-vault")),
];
