//! What settings are valid, and how invalid ones are reported.

mod places;

use super::*;
use crate::export::retention::RetentionKeeps;

fn read(settings: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
    read_from(SettingsFrom::Environment, settings)
}

fn read_from(from: SettingsFrom, settings: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
    let settings = settings.iter();
    Config::read_from(
        from,
        settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

const MINIMAL: [(&str, &str); 2] = [
    ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
    ("VAULT_URL", "file:///var/vault"),
];

fn problems(settings: &[(&str, &str)]) -> String {
    read(settings).unwrap_err().to_string()
}

#[test]
fn two_settings_are_enough_and_mean_managed_identity() {
    let config = read(&MINIMAL).unwrap();
    assert!(matches!(config.acs.sign_in, SignIn::ManagedIdentity));
    assert_eq!(config.limits.sweep_budget, Duration::from_mins(4));
    assert_eq!(config.retention, None, "copies are kept without a limit");
    assert_eq!(config.export.blocks.block_size_bytes.get(), 6 << 20);
    assert_eq!(
        format!("{:?}", config.storage.ledger),
        "file:///var/vault-ledger"
    );
}

#[rstest::rstest]
#[case(&[("MISSING_AFTER", "24h")], "MISSING_AFTER is `24h`; expected less than 24h: ACS drops the files")]
#[case(&[("MISSING_AFTER", "36h"), ("SOURCE_RETENTION", "30h")], "expected less than 30h")]
#[case(&[("TELEPHONY_KEY", "15-characters-k")], "TELEPHONY_KEY has fewer than 16 characters")]
#[case(&[("EVENT_GRID_SECRET", "short")], "EVENT_GRID_SECRET has fewer than 16 characters")]
#[case(&[("SOURCE_RETENTION", "168h")], "SOURCE_RETENTION is `168h`; expected less than 168h")]
fn a_setting_beyond_its_documented_limit_is_refused(
    #[case] settings: &[(&str, &str)],
    #[case] expected: &str,
) {
    let text = problems(&[&MINIMAL, settings].concat());
    assert!(text.contains(expected), "{text}");
    assert!(text.starts_with("1 setting is invalid"), "{text}");
}

#[test]
fn a_setting_within_its_limit_is_accepted() {
    let settings = [
        ("MISSING_AFTER", "29h"),
        ("SOURCE_RETENTION", "30h"),
        ("TELEPHONY_KEY", "sixteen-letters-"),
    ];
    assert!(read(&[&MINIMAL[..], &settings].concat()).is_ok());
}

#[test]
fn every_problem_is_reported_at_once_by_name() {
    let text = problems(&[
        ("ACS_ENDPOINT", "http://contoso.communication.azure.com"),
        ("ACS_ACCESS_KEY", "*SECRET*"),
        ("ACS_API_VERSION", "1999"),
        ("ACS_CONTENT_HOSTS", "http://evil.example"),
        ("EVENT_BUDGET", "soon"),
        ("CLAIM_TTL", "1s"),
        ("BLOCK_SIZE", "7"),
        ("BLOCKS_IN_FLIGHT", "0"),
        ("CHUNKS_IN_FLIGHT", "-1"),
        ("LOG_FORMAT", "xml"),
        ("EXPORT_SWEEP_SCHEDULE", "bogus"),
        ("LEDGER_URL", "s3://x"),
        ("DELETE_DELAY", "-5s"),
    ]);
    for name in [
        "ACS_ENDPOINT",
        "ACS_ACCESS_KEY",
        "ACS_API_VERSION",
        "ACS_CONTENT_HOSTS",
        "EVENT_BUDGET",
        "CLAIM_TTL",
        "BLOCK_SIZE",
        "BLOCKS_IN_FLIGHT",
        "CHUNKS_IN_FLIGHT",
        "LOG_FORMAT",
        "EXPORT_SWEEP_SCHEDULE",
        "LEDGER_URL",
        "DELETE_DELAY",
        "VAULT_URL is missing",
    ] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert!(!text.contains("SECRET"), "{text}");
    assert!(text.starts_with("14 settings are invalid"), "{text}");
}

#[test]
fn a_retention_is_a_day_or_more() {
    let with = |period| [MINIMAL[0], MINIMAL[1], ("VAULT_RETENTION", period)];
    let keep_for = Duration::from_hours(8760);
    assert_eq!(
        read(&with("8760h")).unwrap().retention,
        Some(RetentionPolicy {
            keep_for,
            keeps: RetentionKeeps::People
        })
    );
    for mistaken in ["365s", "365d", "0", "always"] {
        assert!(
            problems(&with(mistaken)).contains("VAULT_RETENTION"),
            "{mistaken}"
        );
    }
}

#[test]
fn a_connection_string_stands_for_endpoint_and_key() {
    let string = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
    let config = read(&[("ACS_CONNECTION_STRING", string), MINIMAL[1]]).unwrap();
    assert!(matches!(config.acs.sign_in, SignIn::AccessKey(_)));
}

#[test]
fn both_forms_of_the_key_at_once_are_an_error() {
    let string = "endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0";
    let text = problems(&[("ACS_CONNECTION_STRING", string), MINIMAL[0], MINIMAL[1]]);
    assert!(
        text.contains("ACS_ENDPOINT and ACS_CONNECTION_STRING are both set"),
        "{text}"
    );
}

#[test]
fn the_vault_is_not_its_own_backup() {
    let vault = ("VAULT_URL", "https://a.blob.core.windows.net/calls");
    let backup = (
        "BACKUP_VAULT_URL",
        "https://A.blob.core.windows.net/calls?sv=1&sig=x",
    );
    let text = problems(&[MINIMAL[0], vault, backup]);
    assert!(
        text.contains("BACKUP_VAULT_URL is the same place as VAULT_URL")
            && text.contains("LEDGER_URL is missing: with"),
        "{text}"
    );
}

#[test]
fn a_directory_has_no_holds_and_tiers() {
    let wanted = [
        ("VAULT_TIER", "cool"),
        ("VAULT_TAGS", "true"),
        ("VAULT_IMMUTABLE_FOR", "8760h"),
        ("VAULT_LEGAL_HOLD", "true"),
    ];
    let text = problems(&[&MINIMAL[..], &wanted[..]].concat());
    assert!(wanted.iter().all(|(name, _)| text.contains(name)), "{text}");
}

#[test]
fn notifications_are_off_unless_there_is_one_receiver_and_a_webhook_has_its_secret() {
    assert!(read(&MINIMAL).unwrap().notify.is_none());
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let with = |more: &[(&'static str, &'static str)]| [&MINIMAL[..], more].concat();
    let webhook = with(&[
        ("NOTIFY_URL", "https://x.example/h"),
        ("NOTIFY_SECRET", secret),
    ]);
    let queue = (
        "NOTIFY_QUEUE_URL",
        "https://a.queue.core.windows.net/events",
    );
    assert!(read(&webhook).unwrap().notify.is_some());
    assert!(read(&with(&[queue])).unwrap().notify.is_some());
    let mistaken = [
        (
            with(&[("NOTIFY_URL", "https://x.example/h")]),
            "NOTIFY_SECRET and NOTIFY_URL belong",
        ),
        (
            with(&[("NOTIFY_SECRET", secret)]),
            "NOTIFY_SECRET and NOTIFY_URL belong",
        ),
        (
            with(&[
                ("NOTIFY_URL", "http://x.example"),
                ("NOTIFY_SECRET", secret),
            ]),
            "NOTIFY_URL is not an https URL",
        ),
        (
            with(&[
                ("NOTIFY_URL", "https://x.example"),
                ("NOTIFY_SECRET", "TOPSECRET"),
            ]),
            "NOTIFY_SECRET is not",
        ),
        (
            with(&[("NOTIFY_QUEUE_URL", "file:///TOPSECRET")]),
            "NOTIFY_QUEUE_URL is not the URL of a queue",
        ),
        ([&webhook[..], &[queue]].concat(), "are both set"),
    ];
    for (settings, expected) in mistaken {
        let text = problems(&settings);
        assert!(
            text.contains(expected) && !text.contains("TOPSECRET"),
            "{text}"
        );
    }
}

#[test]
fn an_unresolved_reference_to_key_vault_is_refused_by_name() {
    let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)";
    let text = problems(&[
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("ACS_ACCESS_KEY", reference),
        (
            "VAULT_URL",
            " @microsoft.keyvault(VaultName=v;SecretName=s)",
        ),
        ("EVENT_GRID_SECRET", reference),
        ("WEBSITE_SOMETHING", reference),
    ]);
    assert!(text.starts_with("3 settings are invalid"), "{text}");
    for name in ["ACS_ACCESS_KEY", "VAULT_URL", "EVENT_GRID_SECRET"] {
        assert!(
            text.contains(&format!("{name} refers to Key Vault")),
            "{text}"
        );
    }
    assert!(!text.contains("is missing"), "{text}");
}

#[test]
fn a_reference_is_no_failure_of_the_platform_where_a_verb_reads_a_file() {
    let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)";
    for from in [SettingsFrom::File, SettingsFrom::AzureApp] {
        let settings = [MINIMAL[0], MINIMAL[1], ("ACS_ACCESS_KEY", reference)];
        let text = read_from(from, &settings).unwrap_err().to_string();
        assert!(
            text.starts_with("1 setting is invalid")
                && text.contains("ACS_ACCESS_KEY refers to Key Vault")
                && text.contains("replace the reference there by the secret")
                && !text.contains("did not resolve"),
            "{text}"
        );
        let webhook = [
            MINIMAL[0],
            MINIMAL[1],
            ("NOTIFY_URL", "https://n.contoso.com/"),
            ("NOTIFY_SECRET", reference),
        ];
        let text = read_from(from, &webhook).unwrap_err().to_string();
        assert!(
            text.starts_with("1 setting is invalid") && !text.contains("set both or none"),
            "{text}"
        );
        // What only the handler uses.
        let of_the_handler = [
            MINIMAL[0],
            MINIMAL[1],
            ("EVENT_GRID_SECRET", reference),
            ("TELEPHONY_KEY", reference),
            ("TELEPHONY_BOT_URL", "https://bot.example/api/messages"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example"),
            ("OTEL_EXPORTER_OTLP_HEADERS", reference),
        ];
        let config = read_from(from, &of_the_handler).unwrap();
        assert!(config.event_grid.secret.is_none());
        assert!(problems(&of_the_handler).starts_with("3 settings are invalid"));
    }
}

#[test]
fn an_empty_setting_counts_as_not_given() {
    assert!(problems(&[("VAULT_URL", " "), MINIMAL[0]]).contains("VAULT_URL is missing"));
}

#[rstest::rstest]
fn no_empty_setting_stops_the_start(#[values("", "  ")] empty: &str) {
    let is_minimal = |name: &str| MINIMAL.iter().any(|(needed, _)| *needed == name);
    let others = SETTINGS.iter().filter(|setting| !is_minimal(setting.name));
    let others = others.map(|setting| (setting.name, empty));
    let settings: Vec<_> = MINIMAL.into_iter().chain(others).collect();
    read(&settings).unwrap();
}

#[test]
fn telemetry_is_off_unless_there_is_an_endpoint_and_secrets_go_by_tls_only() {
    assert!(read(&MINIMAL).unwrap().log.otlp.is_none());
    let with = |endpoint, headers| {
        [
            MINIMAL[0],
            MINIMAL[1],
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", headers),
        ]
    };
    let otlp = read(&with(
        "https://otlp.example/base",
        "api-key=a%20b, x-tenant=7",
    ))
    .unwrap()
    .log
    .otlp
    .unwrap();
    assert_eq!(
        (otlp.service_name.as_str(), otlp.headers.expose().len()),
        ("recording-vault", 2)
    );
    assert!(read(&with("http://collector:4318", "")).is_ok());
    for mistaken in [
        "http://collector:4318",
        "https://k:s@otlp.example",
        "https://otlp.example?key=1",
        "otlp.example:4318",
    ] {
        let text = problems(&with(mistaken, "api-key=SECRET"));
        assert!(
            text.contains("OTEL_EXPORTER_OTLP_") && !text.contains("SECRET"),
            "{mistaken}: {text}"
        );
    }
    let text = problems(&with("https://otlp.example", "SECRET"));
    assert!(
        text.contains("OTEL_EXPORTER_OTLP_HEADERS") && !text.contains("SECRET"),
        "{text}"
    );
}

#[test]
fn debug_shows_no_secret() {
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=SECRET");
    let settings = [
        headers,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example"),
        MINIMAL[0],
    ];
    let settings = [
        &settings[..],
        &[
            ("ACS_ACCESS_KEY", "c2VjcmV0"),
            ("VAULT_URL", "https://a.b/calls?sig=SECRET"),
        ],
    ]
    .concat();
    let config = read(&settings).unwrap();
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("c2VjcmV0") && !shown.contains("SECRET"),
        "{shown}"
    );
}

#[rstest::rstest]
#[case("ACS_RESOURCE_ID", "notaguid")]
#[case("AZURE_CLIENT_ID", "my-identity")]
#[case("TELEPHONY_APP_ID", "the-bot")]
#[case("EVENT_GRID_APP_ID", "\"4962773b-9cdb-44cf-a8bf-237846a00ab7\"")]
fn an_id_of_azure_is_one(#[case] name: &str, #[case] wrong: &str) {
    let with = |value| [MINIMAL[0], MINIMAL[1], (name, value)];
    assert!(read(&with("6a1f6b00-09ba-44a6-967d-ecf54e3f58a3")).is_ok());
    let text = problems(&with(wrong));
    assert!(
        text.contains(&format!("{name} is `{wrong}`; expected an id such as")),
        "{text}"
    );
}

#[rstest::rstest]
#[case::braced("{6A1F6B00-09BA-44A6-967D-ECF54E3F58A3}")]
#[case::urn("urn:uuid:6a1f6b00-09ba-44a6-967d-ecf54e3f58a3")]
#[case::upper_case("6A1F6B00-09BA-44A6-967D-ECF54E3F58A3")]
#[case::without_hyphens("6a1f6b0009ba44a6967decf54e3f58a3")]
fn an_id_is_kept_as_azure_writes_it(#[case] written: &str) {
    let ids = [
        "ACS_RESOURCE_ID",
        "AZURE_CLIENT_ID",
        "EVENT_GRID_APP_ID",
        "EVENT_GRID_AUDIENCE",
        "TELEPHONY_APP_ID",
        "TELEPHONY_AUDIENCE",
        "TELEPHONY_BOT_AUDIENCE",
    ];
    let urls = [
        ("EVENT_GRID_OPENID_URL", "https://login.example/openid"),
        ("TELEPHONY_BOT_URL", "https://bot.example/api/messages"),
    ];
    let settings = [&MINIMAL[..], &ids.map(|name| (name, written)), &urls].concat();
    let config = read(&settings).unwrap();
    let telephony = config.telephony.unwrap();
    let (bot_tokens, bot) = telephony.tokens.unwrap();
    let kept = [
        config.callbacks.unwrap().audience,
        config.identity.client_id.unwrap(),
        config.event_grid.app_id,
        config.event_grid.tokens.unwrap().audience,
        bot,
        bot_tokens.audience,
        telephony.bot_audience.unwrap(),
    ];
    for id in kept {
        assert_eq!(id, "6a1f6b00-09ba-44a6-967d-ecf54e3f58a3");
    }
}

#[rstest::rstest]
#[case::uri("api://6A1F6B00-09BA-44A6-967D-ECF54E3F58A3", true)]
#[case::url("https://webhook.contoso.com", true)]
#[case::quoted("\"api://webhook\"", false)]
#[case::with_a_space("api:// webhook", false)]
#[case::placeholder("<application id>", false)]
fn an_audience_is_an_id_or_a_uri(#[case] audience: &str, #[case] is_one: bool) {
    let settings = [
        ("EVENT_GRID_AUDIENCE", audience),
        ("EVENT_GRID_OPENID_URL", "https://login.example/openid"),
    ];
    let settings = [&MINIMAL[..], &settings].concat();
    if is_one {
        let tokens = read(&settings).unwrap().event_grid.tokens;
        assert_eq!(tokens.unwrap().audience, audience);
    } else {
        let text = problems(&settings);
        assert!(
            text.starts_with("1 setting is invalid") && text.contains("EVENT_GRID_AUDIENCE is `"),
            "{text}"
        );
    }
}

#[rstest::rstest]
#[case(
    "ACS_CONTENT_HOSTS",
    "foo.example/path,bar.example",
    "entry 1 is neither host"
)]
#[case(
    "ACS_CONTENT_HOSTS",
    "foo.example,*.example.com",
    "entry 2 is neither host"
)]
#[case(
    "EXTERNAL_STORAGE",
    "https://a.blob.core.windows.net/calls,file:///x",
    "entry 2 is a directory"
)]
#[case(
    "EXPORT_QUEUE_URL",
    "https://a.queue.core.windows.net/",
    "names no queue; expected https://<account>.queue"
)]
#[case(
    "NOTIFY_QUEUE_URL",
    "https://acct.queue.core.windows.net/Q_up",
    "has a name that no queue has"
)]
#[case(
    "NOTIFY_QUEUE_URL",
    "https://acct.blob.core.windows.net/events",
    "is an address of another service of the account; expected https://<account>.queue"
)]
fn what_can_never_work_is_named_with_its_entry(
    #[case] name: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let text = problems(&[MINIMAL[0], MINIMAL[1], (name, value)]);
    assert!(text.contains(&format!("{name} {expected}")), "{text}");
}
