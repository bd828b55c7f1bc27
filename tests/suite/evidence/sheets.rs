//! What the sheet of a package says to people, also of removed copies and of copies that were imported by hand.

use std::fs;
use std::io::Cursor;
use std::time::Duration;

use recording_vault::catalogue::evidence::{AbsentRecording, EvidenceRequest};
use recording_vault::export::ledger::Accepted;
use recording_vault::store::audit::Operator;

use super::{exported, packed_of, run, unpack, verify};
use crate::catalogue::{announced, of_recording};
use crate::support::command::text;
use crate::support::fake_source::Fault;
use crate::support::pipeline::RETENTION;
use crate::support::simulation::{Durable, Plan, deliver};
use crate::support::world::World;

#[tokio::test]
async fn the_sheet_names_vault_zone_and_standing_and_uses_words() {
    let (world, id, _) = exported().await;
    let (package, code, problems) = packed_of(&world, &[&id, "--time-zone", "Europe/Berlin"]).await;
    assert_eq!((code, problems), (Some(0), Vec::new()));
    let sheet = fs::read_to_string(package.path().join("index.html")).expect("it is there");
    let vault = world.vault.display().to_string();
    for word in [
        "<th>Vault</th>",
        &vault,
        "<th>Time zone</th>",
        "Europe/Berlin (UTC+",
        "<th>Standing</th>",
        "the proved copy is in the vault at home",
        "in the vault, and deleted at ACS",
        "was exported and proved",
        "newest checkpoint when this package was made",
        "SHA256SUMS</code> alone, which is not signed",
    ] {
        assert!(sheet.contains(word), "{word}: {sheet}");
    }
    for word in [
        "sourceDeleted",
        "deletingSource",
        "{&quot;",
        "(claimed)",
        "sizeBytes",
    ] {
        assert!(!sheet.contains(word), "{word}: {sheet}");
    }
}

#[tokio::test]
async fn the_verb_counts_in_the_singular_and_prints_the_digest_of_the_list() {
    let (world, id, _) = exported().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let to = folder.path().join("evidence.zip");
    let made = run(
        &world,
        &["evidence", &id, "--to", &to.display().to_string()],
    )
    .await;
    let printed = text(&made);
    assert!(printed.contains(": 1 recording, "), "{printed}");
    let unpacked = unpack(&to);
    let (code, said) = verify(unpacked.path());
    assert_eq!(code, Some(0), "{said}");
    let digest = printed.lines().find_map(|line| {
        let (_, digest) = line.split_once("SHA-256 of its SHA256SUMS elsewhere: ")?;
        Some(digest.trim().to_owned())
    });
    let digest = digest.expect("the verb prints it");
    assert!(said.contains(&digest), "{digest}: {said}");
}

/// A second of silence.
fn wav() -> Vec<u8> {
    let samples = [0; 16_000];
    let mut wav = b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend_from_slice(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x3e\0\0");
    wav.extend_from_slice(&samples);
    wav
}

#[tokio::test]
async fn a_copy_that_was_imported_by_hand_is_named_so() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let file = folder.path().join("found.wav");
    fs::write(&file, wav()).expect("it can be written");
    let file = file.display().to_string();
    let arguments = [
        "import",
        "--yes",
        "--recording",
        "mine",
        "--start",
        "2026-03-02T10:00:00Z",
        &file,
    ];
    let imported = run(&world, &arguments).await;
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported));
    let (package, code, problems) = packed_of(&world, &["mine"]).await;
    assert_eq!(code, Some(2), "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("was imported by hand from")),
        "{problems:?}"
    );
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "{said}");
}

/// Writes the evidence of the recording `mine` and unpacks it. Also returns the problems.
async fn packed_mine(durable: &Durable) -> (tempfile::TempDir, Vec<String>) {
    let request = EvidenceRequest {
        made_by: "ada (claimed)".to_owned(),
        time_zone: jiff::tz::TimeZone::UTC,
        operator: Operator::Shell,
        left_out: Vec::new(),
    };
    let recordings = ["mine".parse().expect("it is an id")];
    let catalogue = durable.catalogue(&Plan::calm());
    let requested = catalogue.requested(&recordings, AbsentRecording::Refused);
    let requested = Box::pin(requested).await.expect("it is known");
    let packing = Box::pin(catalogue.evidence(requested, &request, Vec::new()));
    let (report, package) = packing.await.expect("all can be read");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let mut zip = zip::ZipArchive::new(Cursor::new(package)).expect("it is a ZIP");
    zip.extract(folder.path()).expect("it is complete");
    (folder, report.problems)
}

#[tokio::test]
async fn metadata_that_acs_no_longer_had_is_a_problem_also_where_that_was_accepted() {
    let chunks = [of_recording("mine", "a", 0)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    let recorded = durable.ledger().record(chunks[0].clone()).await;
    recorded.expect("the ledger works");
    durable.clock.advance(RETENTION);
    durable.source.model().metadata_faults = [Fault::Gone].into();
    assert!(deliver(&durable.instance(&Plan::calm()), &chunks).await);
    let id = &chunks[0].document_id;
    let accepted = durable.ledger().accept(id, &Operator::Shell).await;
    assert!(
        matches!(accepted, Ok(Accepted::Accepted(_))),
        "{accepted:?}"
    );
    let (package, problems) = packed_mine(&durable).await;
    let expected =
        format!("chunk {id}: its metadata is missing from the vault: ACS no longer had it");
    assert!(
        problems
            .iter()
            .any(|problem| problem.starts_with(&expected)),
        "{problems:?}"
    );
    let listed = fs::read_to_string(package.path().join("PROBLEMS.txt")).expect("it is there");
    assert!(listed.contains(&expected), "{listed}");
    let sheet = fs::read_to_string(package.path().join("index.html")).expect("it is there");
    assert!(!sheet.contains("no file is known to be missing"), "{sheet}");
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "{said}");
}

#[tokio::test]
async fn a_removed_copy_keeps_its_size_and_digest_in_its_evidence() {
    let chunks = [of_recording("mine", "a", 0)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    let plan = Plan::calm();
    deliver(&durable.instance(&plan), &chunks).await;
    let found = durable.ledger().find(&chunks[0].document_id).await;
    let entry = found.expect("the ledger works").expect("it is known").entry;
    let digest = entry
        .state
        .receipt()
        .expect("it is proved")
        .media()
        .sha256();
    durable.clock.advance(Duration::from_hours(24 * 366));
    let keep_for = Duration::from_hours(24 * 365);
    let applied = durable
        .retention(&plan, keep_for)
        .apply(&Operator::Shell)
        .await;
    assert_eq!(applied.expect("the ledger works").removals.len(), 1);
    let (package, problems) = packed_mine(&durable).await;
    let expected = format!("SHA-256 {digest} is not in this package");
    assert!(
        problems.iter().any(|problem| problem.contains(&expected)),
        "{problems:?}"
    );
    let sheet = fs::read_to_string(package.path().join("index.html")).expect("it is there");
    assert!(
        sheet.contains(&format!(
            "<td>{digest}</td><td>none</td><td>deleted from the vault</td>"
        )),
        "{sheet}"
    );
    assert!(sheet.contains("ada (not verified)"), "{sheet}");
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "{said}");
}
