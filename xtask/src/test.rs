//! `cargo xtask test`: everything the tests need, then all of them, then one line that counts.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::tools::{self, Azurite};

/// More than the processors of a small machine: many tests wait for a process, a browser or an emulator.
const TEST_THREADS: usize = 4;

/// Lines about one failed test that are printed again.
const LINES_OF_A_FAILURE: usize = 60;
/// Lines about failed tests that are printed again.
const LINES_OF_ALL: usize = 600;

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Suites that never printed their closing line.
    broken: u64,
}

/// What failed tests printed. It is printed again at the end: a log of CI may be cut in its middle.
#[derive(Default)]
struct Failures {
    lines: Vec<String>,
    is_reading: bool,
    of_this: usize,
}

pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let azurite = Azurite::start()?;
    let python = tools::python_sdk()?;
    let telephony_bot = tools::telephony_bot()?;
    let chromium = tools::chromium()?;
    let typescript = tools::typescript_client()?;
    let client_python = tools::python_client()?;
    #[expect(clippy::disallowed_methods, reason = "the test runner's own variable")]
    let threads = std::env::var("RUST_TEST_THREADS").unwrap_or_else(|_| TEST_THREADS.to_string());
    let mut command = tools::cargo();
    command
        .env("RUST_TEST_THREADS", threads)
        .args(["test", "--workspace", "--all-features", "--no-fail-fast"])
        .args(arguments)
        .env("TEST_AZURITE_URL", &azurite.blob_url)
        .env("TEST_AZURITE_QUEUE_URL", &azurite.queue_url)
        .env("TEST_PYTHON", python)
        .env("TEST_TELEPHONY_BOT", telephony_bot)
        .env("TEST_CHROMIUM", chromium)
        .env("TEST_TYPESCRIPT_CLIENT", typescript)
        .env("TEST_CLIENT_PYTHON", client_python)
        .stdout(Stdio::piped());
    let mut process = command.spawn().context("could not run cargo test")?;
    let output = process.stdout.take().context("cargo test has no output")?;
    let (mut counts, mut failures) = (Counts::default(), Failures::default());
    for line in BufReader::new(output).lines() {
        let line = line?;
        counts.read(&line);
        failures.read(&line);
        println!("{line}");
    }
    let status = process.wait()?;
    if !status.success() && counts.failed == 0 {
        counts.broken = 1;
    }
    if !failures.lines.is_empty() {
        println!("\nOutput of failed tests, repeated:\n");
        failures.lines.iter().for_each(|line| println!("{line}"));
    }
    println!(
        "\n{} passed, {} failed",
        counts.passed,
        counts.failed + counts.broken
    );
    ensure!(status.success(), "some tests failed");
    Ok(())
}

impl Counts {
    /// `test result: ok. 33 passed; 0 failed; …`
    fn read(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let number = |what: &str| {
            let before = result
                .split(what)
                .next()
                .filter(|before| before.len() < result.len())?;
            before
                .trim_end()
                .rsplit([' ', ';'])
                .next()?
                .parse::<u64>()
                .ok()
        };
        self.passed += number(" passed").unwrap_or_default();
        self.failed += number(" failed").unwrap_or_default();
    }
}

impl Failures {
    /// Takes the lines from `---- name stdout ----` on, up to the list of names.
    fn read(&mut self, line: &str) {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            (self.is_reading, self.of_this) = (true, 0);
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.is_reading = false;
        }
        let has_room = self.of_this < LINES_OF_A_FAILURE && self.lines.len() < LINES_OF_ALL;
        if self.is_reading && has_room {
            self.of_this += 1;
            self.lines.push(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Failures, LINES_OF_A_FAILURE};

    #[test]
    fn what_a_failed_test_printed_is_kept_up_to_a_limit() {
        let mut failures = Failures::default();
        let mut read = |line: &str| failures.read(line);
        read("test one ... FAILED");
        read("failures:");
        read("---- one stdout ----");
        (0..100).for_each(|_| read("a line"));
        read("---- two stdout ----");
        read("panicked");
        read("failures:");
        read("    one");
        read("test result: FAILED. 0 passed; 2 failed");
        let lines = failures.lines;
        assert_eq!(lines.len(), LINES_OF_A_FAILURE + 2);
        assert_eq!(lines.last().unwrap(), "panicked");
    }

    #[test]
    fn closing_lines_are_added_up() {
        let mut counts = Counts::default();
        counts.read("test result: ok. 33 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.read("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.read("test something ... ok");
        assert_eq!((counts.passed, counts.failed), (35, 1));
    }
}
