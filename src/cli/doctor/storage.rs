//! Rights to vault and ledger: writes, reads, finds and removes a probe and does not overwrite it, by the calls of the
//! export.

mod remedy;

use std::error::Error;

use bytes::Bytes;
use uuid::Uuid;

use self::remedy::failed;
use super::advice::Principal;
use super::role::StorageRole;
use super::{Check, advice, within};
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::destination::{
    BlobProperties, CommitOutcome, DestinationError, ExportDestination, ExtraOutcome,
    RemoveOutcome, TriedExtra,
};
use recording_vault::export::layout::BlobName;
use recording_vault::store::document_store::{
    DocumentStore, PlacePolicy, Precondition, PutOutcome, StoreError, StorePlace,
};
use recording_vault::vault::VaultUrl;
use recording_vault::vault::azure::{Cause, StorageFailure};

/// Probes are listed after every folder of a day.
const PROBE: &str = "recording-vault-doctor";
const CONTENT: &[u8] = b"written by `recording-vault doctor`; it may be deleted";
const AUDIT: StorageRole = StorageRole::Audit;
/// The check of what the settings ask for besides bytes.
const EXTRAS: &str = "vault extras";
/// Probes that were left behind may be listed before ours.
const PROBES: usize = 1000;

/// A problem of a storage.
enum Trouble {
    Failed(String, Box<dyn Error + Send + Sync>),
    /// It breaks a guarantee that the export relies on.
    Unsafe(&'static str),
}

impl From<DestinationError> for Trouble {
    fn from(error: DestinationError) -> Self {
        Self::Failed(ErrorChain(&error).to_string(), error.source)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Failed(ErrorChain(&error).to_string(), error.source)
    }
}

pub(super) async fn vault(
    (role, url): (StorageRole, &VaultUrl),
    principal: Principal,
    vault: &dyn ExportDestination,
) -> Check {
    let name = role.label();
    within(name, async {
        match try_vault(vault).await {
            Ok(Removed::Yes) => Check::fine(name, format!("{url:?}: files can be written once, read, listed and deleted")),
            Ok(Removed::Forbidden(probe)) => Check::fine(
                name,
                format!("{url:?}: files can be written once, read and listed; a policy forbids deleting them, so `{probe}` stays, and `retention apply` must wait for that policy"),
            ),
            Err(trouble) => failed((role, url), principal, trouble),
        }
    })
    .await
}

/// A directory in the settings of an app in Azure: it would be one of this machine here.
pub(super) fn on_an_instance(role: StorageRole, url: &VaultUrl) -> Check {
    let setting = role.setting();
    Check::failed(
        role.label(),
        format!(
            "{url:?}: the app runs in Azure, where what is in a directory is lost with the instance"
        ),
        format!(
            "set {setting} to a container, https://<account>.blob.core.windows.net/<container>; the app does not start without it"
        ),
    )
}

/// Whether what the settings ask for besides the bytes of a file can be set.
pub(super) async fn extras(url: &VaultUrl, vault: &dyn ExportDestination) -> Check {
    within(EXTRAS, async {
        let tried = vault.try_extras(&new_probe()).await;
        extras_check(url, &tried)
    })
    .await
}

fn extras_check(url: &VaultUrl, tried: &[TriedExtra]) -> Check {
    let settings: Vec<&str> = tried.iter().map(|tried| tried.setting).collect();
    let problems = tried.iter().filter_map(|tried| {
        let setting = tried.setting;
        match &tried.outcome {
            ExtraOutcome::Works => None,
            ExtraOutcome::Refused { reason } => Some(format!("{setting} cannot be set: {reason}")),
            ExtraOutcome::LeftBehind { probe, reason } => Some(format!(
                "{setting} can be set, but not cleared again, so `{probe}` stays: {reason}"
            )),
        }
    });
    let problems: Vec<String> = problems.collect();
    if problems.is_empty() {
        let says = match settings.len() {
            0 => format!("{url:?}: nothing but the bytes of files is kept there"),
            _ => format!("{url:?}: {} can be set", settings.join(", ")),
        };
        return Check::fine(EXTRAS, says);
    }
    let remedy = "give the identity the right (VAULT_TAGS needs Storage Blob Data Owner; VAULT_IMMUTABLE_FOR and VAULT_LEGAL_HOLD need version-level immutability of the container), or unset the setting; delete probes that stay when nothing protects them any more";
    Check::failed(EXTRAS, format!("{url:?}: {}", problems.join("; ")), remedy)
}

fn new_probe() -> BlobName {
    format!("{PROBE}-{}.txt", Uuid::new_v4())
        .parse()
        .expect("it is a safe name")
}

pub(super) async fn ledger(
    url: &VaultUrl,
    principal: Principal,
    ledger: &dyn DocumentStore,
) -> Check {
    const ROLE: StorageRole = StorageRole::Ledger;
    within(ROLE.label(), async {
        match try_ledger(ledger).await {
            Ok(()) => Check::fine(
                ROLE.label(),
                format!(
                    "{url:?}: documents can be written under a condition, read, listed and deleted"
                ),
            ),
            Err(trouble) => failed((ROLE, url), principal, trouble),
        }
    })
    .await
}

/// Looks whether the container of the audit log exists and can be listed. Writes nothing into it: it might have to stay there
/// for years.
pub(super) async fn audit(
    url: &VaultUrl,
    principal: Principal,
    container: &dyn DocumentStore,
) -> Check {
    within(AUDIT.label(), async {
        let found = match container.place().await {
            Ok(found) => found,
            Err(error) => return failed((AUDIT, url), principal, error.into()),
        };
        match container.list("audit/", None, 1).await {
            Ok(_) => audit_check(url, found),
            Err(error) => failed((AUDIT, url), principal, error.into()),
        }
    })
    .await
}

fn audit_check(url: &VaultUrl, found: StorePlace) -> Check {
    let name = AUDIT.label();
    let policy = match found {
        StorePlace::Missing => {
            let (what, remedy) = match url {
                VaultUrl::Container(container) => ("container", advice::container(container)),
                VaultUrl::Directory(_) => ("folder", advice::directory(url, AUDIT.setting())),
            };
            return Check::failed(
                name,
                format!(
                    "{url:?}: there is no such {what}; the app would create it, without a policy that protects the log"
                ),
                remedy,
            );
        }
        StorePlace::Exists(PlacePolicy::Immutable) => {
            "an immutability policy or a legal hold protects them"
        }
        StorePlace::Exists(PlacePolicy::Nothing) => {
            "no immutability policy of the container protects them"
        }
        StorePlace::Exists(PlacePolicy::NotShown) | StorePlace::Unknown => {
            "whether a policy protects them could not be seen"
        }
    };
    Check::not_checked(
        name,
        format!(
            "{url:?}: documents can be listed, and {policy}; whether they can be written is not checked, because they could not be deleted"
        ),
    )
}

enum Removed {
    Yes,
    Forbidden(BlobName),
}

async fn try_vault(vault: &dyn ExportDestination) -> Result<Removed, Trouble> {
    let probe = new_probe();
    let before: BlobName = PROBE.parse().expect("it is a safe name");
    let properties = BlobProperties {
        content_type: "text/plain",
        metadata: Vec::new(),
        tags: Vec::new(),
    };
    let content = Bytes::from_static(CONTENT);
    // Protection is tried apart from it: a protected probe could not be removed.
    vault
        .put_unprotected(&probe, content.clone(), &properties)
        .await?;
    let tried = async {
        let again = vault.put_unprotected(&probe, content, &properties);
        if again.await? != CommitOutcome::AlreadyThere {
            return Err(Trouble::Unsafe("it overwrites a file although it must not"));
        }
        if vault.read(&probe, 0..CONTENT.len() as u64).await? != CONTENT {
            return Err(Trouble::Unsafe("it returns other bytes than were written"));
        }
        let listed = vault.list(Some(&before), PROBES).await?;
        if !listed.iter().any(|blob| blob.name == probe) {
            return Err(Trouble::Unsafe("it does not list a file that was written"));
        }
        Ok(())
    };
    // Remove the probe in any case.
    let (tried, removed) = (tried.await, remove_probe(vault, &probe).await);
    tried?;
    match removed {
        Ok(RemoveOutcome::Removed) => Ok(Removed::Yes),
        Ok(RemoveOutcome::Changed) => Err(Trouble::Unsafe(
            "it does not remove a file at the version that it names",
        )),
        Err(error) if is_kept_by_policy(&error) => Ok(Removed::Forbidden(probe)),
        Err(error) => Err(error.into()),
    }
}

async fn remove_probe(
    vault: &dyn ExportDestination,
    probe: &BlobName,
) -> Result<RemoveOutcome, DestinationError> {
    match vault.version(probe).await? {
        Some(version) => vault.remove(probe, &version).await,
        None => Ok(RemoveOutcome::Removed),
    }
}

fn is_kept_by_policy(error: &DestinationError) -> bool {
    error
        .source
        .downcast_ref::<StorageFailure>()
        .is_some_and(|failure| is_policy(&failure.cause))
}

/// An immutability policy or a legal hold of the container.
fn is_policy(cause: &Cause) -> bool {
    matches!(cause, Cause::Answered { status: 409, code } if code.starts_with("BlobImmutable") || code.contains("LegalHold"))
}

async fn try_ledger(ledger: &dyn DocumentStore) -> Result<(), Trouble> {
    let probe = format!("doctor/{}.json", Uuid::new_v4());
    let content = Bytes::from_static(b"{}");
    ledger
        .put(&probe, content.clone(), Precondition::Absent)
        .await?;
    let tried = async {
        if ledger.put(&probe, content, Precondition::Absent).await? != PutOutcome::Conflict {
            return Err(Trouble::Unsafe(
                "it overwrites a document although it must not",
            ));
        }
        let Some(found) = ledger.find(&probe).await? else {
            return Err(Trouble::Unsafe(
                "it does not return a document that was written",
            ));
        };
        let changed = Bytes::from_static(b"{\"changed\":true}");
        let condition = Precondition::Unchanged(found.version);
        if !ledger
            .put(&probe, changed.clone(), condition.clone())
            .await?
            .is_written()
        {
            return Err(Trouble::Unsafe(
                "it refuses a change to a document that did not change meanwhile",
            ));
        }
        if ledger.put(&probe, changed, condition).await? != PutOutcome::Conflict {
            return Err(Trouble::Unsafe(
                "it takes a change to a document that was changed before",
            ));
        }
        if !ledger.list("doctor/", None, PROBES).await?.contains(&probe) {
            return Err(Trouble::Unsafe(
                "it does not list a document that was written",
            ));
        }
        Ok(())
    };
    let (tried, removed) = (tried.await, ledger.remove(&probe).await);
    tried?;
    Ok(removed?)
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use recording_vault::vault::memory::{MemoryDocumentStore, MemoryVault};

    fn tried(setting: &'static str, outcome: ExtraOutcome) -> TriedExtra {
        TriedExtra { setting, outcome }
    }

    #[test]
    fn what_cannot_be_set_and_what_stays_is_named() {
        let url = "https://acct.blob.core.windows.net/calls".parse().unwrap();
        let fine = extras_check(&url, &[tried("VAULT_TAGS", ExtraOutcome::Works)]);
        assert!(fine.says.contains("VAULT_TAGS can be set"), "{}", fine.says);
        let refused = ExtraOutcome::Refused {
            reason: "403".to_owned(),
        };
        let stays = ExtraOutcome::LeftBehind {
            probe: "probe.txt".parse().unwrap(),
            reason: "409".to_owned(),
        };
        let tried = [
            tried("VAULT_TAGS", ExtraOutcome::Works),
            tried("VAULT_IMMUTABLE_FOR", refused),
            tried("VAULT_LEGAL_HOLD", stays),
        ];
        let failed = extras_check(&url, &tried);
        for part in [
            "VAULT_IMMUTABLE_FOR cannot be set: 403",
            "`probe.txt` stays: 409",
        ] {
            assert!(failed.says.contains(part), "{}", failed.says);
        }
        assert!(!failed.says.contains("VAULT_TAGS"), "{}", failed.says);
    }

    #[test]
    fn a_missing_container_of_the_audit_log_is_a_failure_and_its_policy_is_named() {
        let url = "https://acct.blob.core.windows.net/log".parse().unwrap();
        let missing = audit_check(&url, StorePlace::Missing);
        assert_eq!(missing.result, Outcome::Failed);
        let says = |policy| {
            let check = audit_check(&url, StorePlace::Exists(policy));
            assert_eq!(check.result, Outcome::NotChecked);
            check.says
        };
        assert!(says(PlacePolicy::Immutable).contains("legal hold protects them"));
        assert!(says(PlacePolicy::Nothing).contains("no immutability policy"));
        assert!(says(PlacePolicy::NotShown).contains("could not be seen"));
    }

    #[tokio::test]
    async fn a_probe_leaves_nothing_behind() {
        let (vault, ledger) = (MemoryVault::default(), MemoryDocumentStore::default());
        assert!(matches!(try_vault(&vault).await, Ok(Removed::Yes)));
        assert!(try_ledger(&ledger).await.is_ok());
        assert!(vault.files().is_empty() && ledger.list("", None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_vault_that_deletes_nothing_has_failed_unless_a_policy_is_why() {
        let vault = MemoryVault::default();
        vault.refuse_removals(true);
        assert!(matches!(try_vault(&vault).await, Err(Trouble::Failed(..))));
        let kept = |code: &str| Cause::Answered {
            status: 409,
            code: code.to_owned(),
        };
        assert!(
            is_policy(&kept("BlobImmutableDueToPolicy"))
                && is_policy(&kept("BlobImmutableDueToLegalHold"))
        );
        assert!(!is_policy(&kept("LeaseIdMissing")) && !is_policy(&Cause::Unreachable));
    }
}
