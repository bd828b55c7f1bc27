//! Packages whose files were forged: media and receipts are those that the audit log names, and every file is listed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::forged_log::{changed, copy_of, list_again};
use super::{exported, file_with, packed, packed_of, sum_again, verify};

/// Changes an unpacked package.
type Forge = fn(&Path);

fn digest_of(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).expect("it can be read")))
}

#[tokio::test]
async fn media_that_was_replaced_with_its_receipt_is_not_what_the_audit_log_has() {
    let package = packed().await;
    for (ending, of_log) in [(".wav", "media"), ("acsmetadata", "metadata")] {
        let forged = copy_of(package.path());
        let ending = if of_log == "media" {
            ending.to_owned()
        } else {
            json_of(forged.path(), ending)
        };
        let file = file_with(forged.path(), &ending);
        let name = file
            .file_name()
            .expect("it has a name")
            .to_string_lossy()
            .into_owned();
        let before = digest_of(&file);
        fs::write(&file, b"another recording").expect("it can be written");
        let document = name.split('.').nth(1).expect("it has an id").to_owned();
        let receipt = file_with(forged.path(), &format!("receipt.{document}.json"));
        let after = digest_of(&file);
        changed(&receipt, |text| text.replace(&before, &after));
        sum_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{of_log}: {said}");
        assert!(
            said.contains("NOT PROVED: no record of"),
            "{of_log}: {said}"
        );
        assert!(
            said.contains("MISSING: the file with SHA-256"),
            "{of_log}: {said}"
        );
    }
}

fn json_of(folder: &Path, kind: &str) -> String {
    let receipt = file_with(folder, ".wav");
    let name = receipt
        .file_name()
        .expect("it has a name")
        .to_string_lossy()
        .into_owned();
    let document = name.split('.').nth(1).expect("it has an id");
    format!("{kind}.{document}.json")
}

#[tokio::test]
async fn files_of_a_recorded_copy_cannot_be_taken_out_or_exchanged() {
    let (world, id, documents) = exported().await;
    let (package, ..) = packed_of(&world, &[&id]).await;
    let (document, other) = (&documents[0], &documents[1]);
    let of = |folder: &Path, document: &str| {
        let kinds = ["audiowav", "acsmetadata", "receipt"];
        kinds.map(|kind| {
            let ending = if kind == "audiowav" { "wav" } else { "json" };
            file_with(folder, &format!("-{kind}.{document}.{ending}"))
        })
    };

    // Media, metadata and receipt with their lines.
    let forged = copy_of(package.path());
    for file in of(forged.path(), document) {
        fs::remove_file(file).expect("it can be removed");
    }
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("MISSING: the file with SHA-256"), "{said}");

    // Their records too.
    changed(&forged.path().join("0001/records.txt"), |text| {
        let kept = text.lines().filter(|line| !line.contains(&document[..]));
        kept.flat_map(|line| [line, "\n"]).collect()
    });
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("LEFT OUT"), "{said}");

    // The files of another chunk in their place.
    let forged = copy_of(package.path());
    for (file, other) in of(forged.path(), document)
        .iter()
        .zip(of(forged.path(), other))
    {
        fs::copy(other, file).expect("it can be copied");
    }
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");

    // The receipt alone, and the media alone.
    for taken in [0, 2] {
        let forged = copy_of(package.path());
        fs::remove_file(&of(forged.path(), document)[taken]).expect("it can be removed");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{taken}: {said}");
    }

    // A file that no receipt names.
    let forged = copy_of(package.path());
    fs::write(forged.path().join("0001/0007-audiowav.extra.wav"), b"x").expect("it can be written");
    list_again(forged.path());
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("no receipt names 0001/0007-audiowav.extra.wav"),
        "{said}"
    );
}

#[tokio::test]
async fn a_receipt_that_names_nothing_or_in_another_form_is_refused() {
    let package = packed().await;
    let original = file_with(package.path(), ".wav");
    let name = original
        .file_name()
        .expect("it has a name")
        .to_string_lossy()
        .into_owned();
    let document = name.split('.').nth(1).expect("it has an id").to_owned();
    let receipt_name = format!("receipt.{document}.json");
    let media = digest_of(&original);
    let receipt = fs::read_to_string(file_with(package.path(), &receipt_name));
    let receipt = receipt.expect("it can be read");
    let reordered = format!(
        r#"{{"receipt":{{"media":{{"sha256":"{}","name":"a/{name}","sizeBytes":1,"etag":""}},"metadata":null,"verifiedAt":""}}}}"#,
        "0".repeat(64)
    );
    let twice = receipt.replacen("\"media\"", &format!("\"media\": {{\"name\": \"a/x.wav\", \"sizeBytes\": 1, \"sha256\": \"{media}\", \"etag\": \"\"}}, \"media\""), 1);
    for forgery in [
        "{}".to_owned(),
        String::new(),
        "[]".to_owned(),
        reordered,
        twice,
        receipt.replace(&media, &media.to_uppercase()),
        receipt.replace("\"receipt\"", "\"other\""),
        receipt.replace("\"sha256\"", "\"sha-256\""),
    ] {
        let forged = copy_of(package.path());
        fs::write(file_with(forged.path(), &receipt_name), &forgery).expect("it can be written");
        list_again(forged.path());
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{forgery}: {said}");
    }
}

#[tokio::test]
async fn the_list_of_digests_is_there_and_lists_every_file_and_nothing_else() {
    let package = packed().await;
    let sums = fs::read_to_string(package.path().join("SHA256SUMS")).expect("it is there");
    let digest = "0".repeat(64);
    let outside = hex::encode(Sha256::digest(b""));
    for (lines, word) in [
        (String::new(), "MISSING: SHA256SUMS"),
        ("\n".to_owned(), "UNREADABLE"),
        (format!("{sums}{outside}  /dev/null\n"), "UNREADABLE"),
        (format!("{sums}{outside}  ../x\n"), "UNREADABLE"),
        (format!("{sums}{outside}  0001/../../x\n"), "MISSING"),
        (format!("{sums}{digest}  -rf\n"), "UNREADABLE"),
        (format!("{sums}{digest}  a b\n"), "UNREADABLE"),
        (format!("{sums}{digest}  $(id)\n"), "UNREADABLE"),
        (format!("{sums}{digest}  index.html\n"), "DIFFERENT"),
        (format!("{sums}{digest} index.html\n"), "UNREADABLE"),
        (
            format!("{sums}{digest}  nothing.txt"),
            "MISSING: nothing.txt",
        ),
        (sums.to_uppercase(), "UNREADABLE"),
        (sums.replace('\n', "\r\n"), "UNREADABLE"),
        (
            sums.lines().skip(1).flat_map(|line| [line, "\n"]).collect(),
            "NOT LISTED",
        ),
    ] {
        let forged = copy_of(package.path());
        fs::write(forged.path().join("SHA256SUMS"), &lines).expect("it can be written");
        let (code, said) = verify(forged.path());
        assert_eq!(code, Some(2), "{lines}: {said}");
        assert!(said.contains(word), "{word}: {said}");
    }
    let forged = copy_of(package.path());
    fs::remove_file(forged.path().join("SHA256SUMS")).expect("it can be removed");
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("MISSING: SHA256SUMS"), "{said}");

    // The last line counts, also without its end.
    let forged = copy_of(package.path());
    fs::write(forged.path().join("SHA256SUMS"), sums.trim_end()).expect("it can be written");
    assert_eq!(
        verify(forged.path()).0,
        Some(0),
        "{}",
        verify(forged.path()).1
    );
    let last = sums
        .trim_end()
        .rsplit("  ")
        .next()
        .expect("there is a line");
    fs::write(forged.path().join(last), b"changed").expect("it can be written");
    let (code, said) = verify(forged.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("DIFFERENT: {last}")), "{said}");
}

#[tokio::test]
async fn only_plain_files_with_plain_names_are_in_a_package() {
    let package = packed().await;
    let forgeries: [(&str, Forge); 6] = [
        ("an unlisted file", |folder| {
            fs::write(folder.join("0001/more.txt"), b"x").expect("it can be written");
        }),
        ("a link to the same content", |folder| {
            let file = folder.join("index.html");
            let copy = folder.with_extension("copy");
            fs::rename(&file, &copy).expect("it can be moved");
            symlink(&copy, &file).expect("it can be linked");
        }),
        ("a folder behind a link", |folder| {
            let moved = folder.with_extension("moved");
            fs::rename(folder.join("0001"), &moved).expect("it can be moved");
            symlink(&moved, folder.join("0001")).expect("it can be linked");
        }),
        ("a list behind a link", |folder| {
            let moved = folder.with_extension("sums");
            fs::rename(folder.join("SHA256SUMS"), &moved).expect("it can be moved");
            symlink(&moved, folder.join("SHA256SUMS")).expect("it can be linked");
        }),
        ("a name with a line break", |folder| {
            fs::write(folder.join("index.html\n.html"), b"x").expect("it can be written");
        }),
        ("a file of another kind, listed", |folder| {
            fs::write(folder.join("README.txt"), b"All is well.").expect("it can be written");
            list_again(folder);
        }),
    ];
    for (what, forge) in forgeries {
        let parent = tempfile::tempdir().expect("there is room for temporary files");
        let forged = copy_of(package.path());
        let folder = parent.path().join("package");
        fs::rename(forged.path(), &folder).expect("it can be moved");
        forge(&folder);
        let (code, said) = verify(&folder);
        assert_eq!(code, Some(2), "{what}: {said}");
    }
}
