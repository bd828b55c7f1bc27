//! What every [`ExportDestination`] promises. Each test runs on memory, on a directory, and on a container of real Azurite.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use recording_vault::export::block::{Block, BlockChain, BlockId};
use recording_vault::export::destination::{
    BlobProperties, BlobVersion, CommitOutcome, CreateOutcome, ExportDestination, RemoveOutcome,
    ReplaceOutcome, StageOutcome, TouchOutcome, all_files,
};
use recording_vault::export::layout::BlobName;
use recording_vault::vault::azure::{AccessTier, AzureVaultOptions};
use recording_vault::vault::directory::DirectoryVault;
use recording_vault::vault::memory::MemoryVault;
use tempfile::TempDir;

use crate::support::{azurite, content};

struct Vaults(
    Vec<(&'static str, Arc<dyn ExportDestination>)>,
    #[expect(dead_code, reason = "kept while the directory is used")] TempDir,
);

async fn vaults() -> Vaults {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let azure = azurite::vault(
        &azurite::container_url().await,
        AzureVaultOptions::default(),
    );
    let reading_back = AzureVaultOptions {
        read_back: true,
        tags: true,
        tier: Some(AccessTier::Cool),
        ..AzureVaultOptions::default()
    };
    let careful = azurite::vault(&azurite::container_url().await, reading_back);
    let vaults: Vec<(_, Arc<dyn ExportDestination>)> = vec![
        ("memory", Arc::new(MemoryVault::default())),
        (
            "directory",
            Arc::new(DirectoryVault::new(folder.path().join("vault"))),
        ),
        ("azure", Arc::new(azure)),
        ("azure that reads back", Arc::new(careful)),
    ];
    Vaults(vaults, folder)
}

fn name() -> BlobName {
    "20260302/call/rec-1/0000-audiowav.0-eus-d1-a.wav"
        .parse()
        .expect("it is a safe name")
}

fn properties() -> BlobProperties {
    BlobProperties {
        content_type: "audio/wav",
        metadata: vec![("sha256", "00".to_owned())],
        tags: vec![("callId", "a b/é".to_owned())],
    }
}

/// `bytes` cut into blocks of 4 KiB.
fn blocks(bytes: &[u8]) -> (BlockChain, Vec<Block>) {
    let mut chain = BlockChain::start(bytes.len() as u64);
    let mut blocks = Vec::new();
    for piece in bytes.chunks(4096) {
        let (next, block) = chain.hash_next(Bytes::copy_from_slice(piece));
        chain = next;
        blocks.push(block);
    }
    (chain, blocks)
}

async fn stage(vault: &dyn ExportDestination, blocks: &[Block]) {
    for block in blocks {
        let staged = vault.stage(&name(), block.clone()).await;
        assert_eq!(staged.expect("the vault works"), StageOutcome::Staged);
    }
}

async fn commit(vault: &dyn ExportDestination, ids: &[BlockId]) -> CommitOutcome {
    vault
        .commit(&name(), ids, &properties())
        .await
        .expect("the vault commits what is staged")
}

#[tokio::test]
async fn an_empty_vault_knows_nothing_of_a_name() {
    for (which, vault) in vaults().await.0 {
        assert!(
            vault
                .staged_blocks(&name())
                .await
                .expect("the vault works")
                .is_empty(),
            "{which}"
        );
        assert_eq!(
            vault.inspect(&name()).await.expect("the vault works"),
            None,
            "{which}"
        );
    }
}

#[tokio::test]
async fn staged_blocks_are_remembered_and_are_no_file_yet() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(10_000, 1));
        stage(&*vault, &blocks[..2]).await;
        let staged = vault.staged_blocks(&name()).await.expect("the vault works");
        let resumed = BlockChain::resume(&staged).expect("the staged blocks form a chain");
        assert_eq!(resumed.ids(), &chain.ids()[..2], "{which}");
        assert_eq!(
            vault.inspect(&name()).await.expect("the vault works"),
            None,
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_commit_makes_the_file_of_the_named_blocks_in_order() {
    for (which, vault) in vaults().await.0 {
        let bytes = content(10_000, 2);
        let (chain, mut blocks) = blocks(&bytes);
        blocks.reverse();
        stage(&*vault, &blocks).await;
        assert_eq!(
            commit(&*vault, chain.ids()).await,
            CommitOutcome::Committed,
            "{which}"
        );
        let found = vault
            .inspect(&name())
            .await
            .expect("the vault works")
            .expect("the file is there");
        assert_eq!(found.size_bytes, 10_000, "{which}");
        assert_eq!(
            found.blocks,
            chain
                .ids()
                .iter()
                .map(|id| (Some(*id), id.size_bytes()))
                .collect::<Vec<_>>(),
            "{which}"
        );
        assert!(
            found
                .read_back
                .is_none_or(|digest| Some(digest) == chain.digest()),
            "{which}"
        );
        assert_eq!(
            vault
                .read(&name(), 0..20_000)
                .await
                .expect("the vault works"),
            bytes,
            "{which}"
        );
        assert_eq!(
            vault.read(&name(), 0..100).await.expect("the vault works"),
            bytes[..100],
            "{which}"
        );
        assert_eq!(
            vault.read(&name(), 50..150).await.expect("the vault works"),
            bytes[50..150],
            "{which}"
        );
        assert!(
            vault
                .staged_blocks(&name())
                .await
                .expect("the vault works")
                .is_empty(),
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_streamed_and_a_missing_file_is_none() {
    for (which, vault) in vaults().await.0 {
        let read = async |range| {
            let stream = vault
                .stream(&name(), None, range)
                .await
                .expect("the vault works")?;
            Some(
                stream
                    .try_fold(Vec::new(), async |all: Vec<u8>, piece| {
                        Ok([&all[..], &piece].concat())
                    })
                    .await
                    .expect("the vault works"),
            )
        };
        assert_eq!(read(0..10).await, None, "{which}");
        let bytes = content(700_000, 2);
        let (chain, blocks) = blocks(&bytes);
        stage(&*vault, &blocks).await;
        commit(&*vault, chain.ids()).await;
        for range in [
            0..1,
            0..700_000,
            5000..5001,
            4095..600_000,
            699_999..700_000,
        ] {
            let expected = &bytes[usize::try_from(range.start).expect("it fits")
                ..usize::try_from(range.end).expect("it fits")];
            assert!(
                read(range.clone()).await.as_deref() == Some(expected),
                "{which}: {range:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_block_that_does_not_match_its_checksum_is_refused() {
    for (which, vault) in vaults().await.0 {
        let (_, blocks) = blocks(&content(4096, 3));
        let damaged = Block {
            id: blocks[0].id,
            content: Bytes::from(content(4096, 4)),
        };
        assert!(vault.stage(&name(), damaged).await.is_err(), "{which}");
        assert!(
            vault
                .staged_blocks(&name())
                .await
                .expect("the vault works")
                .is_empty(),
            "{which}"
        );
    }
}

#[tokio::test]
async fn staging_a_block_again_changes_nothing() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(5000, 5));
        stage(&*vault, &blocks).await;
        stage(&*vault, &blocks).await;
        assert_eq!(
            vault
                .staged_blocks(&name())
                .await
                .expect("the vault works")
                .len(),
            2,
            "{which}"
        );
        assert_eq!(
            commit(&*vault, chain.ids()).await,
            CommitOutcome::Committed,
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_commit_of_a_block_that_is_not_staged_fails_and_makes_no_file() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(10_000, 6));
        stage(&*vault, &blocks[..2]).await;
        assert!(
            vault
                .commit(&name(), chain.ids(), &properties())
                .await
                .is_err(),
            "{which}"
        );
        assert_eq!(
            vault.inspect(&name()).await.expect("the vault works"),
            None,
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_committed_file_is_never_replaced() {
    for (which, vault) in vaults().await.0 {
        let first = content(10_000, 7);
        let (chain, blocks_of_first) = blocks(&first);
        stage(&*vault, &blocks_of_first).await;
        commit(&*vault, chain.ids()).await;
        let (other, blocks_of_other) = blocks(&content(9000, 8));
        stage(&*vault, &blocks_of_other).await;
        assert_eq!(
            commit(&*vault, other.ids()).await,
            CommitOutcome::AlreadyThere,
            "{which}"
        );
        assert_eq!(
            vault
                .read(&name(), 0..20_000)
                .await
                .expect("the vault works"),
            first,
            "{which}"
        );
    }
}

/// `bytes` as the only block of a file, and what a blob of it says.
fn whole(bytes: &[u8]) -> (Block, BlobProperties) {
    let chain = BlockChain::start(bytes.len() as u64);
    let (_, block) = chain.hash_next(Bytes::copy_from_slice(bytes));
    let properties = BlobProperties {
        metadata: vec![("block_id", block.id.to_hex())],
        ..properties()
    };
    (block, properties)
}

#[tokio::test]
async fn a_file_of_one_block_is_created_at_once_and_never_replaced() {
    for (which, vault) in vaults().await.0 {
        let first = content(9000, 7);
        let (block, properties) = whole(&first);
        let id = block.id;
        let created = vault.create(&name(), block, &properties).await;
        let created = created.expect("the vault works");
        let found = vault.inspect(&name()).await.expect("the vault works");
        let found = found.unwrap_or_else(|| panic!("{which} has the file"));
        if let CreateOutcome::Confirmed { etag } = &created {
            assert_eq!(*etag, found.etag, "{which}");
        } else {
            assert_eq!(created, CreateOutcome::Unconfirmed, "{which}");
        }
        assert_eq!(found.size_bytes, 9000, "{which}");
        assert!(
            found.named == Some(id) || !found.blocks.is_empty(),
            "{which} says what it is: {found:?}"
        );
        let (other, properties) = whole(&content(100, 8));
        let again = vault.create(&name(), other, &properties).await;
        let again = again.expect("the vault works");
        assert_eq!(again, CreateOutcome::AlreadyThere, "{which}");
        let read = vault.read(&name(), 0..20_000).await;
        assert!(read.expect("the vault works") == first, "{which}");
    }
}

#[tokio::test]
async fn a_file_whose_only_block_does_not_match_its_checksum_is_not_created() {
    for (which, vault) in vaults().await.0 {
        let (block, properties) = whole(&content(1000, 7));
        let damaged = Block {
            content: content(1000, 8).into(),
            ..block
        };
        let created = vault.create(&name(), damaged, &properties).await;
        assert!(created.is_err(), "{which}: {created:?}");
        let found = vault.inspect(&name()).await;
        assert_eq!(found.expect("the vault works"), None, "{which}");
    }
}

#[tokio::test]
async fn of_commits_at_once_exactly_one_makes_the_file() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(10_000, 9));
        stage(&*vault, &blocks).await;
        let commits = (0..4).map(|_| {
            let (vault, chain) = (Arc::clone(&vault), chain.clone());
            tokio::spawn(async move { vault.commit(&name(), chain.ids(), &properties()).await })
        });
        let outcomes = futures::future::join_all(commits).await;
        let made = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ok(Ok(CommitOutcome::Committed))))
            .count();
        assert_eq!(made, 1, "{which}: {outcomes:?}");
        assert!(
            vault
                .inspect(&name())
                .await
                .expect("the vault works")
                .is_some(),
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_small_document_is_written_once() {
    for (which, vault) in vaults().await.0 {
        let put = async |text: &'static str| {
            vault
                .put(&name(), Bytes::from_static(text.as_bytes()), &properties())
                .await
        };
        assert_eq!(
            put("one").await.expect("the vault works"),
            CommitOutcome::Committed,
            "{which}"
        );
        assert_eq!(
            put("two").await.expect("the vault works"),
            CommitOutcome::AlreadyThere,
            "{which}"
        );
        assert_eq!(
            vault.read(&name(), 0..100).await.expect("the vault works"),
            "one",
            "{which}"
        );
    }
}

#[tokio::test]
async fn what_is_removed_is_gone_and_can_be_made_again() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(10_000, 4));
        for _ in 0..2 {
            stage(&*vault, &blocks).await;
            assert_eq!(
                commit(&*vault, chain.ids()).await,
                CommitOutcome::Committed,
                "{which}"
            );
            let version = version(&*vault).await;
            for _ in 0..2 {
                let removed = vault.remove(&name(), &version).await;
                assert_eq!(
                    removed.expect("removing what is gone is done"),
                    RemoveOutcome::Removed,
                    "{which}"
                );
            }
            assert_eq!(
                vault.inspect(&name()).await.expect("the vault works"),
                None,
                "{which}"
            );
        }
    }
}

async fn version(vault: &dyn ExportDestination) -> BlobVersion {
    let found = vault.version(&name()).await.expect("the vault works");
    found.expect("the file is there")
}

#[tokio::test]
async fn a_file_is_streamed_in_the_version_that_was_described_or_not_at_all() {
    for (which, vault) in vaults().await.0 {
        let (chain, blocks) = blocks(&content(10_000, 4));
        stage(&*vault, &blocks).await;
        commit(&*vault, chain.ids()).await;
        let described = vault.describe(&name()).await.expect("the vault works");
        let described = described.expect("the file is there");
        assert_eq!(described.size_bytes, 10_000, "{which}");
        let is_streamed = async |version: &BlobVersion| {
            let stream = vault.stream(&name(), Some(version), 0..10).await;
            stream.expect("the vault works").is_some()
        };
        assert!(is_streamed(&described.version).await, "{which}");
        let touched = vault.touch(&name()).await.expect("the vault works");
        assert_eq!(touched, TouchOutcome::Touched, "{which}");
        assert!(!is_streamed(&described.version).await, "{which}");
        assert!(is_streamed(&version(&*vault).await).await, "{which}");
    }
}

#[tokio::test]
async fn a_removal_that_was_decided_for_another_version_removes_nothing() {
    for (which, vault) in vaults().await.0 {
        assert_eq!(
            vault.version(&name()).await.expect("the vault works"),
            None,
            "{which}"
        );
        let (chain, blocks) = blocks(&content(10_000, 4));
        stage(&*vault, &blocks).await;
        commit(&*vault, chain.ids()).await;
        let first = version(&*vault).await;
        assert_eq!(
            version(&*vault).await,
            first,
            "{which}: reading changes nothing"
        );
        let remove = async |version: &BlobVersion| {
            let removed = vault.remove(&name(), version).await;
            removed.expect("the vault works")
        };
        assert_eq!(remove(&first).await, RemoveOutcome::Removed, "{which}");
        stage(&*vault, &blocks).await;
        commit(&*vault, chain.ids()).await;
        assert_eq!(
            remove(&first).await,
            RemoveOutcome::Changed,
            "{which}: it is another file of the same content"
        );
        let found = vault.inspect(&name()).await.expect("the vault works");
        assert!(found.is_some(), "{which}");
    }
}

#[tokio::test]
async fn a_touch_breaks_the_removals_decided_before_and_changes_nothing_else() {
    for (which, vault) in vaults().await.0 {
        let touch = async || vault.touch(&name()).await.expect("the vault works");
        assert_eq!(touch().await, TouchOutcome::NotThere, "{which}");
        let (chain, blocks) = blocks(&content(10_000, 4));
        stage(&*vault, &blocks).await;
        commit(&*vault, chain.ids()).await;
        let inspected = async || {
            let found = vault.inspect(&name()).await.expect("the vault works");
            found.map(|found| (found.size_bytes, found.blocks, found.read_back))
        };
        let (before, first) = (inspected().await, version(&*vault).await);
        for _ in 0..2 {
            assert_eq!(touch().await, TouchOutcome::Touched, "{which}");
        }
        let removed = vault.remove(&name(), &first).await;
        assert_eq!(
            removed.expect("the vault works"),
            RemoveOutcome::Changed,
            "{which}"
        );
        assert_eq!(inspected().await, before, "{which}");
        let removed = vault.remove(&name(), &version(&*vault).await).await;
        assert_eq!(
            removed.expect("the vault works"),
            RemoveOutcome::Removed,
            "{which}"
        );
    }
}

#[tokio::test]
async fn a_small_document_is_replaced_only_at_the_version_that_was_read() {
    for (which, vault) in vaults().await.0 {
        let replace = async |text: &'static str, version: &BlobVersion| {
            let content = Bytes::from_static(text.as_bytes());
            vault
                .replace(&name(), version, content, &properties())
                .await
                .expect("the vault works")
        };
        let content = Bytes::from_static(b"one");
        vault
            .put(&name(), content, &properties())
            .await
            .expect("the vault works");
        let first = version(&*vault).await;
        assert_eq!(
            replace("two", &first).await,
            ReplaceOutcome::Replaced,
            "{which}"
        );
        assert_eq!(
            replace("three", &first).await,
            ReplaceOutcome::Changed,
            "{which}"
        );
        let found = vault.read(&name(), 0..100).await.expect("the vault works");
        assert_eq!(found, "two", "{which}");
        let second = version(&*vault).await;
        let removed = vault.remove(&name(), &second).await;
        assert_eq!(
            removed.expect("the vault works"),
            RemoveOutcome::Removed,
            "{which}"
        );
        assert_eq!(
            replace("four", &second).await,
            ReplaceOutcome::Changed,
            "{which}: a late replacement does not bring it back"
        );
    }
}

/// Names that a person may give a file, and this product never does.
const FOREIGN: [&str; 3] = [
    "20260302/Report (1).csv",
    "20260302/a b.wav",
    "20260303/\u{e4}.wav",
];

#[tokio::test]
async fn files_with_foreign_names_are_not_listed_and_shorten_no_page() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let url = azurite::container_url().await;
    for foreign in FOREIGN {
        azurite::upload(&url, foreign, b"x").await;
        write_file(&folder.path().join(foreign));
    }
    let own = [
        "20260302/Z.wav",
        "20260302/b.wav",
        "20260302/c.wav",
        "20260304/d.wav",
    ];
    let azure = azurite::vault(&url, AzureVaultOptions::default());
    let vaults: [(&str, Arc<dyn ExportDestination>); 2] = [
        ("directory", Arc::new(DirectoryVault::new(folder.path()))),
        ("azure", Arc::new(azure)),
    ];
    for (which, vault) in vaults {
        for name in own {
            let name = name.parse().expect("it is a safe name");
            let (content, properties) = (Bytes::from_static(b"y"), properties());
            let put = vault.put(&name, content, &properties);
            put.await.expect("the vault works");
        }
        for limit in 1..=own.len() + 1 {
            for (position, after) in std::iter::once(None).chain(own.map(Some)).enumerate() {
                let after: Option<BlobName> = after.map(|name| name.parse().expect("it is safe"));
                let listed = vault.list(after.as_ref(), limit).await;
                let listed = listed.expect("the vault works");
                let names: Vec<&str> = listed.iter().map(|blob| blob.name.as_str()).collect();
                let rest = &own[position..];
                assert_eq!(
                    names,
                    rest[..rest.len().min(limit)],
                    "{which}: {limit} after {after:?}"
                );
            }
        }
        let all: Vec<BlobName> = all_files(&*vault, None)
            .map_ok(|blob| blob.name)
            .try_collect()
            .await
            .expect("the vault works");
        assert_eq!(all.len(), own.len(), "{which}");
    }
}

fn write_file(path: &Path) {
    let folder = path.parent().expect("it is in a folder");
    std::fs::create_dir_all(folder).expect("there is room");
    std::fs::write(path, b"x").expect("there is room");
}

/// Azurite has no version-level immutability: whatever it makes of the wish, the copy is made.
#[tokio::test]
async fn protection_that_a_container_does_not_have_keeps_no_copy_from_being_made() {
    let immutable_for = Some(std::time::Duration::from_hours(24));
    let wanted = AzureVaultOptions {
        immutable_for,
        legal_hold: true,
        ..AzureVaultOptions::default()
    };
    let vault = azurite::vault(&azurite::container_url().await, wanted);
    let (chain, blocks) = blocks(&content(10_000, 4));
    stage(&vault, &blocks).await;
    assert_eq!(commit(&vault, chain.ids()).await, CommitOutcome::Committed);
    assert!(
        vault
            .inspect(&name())
            .await
            .expect("the vault works")
            .is_some()
    );
}
