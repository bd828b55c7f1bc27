//! Copies that are not what their receipt says: they are packed as they are, and reported.

use std::fs;
use std::path::PathBuf;

use super::{exported, file_with, packed_of, verify};
use crate::support::world::{World, files_by_path};

fn in_vault(world: &World, ending: &str) -> PathBuf {
    let files = files_by_path(&world.vault);
    let path = files.keys().find(|file| file.ends_with(ending));
    world.vault.join(path.expect("the file is there"))
}

#[tokio::test]
async fn a_copy_of_any_other_length_is_packed_whole_and_reported() {
    let (world, id, documents) = exported().await;
    let name = format!("-audiowav.{}.wav", documents[0]);
    let path = in_vault(&world, &name);
    let original = fs::read(&path).expect("it can be read");
    let mut longer = original.clone();
    longer.extend_from_slice(b"more");
    let half = original[..original.len() / 2].to_vec();
    for content in [longer, half, Vec::new()] {
        fs::write(&path, &content).expect("it can be written");
        let (package, code, problems) = packed_of(&world, &[&id]).await;
        assert_eq!(code, Some(2), "{problems:?}");
        let expected = format!("{} bytes and SHA-256", content.len());
        assert_reported(&problems, &expected);
        let packed = fs::read(file_with(package.path(), &name)).expect("it is packed");
        assert!(packed == content, "byte for byte");
        let (code, said) = verify(package.path());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("is not what its receipt proves"), "{said}");
    }
    fs::remove_file(&path).expect("it can be removed");
    let (package, code, problems) = packed_of(&world, &[&id]).await;
    assert_eq!(code, Some(2), "{problems:?}");
    assert_reported(&problems, "is not in this package");
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "what is missing is reported: {said}");
    assert!(said.contains("INCOMPLETE OR DOUBTFUL"), "{said}");
}

#[tokio::test]
async fn a_receipt_that_was_changed_in_the_vault_or_is_missing_there_is_reported() {
    let (world, id, documents) = exported().await;
    let name = format!("-receipt.{}.json", documents[0]);
    let path = in_vault(&world, &name);
    let original = fs::read_to_string(&path).expect("it can be read");
    let entry = world.ledger_entry(&documents[0]);
    let digest = entry["state"]["receipt"]["media"]["sha256"].as_str();
    let forged = original.replace(digest.expect("it is proved"), &"0".repeat(64));
    for (content, word) in [
        (forged, "names other files, sizes or digests"),
        ("{}".to_owned(), "is not a readable receipt"),
        (String::new(), "is not a readable receipt"),
    ] {
        fs::write(&path, content).expect("it can be written");
        let (package, code, problems) = packed_of(&world, &[&id]).await;
        assert_eq!(code, Some(2), "{problems:?}");
        assert_reported(&problems, word);
        assert_eq!(verify(package.path()).0, Some(2));
    }
    fs::remove_file(&path).expect("it can be removed");
    let (package, code, problems) = packed_of(&world, &[&id]).await;
    assert_eq!(code, Some(2), "{problems:?}");
    assert_reported(&problems, "the package has the ledger's copy");
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(3), "{said}");
}

fn assert_reported(problems: &[String], part: &str) {
    assert!(
        problems.iter().any(|problem| problem.contains(part)),
        "{part} in {problems:?}"
    );
}
