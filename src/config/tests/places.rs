//! Which places settings may name, and which of them get the identity's token.

use super::*;

#[rstest::rstest]
#[case::flex("LEGION_SERVICE_HOST")]
#[case::every_plan("WEBSITE_SITE_NAME")]
#[case::dedicated("WEBSITE_INSTANCE_ID")]
fn a_directory_is_no_vault_and_no_ledger_in_azure(#[case] of_azure: &str) {
    let in_azure = [MINIMAL[0], (of_azure, "contoso")];
    let text = problems(&[&in_azure[..], &[MINIMAL[1]]].concat());
    assert!(
        text.starts_with("1 setting is invalid")
            && text.contains("VAULT_URL is a directory, and this app runs in Azure"),
        "the ledger is beside it: {text}"
    );
    let container = ("VAULT_URL", "https://a.blob.core.windows.net/calls");
    let others = [
        ("LEDGER_URL", "file:///var/ledger"),
        ("BACKUP_VAULT_URL", "file:///var/backup"),
        ("AUDIT_URL", "file:///var/audit"),
    ];
    let text = problems(&[&in_azure[..], &[container], &others].concat());
    assert!(text.starts_with("3 settings are invalid"), "{text}");
    for (name, _) in others {
        assert!(text.contains(&format!("{name} is a directory")), "{text}");
    }
    assert!(read(&[&in_azure[..], &[container]].concat()).is_ok());
}

/// Two instances may write into a mounted one at once.
#[rstest::rstest]
#[case::lost("file:///tmp/calls")]
#[case::of_the_package("file:///var/task/calls")]
#[case::mounted("file:///mnt/efs/calls")]
fn a_directory_is_no_vault_on_lambda(#[case] vault: &str) {
    let on_lambda = [
        MINIMAL[0],
        ("AWS_LAMBDA_FUNCTION_NAME", "recordings"),
        ("VAULT_URL", vault),
    ];
    let text = problems(&on_lambda);
    let expected = "VAULT_URL is a directory, and this app runs on AWS Lambda";
    assert!(text.contains(expected), "{text}");
    let emulated = [&on_lambda[..], &[("AWS_SAM_LOCAL", "true")]].concat();
    assert!(read(&emulated).is_ok());
    assert!(read_from(SettingsFrom::File, &on_lambda).is_ok());
}

/// `func start` sets variables of the platform too, and so does the shell of a developer.
#[test]
fn a_directory_is_a_vault_on_this_machine() {
    let of_func = [
        ("FUNCTIONS_CORETOOLS_ENVIRONMENT", "true"),
        ("WEBSITE_HOSTNAME", "localhost:7071"),
        ("WEBSITE_SITE_NAME", "contoso"),
    ];
    assert!(read(&[&MINIMAL[..], &of_func].concat()).is_ok());
    let settings = [&MINIMAL[..], &of_func[1..]].concat();
    assert!(read_from(SettingsFrom::File, &settings).is_ok());
}

#[rstest::rstest]
#[case::vault("https://a.blob.core.windows.net/letters", true)]
#[case::its_other_spelling("https://A.blob.core.windows.net:443/letters", true)]
#[case::ledger("https://l.blob.core.windows.net/letters", true)]
#[case::audit("https://u.blob.core.windows.net/letters", true)]
#[case::external("https://x.blob.core.windows.net/letters", true)]
#[case::named("https://letters.contoso.com/letters", true)]
#[case::another_account("https://b.blob.core.windows.net/letters", false)]
#[case::another_port("https://a.blob.core.windows.net:444/letters", false)]
#[case::a_longer_host("https://a.blob.core.windows.net.evil.example/letters", false)]
#[case::a_user_name("https://a.blob.core.windows.net.@evil.example/letters", false)]
#[case::a_subdomain("https://x.a.blob.core.windows.net/letters", false)]
#[case::gets_a_sas_only("https://s.blob.core.windows.net/letters", false)]
fn the_token_is_sent_where_a_setting_sends_it_and_nowhere_else(
    #[case] url: &str,
    #[case] expected: bool,
) {
    let config = read(&[
        MINIMAL[0],
        ("VAULT_URL", "https://a.blob.core.windows.net/calls"),
        ("LEDGER_URL", "https://l.blob.core.windows.net/ledger"),
        ("AUDIT_URL", "https://u.blob.core.windows.net/audit"),
        (
            "BACKUP_VAULT_URL",
            "https://s.blob.core.windows.net/backup?sv=1&sig=x",
        ),
        ("EXTERNAL_STORAGE", "https://x.blob.core.windows.net/own"),
        ("REPLAY_FROM", "https://letters.contoso.com/undelivered,"),
    ]);
    let storage = config.unwrap().storage;
    let is_sent = match url.parse() {
        Ok(VaultUrl::Container(container)) => storage.sends_token_to(&container),
        Ok(VaultUrl::Directory(_)) | Err(_) => false,
    };
    assert_eq!(is_sent, expected);
}

#[test]
fn containers_to_replay_from_have_no_sas() {
    for (given, expected) in [
        (
            "https://a.blob.core.windows.net/letters?sv=1&sig=TOPSECRET",
            "has a SAS",
        ),
        ("file:///var/letters", "entry 1 is a directory"),
        (
            "https://a.blob.core.windows.net",
            "entry 1 names no container",
        ),
    ] {
        let text = problems(&[&MINIMAL[..], &[("REPLAY_FROM", given)]].concat());
        assert!(
            text.contains(&format!("REPLAY_FROM {expected}")) && !text.contains("TOPSECRET"),
            "{text}"
        );
    }
}

#[test]
fn the_audit_log_has_a_place_of_its_own() {
    let with = |audit| [MINIMAL[0], MINIMAL[1], ("AUDIT_URL", audit)];
    assert!(read(&MINIMAL).unwrap().storage.audit.is_none());
    let audit = read(&with("file:///var/audit")).unwrap().storage.audit;
    assert_eq!(format!("{:?}", audit.unwrap()), "file:///var/audit");
    for taken in ["file:///var/vault", "file:///var/vault-ledger"] {
        let text = problems(&with(taken));
        assert!(text.contains("AUDIT_URL is "), "{text}");
    }
}

#[test]
fn no_place_is_inside_another() {
    let problems = |settings: &[(&str, &str)]| {
        let vault = ("VAULT_URL", "file:///var/vault");
        problems(&[&[MINIMAL[0], vault], settings].concat())
    };
    for (name, url, expected) in [
        (
            "LEDGER_URL",
            "file:///var/vault/ledger",
            "is inside VAULT_URL",
        ),
        ("LEDGER_URL", "file:///var", "contains VAULT_URL"),
        (
            "AUDIT_URL",
            "file:///var/vault/audit",
            "is inside VAULT_URL",
        ),
        (
            "AUDIT_URL",
            "file:///var/vault-ledger/a",
            "is inside LEDGER_URL",
        ),
        (
            "BACKUP_VAULT_URL",
            "file:///var/vault/b",
            "is inside VAULT_URL",
        ),
    ] {
        let text = problems(&[(name, url)]);
        assert!(text.contains(&format!("{name} {expected}")), "{text}");
    }
    let ledger = ("LEDGER_URL", "file:///var/ledger");
    let backup = ("BACKUP_VAULT_URL", "file:///var/ledger/b");
    let audit = ("AUDIT_URL", "file:///var/ledger/b/audit");
    let text = problems(&[ledger, backup, audit]);
    for expected in [
        "BACKUP_VAULT_URL is inside LEDGER_URL",
        "AUDIT_URL is inside BACKUP_VAULT_URL",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}
