//! Mistakes at the shell: each ends with an exit code that fits and a sentence that says what is wrong.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::command::{run, text};
use crate::support::world::{BINARY, World};

/// Arguments, exit code, and a part of what stderr says.
const MISTAKES: [(&[&str], i32, &str); 44] = [
    (&["List"], 2, "a similar subcommand exists: 'list'"),
    (
        &["replay", "file:///no/such/directory"],
        1,
        "there is no such directory",
    ),
    (
        &["replay", "http://example.com/events?sig=x"],
        1,
        "`http://example.com/events`: the URL is plain http",
    ),
    (&["delete-source", "--yes"], 1, "nothing was ever stored at"),
    (
        &["delete-source", "--dry-run"],
        1,
        "nothing was ever stored at",
    ),
    (
        &["hold", "release", "--case", "A", "--call", "c"],
        1,
        "nothing was ever stored at",
    ),
    (&[], 2, "Usage"),
    (&["lst"], 2, "list"),
    (&["--jsn", "list"], 2, "--json"),
    (&["--json", "--jsonl", "list"], 2, "cannot be used with"),
    (&["list", "--state", "somewhere"], 2, "possible values"),
    (
        &["list", "--state", "Verified"],
        1,
        "nothing was ever stored at",
    ),
    (&["list", "--standing", "foo"], 2, "possible values"),
    (
        &["list", "--state", "lost", "--standing", "lost"],
        2,
        "cannot be used with",
    ),
    (&["find", "x", "--top", "0"], 2, "expected a whole number"),
    (&["list", "everything"], 2, "unexpected argument"),
    (&["show"], 2, "<DOCUMENT>"),
    (&["show", "../../etc/passwd"], 2, "invalid value"),
    (&["show", "0-eus-d1-none"], 1, "nothing was ever stored at"),
    (&["find"], 2, "<TEXT>"),
    (
        &["find", "2026-03-01..2026-02-01", "--top", "x"],
        2,
        "invalid value 'x'",
    ),
    (
        &["open", "nothing-of-that-name"],
        1,
        "nothing was ever stored at",
    ),
    (
        &["open", "nothing", "--url", "app"],
        2,
        "invalid value 'app'",
    ),
    (
        &["play-url", "0-eus-d1-none"],
        1,
        "nothing was ever stored at",
    ),
    (
        &["report", "--day", "yesterday"],
        2,
        "invalid value 'yesterday'",
    ),
    (&["report", "--day", "2026-02-30"], 2, "invalid value"),
    (&["reconcile", "--from", "2026-03-02"], 2, "--to"),
    (
        &["reconcile", "--from", "2026-03-02", "--to", "2026-03-01"],
        2,
        "must end after it begins",
    ),
    (
        &["verify", "--read-data-subset", "200%"],
        2,
        "invalid value",
    ),
    (
        &["verify", "--read-data-subset", "some"],
        2,
        "invalid value",
    ),
    (&["retry", ""], 2, "invalid value"),
    (&["accept"], 2, "<DOCUMENTS>"),
    (&["hold", "add", "--recording", "x"], 2, "--case"),
    (&["hold", "add", "--case", "A-1"], 2, "which combine"),
    (
        &["hold", "add", "--case", "", "--recording", "x"],
        2,
        "expected 1 to 128 characters",
    ),
    (&["hold", "rm"], 2, "unrecognized subcommand"),
    (&["gdpr", "erase", "8:acs:x"], 2, "--reason"),
    (
        &["gdpr", "erase", "8:acs:x", "--reason", " ", "--yes"],
        2,
        "the reason is empty",
    ),
    (
        &["gdpr", "export", "8:acs:x", "--to", "x.zip"],
        2,
        "does not end with .tar",
    ),
    (&["retention", "apply"], 64, "VAULT_RETENTION is not set"),
    (
        &["retention", "apply", "--yes", "--dry-run"],
        2,
        "cannot be used with",
    ),
    (&["completions", "tcsh"], 2, "possible values"),
    (
        &["list", "--settings", "/nowhere.json"],
        64,
        "could not read `/nowhere.json`",
    ),
    (
        &["serve", "--env-file", "x"],
        2,
        "read settings from the environment only",
    ),
];

/// The same, of arguments that name files: `FOLDER` is an empty folder, and beside it are `EMPTY`, `TEXT` and `MEDIA`.
const MISTAKES_OF_VALUES: &[(&[&str], &str)] = &[
    (&["find", ""], "it is empty"),
    (&["find", " ", ""], "it is empty"),
    (&["find", "'7c62cca0-0000'"], "quotes"),
    (
        &["find", "2026-03-05..2026-03-01"],
        "must end after it begins",
    ),
    (&["find", "2026-02-30..2026-03-01"], "not a day or month"),
    (&["find", "x", "--top", "0"], "at least 1"),
    (&["find", "--from", "2026-03-01"], "unexpected argument"),
    (&["list", "--of", ""], "it is empty"),
    (&["list", "--standing", ""], "[possible values: lost"),
    (&["list", "--person", "2026-03-01"], "it is a day"),
    (
        &["list", "--person", "x", "--doubtful"],
        "cannot be used with",
    ),
    (&["verify", "--of", "  "], "it is empty"),
    (
        &[
            "hold",
            "add",
            "--case",
            "A",
            "--from",
            "2026-03-05",
            "--to",
            "2026-03-01",
        ],
        "must end after it begins",
    ),
    (
        &[
            "hold", "release", "--case", "A", "--from", "2026-03", "--to", "2026-02",
        ],
        "must end after it begins",
    ),
    (
        &["hold", "add", "--case", "A", "--from", "soon"],
        "expected a day",
    ),
    (
        &["hold", "add", "--case", "A", "--recording", "'r'"],
        "without them",
    ),
    (
        &["hold", "add", "--case", "A", "--recording", "<recordingId>"],
        "without them",
    ),
    (
        &["hold", "add", "--case", "A", "--recording", ""],
        "it is empty",
    ),
    (
        &[
            "hold",
            "add",
            "--case",
            "A",
            "--recording",
            "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8",
        ],
        "it is the id of a chunk",
    ),
    (
        &["hold", "add", "--case", "A", "--call", "8:acs:x"],
        "give --person",
    ),
    (
        &["hold", "add", "--case", "A", "--call"],
        "a value is required",
    ),
    (
        &["hold", "add", "--case", "A", "--recording", "r", "s"],
        "unexpected argument 's'",
    ),
    (
        &["hold", "add", "A", "--recording", "r"],
        "unexpected argument 'A'",
    ),
    (&["hold", "release", "--case", "A"], "which combine"),
    (
        &["hold", "release"],
        "[--person <PERSON>] [--from <DAY>] [--to <DAY>]",
    ),
    (&["evidence", "r"], "--to"),
    (&["evidence", "--to", "FOLDER/x.zip"], "<OF|--case"),
    (&["evidence", "", "--to", "FOLDER/x.zip"], "it is empty"),
    (
        &["evidence", "2026-02-30", "--to", "FOLDER/x.zip"],
        "no such day",
    ),
    (
        &["evidence", "2026-03-01..2026-03-02", "--to", "FOLDER/x.zip"],
        "one day, recording or call",
    ),
    (
        &["evidence", "r", "s", "--to", "FOLDER/x.zip"],
        "unexpected argument 's'",
    ),
    (&["evidence", "r", "--to", "FOLDER"], "it is a directory"),
    (
        &["evidence", "r", "--to", "FOLDER/x.tar"],
        "does not end with .zip",
    ),
    (
        &["evidence", "r", "--to", "FOLDER/none/x.zip"],
        "its folder does not exist",
    ),
    (
        &["gdpr", "export", "p", "--to", "FOLDER/none/x.tar"],
        "its folder does not exist",
    ),
    (
        &["gdpr", "export", "p", "--to", "FOLDER"],
        "it is a directory",
    ),
    (&["gdpr", "find", "\"8:acs:x\""], "without them"),
    (&["gdpr", "find", "2026-03-01"], "it is a day"),
    (&["gdpr", "find", "a", "b"], "unexpected argument 'b'"),
    (
        &["gdpr", "erase", "p", "--reason", "because of p"],
        "must not name the person",
    ),
    (&["audit", "show", ""], "it is empty"),
    (&["audit", "verify", "--noted", "1"], "<number>:<sha256>"),
    (
        &["audit", "verify", "--timestamp-ca", "FOLDER"],
        "it is a directory",
    ),
    (
        &["audit", "verify", "--timestamp-ca", "FOLDER/none.pem"],
        "does not exist",
    ),
    (
        &["audit", "verify", "--timestamp-ca", "TEXT"],
        "--timestamp-ca",
    ),
    (&["import"], "<FILE|URL>"),
    (&["import", "MEDIA"], "--document"),
    (&["import", "", "--document", "d"], "it is empty"),
    (
        &["import", "FOLDER", "--document", "d"],
        "it is a directory",
    ),
    (&["import", "EMPTY", "--document", "d"], "the file is empty"),
    (
        &["import", "FOLDER/none.wav", "--document", "d"],
        "does not exist",
    ),
    (&["import", "'call.wav'", "--document", "d"], "without them"),
    (
        &["import", "http://example.com/a.wav", "--document", "d"],
        "must be https",
    ),
    (
        &["import", "https:/example.com/a.wav", "--document", "d"],
        "must be https",
    ),
    (
        &["import", "https://127.0.0.1/a.wav", "--document", "d"],
        "not public",
    ),
    (&["import", "MEDIA", "--document", "a b"], "documentId"),
    (&["import", "d", "--document", "MEDIA"], "does not exist"),
    (
        &["import", "MEDIA", "--document", "d", "--last"],
        "cannot be used with",
    ),
    (
        &["import", "MEDIA", "--document", "d", "--metadata", "FOLDER"],
        "it is a directory",
    ),
    (
        &["import", "MEDIA", "--document", "d", "--metadata", "TEXT"],
        "not a metadata file of ACS",
    ),
    (
        &[
            "import",
            "MEDIA",
            "--recording",
            "r",
            "--start",
            "yesterday",
        ],
        "expected a time",
    ),
    (
        &[
            "import",
            "MEDIA",
            "--recording",
            "r",
            "--start",
            "2999-01-01T00:00:00Z",
        ],
        "in the future",
    ),
    (
        &["import", "MEDIA", "--recording", "r", "--index", "-1"],
        "invalid value '-1'",
    ),
    (
        &["import", "MEDIA", "--recording", "r", "--index", "10000"],
        "10000 is not in 0..=9999",
    ),
    (
        &[
            "import",
            "MEDIA",
            "--recording",
            "r",
            "--start",
            "1960-06-01T00:00:00Z",
        ],
        "before 2020-01-01",
    ),
    (
        &["acknowledge", "r", "--reason", "+1 555 123 0001 asked"],
        "a phone number",
    ),
    (
        &["dismiss", "poison:0", "--reason", "caller +15551230001"],
        "a phone number",
    ),
    (
        &["hold", "add", "--recording", "r", "--case", "8:acs:someone"],
        "the id of a person",
    ),
    (
        &[
            "hold",
            "add",
            "--recording",
            "r",
            "--case",
            "A",
            "--note",
            "4:+15551230001",
        ],
        "the id of a person",
    ),
    (
        &[
            "gdpr",
            "erase",
            "8:acs:a",
            "--yes",
            "--reason",
            "John +49 30 123456",
        ],
        "a phone number",
    ),
    (
        &["show", "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIxIn0="],
        "list --of",
    ),
    (
        &["verify", "'0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8'"],
        "quotes",
    ),
    (
        &[
            "evidence",
            "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8",
            "--to",
            "a.zip",
        ],
        "the id of a chunk",
    ),
    (
        &[
            "evidence",
            "imported-801b3f3fc462fe8a01e6810cbff729b8",
            "--to",
            "a.zip",
        ],
        "the id of a chunk",
    ),
    (
        &["play-url", "0-eus-d1-none", "--url", "http://a.example"],
        "not https",
    ),
    (
        &["import", "MEDIA", "MEDIA", "--document", "d"],
        "unexpected argument",
    ),
    (&["report", "--day", "31.11.2026"], "expected a day such as"),
    (&["report", "--day", "2026-11-31"], "no such day"),
    (&["report", "--day", ""], "expected a day such as"),
    (
        &["reconcile", "--from", "01/03/2026", "--to", "2026-03-02"],
        "expected a day such as",
    ),
    (&["doctor", "--port", "0"], "0 is not in 1.."),
    (&["doctor", "--url", "localhost:7071"], "address of an app"),
    (&["doctor", "--url", "ftp://app"], "address of an app"),
    (&["open", "r", "--url", "file:///app"], "address of an app"),
    (&["open", ""], "it is empty"),
    (&["open", "'r'"], "without them"),
    (
        &["hold", "add", "--case", "A", "--call", "c", "--by", " "],
        "it is empty",
    ),
    (
        &["hold", "add", "--case", "A", "--person", "2026-03-02"],
        "write a phone number without dashes",
    ),
    (
        &["import", "MEDIA", "--recording", "8:acs:x"],
        "give that file with --metadata",
    ),
    (
        &[
            "import",
            "MEDIA",
            "--recording",
            "r",
            "--call",
            "4:+15551230001",
        ],
        "it is the id of a person",
    ),
    (
        &["import", "/dev/null", "--document", "d"],
        "save its content to a file",
    ),
    (&["retention", "apply", "everything"], "unexpected argument"),
    (&["retention", "plan", "--yes"], "unexpected argument"),
];

#[test]
fn thirty_mistakes_at_the_shell_say_what_is_wrong() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let settings = BTreeMap::from([
        (
            "ACS_ENDPOINT",
            "https://contoso.communication.azure.com".to_owned(),
        ),
        ("ACS_ACCESS_KEY", "c2VjcmV0".to_owned()),
        (
            "VAULT_URL",
            format!("file://{}/vault", folder.path().display()),
        ),
    ]);
    let mut wrong = Vec::new();
    for (arguments, code, part) in MISTAKES {
        let mut command = Command::new(BINARY);
        let command = command.args(arguments).env_clear().envs(&settings);
        let output = command.output().expect("the binary runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_reported = complaint.contains(part) && !complaint.contains("panicked");
        if output.status.code() != Some(code) || !is_reported {
            let found = output.status.code();
            wrong.push(format!(
                "{arguments:?}: {found:?}, expected {code} `{part}`: {complaint}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_value_that_cannot_be_meant_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(at("folder")).expect("the folder is ours");
    for (name, content) in [
        ("empty.wav", ""),
        ("text.txt", "hello"),
        ("call.wav", "RIFF"),
    ] {
        std::fs::write(at(name), content).expect("the folder is ours");
    }
    let places = [
        ("FOLDER", at("folder")),
        ("EMPTY", at("empty.wav")),
        ("TEXT", at("text.txt")),
        ("MEDIA", at("call.wav")),
    ];
    let settings = [
        (
            "ACS_ENDPOINT",
            "https://contoso.communication.azure.com".to_owned(),
        ),
        ("ACS_ACCESS_KEY", "c2VjcmV0".to_owned()),
        ("VAULT_URL", format!("file://{}", at("vault"))),
        ("VAULT_RETENTION", "8760h".to_owned()),
    ];
    let mut wrong = Vec::new();
    for (arguments, part) in MISTAKES_OF_VALUES {
        let given = arguments.iter().map(|argument| {
            let named = places.iter().find(|(name, _)| argument.starts_with(name));
            named.map_or((*argument).to_owned(), |(name, path)| {
                argument.replacen(name, path, 1)
            })
        });
        let mut command = Command::new(BINARY);
        let command = command.args(given).env_clear().envs(settings.clone());
        let output = command.output().expect("the binary runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_reported = complaint.contains(part) && !complaint.contains("panicked");
        if output.status.code() != Some(2) || !is_reported {
            let found = output.status.code();
            wrong.push(format!(
                "{arguments:?}: {found:?}, expected `{part}`: {complaint}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let left = std::fs::read_dir(folder.path())
        .expect("the folder is ours")
        .count();
    let in_folder = std::fs::read_dir(at("folder"))
        .expect("the folder is ours")
        .count();
    assert_eq!((left, in_folder), (places.len(), 0), "nothing is written");
}

#[test]
fn certificates_may_come_from_a_pipe() {
    let output = Command::new("sh")
        .args([
            "-c",
            "echo none | \"$0\" audit verify --timestamp-ca /dev/stdin",
            BINARY,
        ])
        .env("ACS_ENDPOINT", "https://contoso.communication.azure.com")
        .env("ACS_ACCESS_KEY", "c2VjcmV0")
        .env("VAULT_URL", "file:///nowhere")
        .output()
        .expect("there is a shell");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    // It was read, and has no certificate.
    assert!(
        complaint.contains("--timestamp-ca: /dev/stdin"),
        "{complaint}"
    );
}

#[test]
fn certificates_that_a_setting_names_and_that_are_missing_are_an_error_of_settings() {
    let output = Command::new(BINARY)
        .args(["audit", "verify"])
        .env("ACS_ENDPOINT", "https://contoso.communication.azure.com")
        .env("ACS_ACCESS_KEY", "c2VjcmV0")
        .env("VAULT_URL", "file:///nowhere")
        .env("TIMESTAMP_CA", "/nowhere/ca.pem")
        .output()
        .expect("the binary runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{complaint}");
    assert!(
        complaint.contains("TIMESTAMP_CA: could not read /nowhere/ca.pem"),
        "{complaint}"
    );
}

#[tokio::test]
async fn an_empty_container_is_not_replayed_in_silence() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let url = format!("file://{}", folder.path().display());
    let output = run(world.settings(), &["replay", "--yes", &url]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output).contains("contains no document"));
}
