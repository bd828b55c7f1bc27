//! A short run of every fuzz target, from a corpus of real samples. `fuzz/` runs the same targets for as long as you like.

mod targets;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Inputs for each target in one run of the tests.
const INPUTS: u32 = 10_000;
/// The seed to run again: `FUZZ_SEED=…`.
const SEED: &str = "FUZZ_SEED";

/// What tends to break readers.
const TOKENS: [&[u8]; 24] = [
    b"\xef\xbb\xbf",
    b"\0",
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"1e999",
    b"-1",
    b"99999999999999999999",
    b"..",
    b"/",
    b"\\",
    b"@",
    b":",
    b"%2e%2e%2f",
    b"\xff\xfe",
    b"\"data\":",
    b"https://",
    b".asm.skype.com",
    b"\xd0\xb0sm",
    b"[[[[[[[[",
    b"*/0",
    b"?",
    b";accesskey=",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = project.join("tests/fixtures");
    let texts: &[&str] = match target {
        "subject" => &[
            "/recording/call/7c62cca0/serverCallId/aHR0cHM6/recordingId/eyJQ",
            "/recording/call/{call-id}",
        ],
        "content_url" => &[
            "https://us-storage.asm.skype.com/v1/objects/0-eus-d1-a/content/video",
            "https://user:pw@us-storage.asm.skype.com:8443/v1?x=1#y",
            "https://xn--sm-yka.skype.com/v1",
            "https://[::1]/v1",
        ],
        "connection_string" => {
            &["endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0c2VjcmV0"]
        }
        "schedule" => &["0 * * * * *", "*/5 0-30/2 1,2 * JAN MON-FRI", "00:01:00"],
        "start_body" => &[
            r#"{"callLocator":{"kind":"serverCallLocator","serverCallId":"abc"},"channelAffinity":[{"channel":0,"participant":{"rawId":"8:acs:x"}}]}"#,
            r#"{"roomId":"99","consent":{"basis":"consent","givenBy":"x","givenAt":"2026-03-02T10:00:00Z"}}"#,
        ],
        "callback" => &[
            r#"{"type":"Microsoft.Communication.RecordingStateChanged","data":{"recordingId":"r","state":"active"}}"#,
        ],
        "probe" | "passing" => &[
            "RIFF\x24\u{7}\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\0>\0\0\0}\0\0\x02\0\x10\0data\0\u{7}\0\0",
            "<!DOCTYPE html><html></html>",
        ],
        "envelope" => &[r#"{"Data":{"event":"{\"id\": 1}"},"Metadata":{}}"#],
        _ => &[],
    };
    let folder = match target {
        "event" | "envelope" => Some(fixtures.join("events")),
        "metadata" => Some(fixtures.join("metadata")),
        "probe" | "passing" => Some(fixtures.join("media")),
        _ => None,
    };
    let files = folder
        .map(|folder| fs::read_dir(folder).expect("the fixtures are there"))
        .into_iter()
        .flatten();
    let mut files: Vec<PathBuf> = files
        .map(|file| file.expect("it is readable").path())
        .collect();
    files.sort();
    let files = files
        .into_iter()
        .map(|path| fs::read(path).expect("the fixture is readable"));
    texts
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .chain(files)
        .collect()
}

/// A sample with a few things done to it.
fn mutated(corpus: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
    let mut input = corpus.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=input.len());
        match random.random_range(0..6) {
            0 => input.truncate(at),
            1 if !input.is_empty() => input[at.min(at.saturating_sub(1))] = random.random(),
            2 => drop(
                input.splice(
                    at..at,
                    TOKENS
                        .choose(random)
                        .copied()
                        .unwrap_or_default()
                        .iter()
                        .copied(),
                ),
            ),
            3 => {
                let end = random.random_range(at..=input.len());
                input.drain(at..end);
            }
            4 => {
                let other = corpus.choose(random).cloned().unwrap_or_default();
                let from = random.random_range(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = random.random_range(at..=input.len()).min(at + 64);
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
        }
        input.truncate(1 << 16);
    }
    input
}

#[test]
fn no_input_makes_a_reader_panic_or_lets_through_what_must_not_pass() {
    let given = std::env::vars()
        .find(|(name, _)| name == SEED)
        .and_then(|(_, seed)| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("{SEED}={seed}");
    for (name, target) in targets::TARGETS {
        let mut random = SmallRng::seed_from_u64(seed);
        let corpus = seeds(name);
        assert!(!corpus.is_empty(), "`{name}` has no corpus");
        for number in 0..INPUTS {
            let input = mutated(&corpus, &mut random);
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| target(&input)));
            assert!(
                outcome.is_ok(),
                "`{name}`, input {number} of {SEED}={seed}: {:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }
}
