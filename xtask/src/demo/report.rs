//! Lists where each file is, checked once more from outside.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Prints a table of the vault's media files; fails when one differs from what the simulator made.
pub fn print(vault: &Path, objects: &[Value]) -> anyhow::Result<()> {
    let files = files(vault)?;
    println!("\nIn the vault, {}:", vault.display());
    println!(
        "\n  {:<28} {:>11}  {:<16}  {:<18}",
        "file", "bytes", "SHA-256", "at ACS"
    );
    let mut folder_shown = String::new();
    for file in files.iter().filter(|file| !is_json(file)) {
        let folder = file
            .parent()
            .and_then(|folder| folder.strip_prefix(vault).ok())
            .unwrap_or(file)
            .display()
            .to_string();
        if folder != folder_shown {
            println!("  {folder}/");
            folder_shown = folder;
        }
        println!("{}", line(file, objects)?);
    }
    let media = files.iter().filter(|file| !is_json(file)).count();
    ensure!(
        media == objects.len(),
        "{media} files in the vault, {} chunks recorded",
        objects.len()
    );
    println!(
        "\n  {media} of {} chunks are in the vault byte for byte, each with ACS's metadata and a receipt beside it.",
        objects.len()
    );
    if let Some(wav) = files
        .iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "wav"))
    {
        println!("\n  Listen: {}", wav.display());
    }
    Ok(())
}

/// The line on a media file; fails when it differs from what the simulator made.
fn line(file: &Path, objects: &[Value]) -> anyhow::Result<String> {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let object = objects
        .iter()
        .find(|object| {
            object["documentId"]
                .as_str()
                .is_some_and(|id| name.contains(id))
        })
        .with_context(|| format!("{name} is no chunk the simulator made"))?;
    let sha256 = sha256(file)?;
    ensure!(
        object["sha256"] == sha256.as_str(),
        "{name} differs from what was recorded"
    );
    let deleted = if object["deletedAt"].is_null() {
        "still there"
    } else {
        "deleted at source"
    };
    let short = name.split('.').next().unwrap_or(&name);
    let extension = name.rsplit('.').next().unwrap_or_default();
    Ok(format!(
        "    {:<26} {:>11}  {}  {deleted}",
        format!("{short}….{extension}"),
        object["sizeBytes"],
        &sha256[..16]
    ))
}

fn is_json(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "json")
}

/// All files of the vault, sorted; not its own working folders.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !is_hidden {
            found.extend(files(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(&buffer[..read]);
    }
}
