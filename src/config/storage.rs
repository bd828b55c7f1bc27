//! Settings of storage: vaults, ledger, the customer's own containers, the export queue.

use std::str::FromStr;
use std::time::Duration;

use super::StorageConfig;
use super::platform::Platform;
use super::reader::Reader;
use crate::export::retention::RetentionPolicy;
use crate::export_queue::ExportQueueUrl;
use crate::storage_url::ContainerUrl;
use crate::vault::azure::{AccessTier, AzureVaultOptions};
use crate::vault::url::Overlap;
use crate::vault::{InvalidVaultUrl, VaultUrl};

/// A setting and its place, if it has one.
type Named<'a> = (&'a str, Option<&'a VaultUrl>);

impl Reader {
    pub(super) fn storage(&mut self) -> Option<StorageConfig> {
        let vault = self.required("VAULT_URL");
        let backup_vault = self.backup_vault(vault.as_ref());
        let vault_options = self.vault_options(vault.as_ref());
        let ledger = self.ledger(vault.as_ref());
        if let Some(backup) = &backup_vault {
            let why = "the backup vault needs a place of its own";
            let ledger = ("LEDGER_URL", ledger.as_ref());
            self.apart("BACKUP_VAULT_URL", backup, &[ledger], why);
        }
        let audit = self.audit(&[
            ("VAULT_URL", vault.as_ref()),
            ("LEDGER_URL", ledger.as_ref()),
            ("BACKUP_VAULT_URL", backup_vault.as_ref()),
        ]);
        let places = [
            ("VAULT_URL", vault.as_ref()),
            (
                "LEDGER_URL",
                ledger
                    .as_ref()
                    .filter(|_| self.text("LEDGER_URL").is_some()),
            ),
            ("BACKUP_VAULT_URL", backup_vault.as_ref()),
            ("AUDIT_URL", audit.as_ref()),
        ];
        self.lasting(&places);
        let external = self.containers("EXTERNAL_STORAGE");
        let replay_from = self.replay_from();
        let export_queue = self.parsed("EXPORT_QUEUE_URL", ExportQueueUrl::from_str);
        Some(StorageConfig {
            vault: vault?,
            backup_vault,
            vault_options: vault_options?,
            ledger: ledger?,
            audit,
            external: external?,
            replay_from: replay_from?,
            export_queue,
        })
    }

    fn ledger(&mut self, vault: Option<&VaultUrl>) -> Option<VaultUrl> {
        if self.text("LEDGER_URL").is_some() {
            let ledger: Option<VaultUrl> = self.required("LEDGER_URL");
            if let Some(ledger) = &ledger {
                let why = "the ledger needs a place of its own";
                self.apart("LEDGER_URL", ledger, &[("VAULT_URL", vault)], why);
            }
            return ledger;
        }
        let beside: Result<VaultUrl, InvalidVaultUrl> = vault?.ledger_beside();
        beside
            .map_err(|error| self.problem("VAULT_URL", error))
            .ok()
    }

    /// Reports directories, which are lost with the instance. One on a mounted share lasts, but only the processes of one
    /// machine can share a directory, and two instances may write at once.
    fn lasting(&mut self, places: &[Named<'_>]) {
        let Some(platform) = self.platform() else {
            return;
        };
        let place_of_app = match platform {
            Platform::Azure => "in Azure",
            Platform::Lambda => "on AWS Lambda",
        };
        for (name, place) in places {
            if let Some(VaultUrl::Directory(_)) = place {
                self.problem(
                    name,
                    format_args!(
                        "is a directory, and this app runs {place_of_app}: a directory there is lost with the instance, and a mounted share is not tested for two instances; expected https://<account>.blob.core.windows.net/<container>"
                    ),
                );
            }
        }
    }

    /// A policy that makes its container immutable would block anything else that is stored there.
    fn audit(&mut self, others: &[Named<'_>]) -> Option<VaultUrl> {
        let audit = self.parsed("AUDIT_URL", VaultUrl::from_str)?;
        let why = "the audit log needs a place of its own";
        self.apart("AUDIT_URL", &audit, others, why);
        Some(audit)
    }

    /// Reports a place that is also one of the others, or inside it: what is listed there would be listed here too.
    fn apart(&mut self, name: &str, url: &VaultUrl, others: &[Named<'_>], why: &str) {
        for (other_name, other) in others {
            let how = match other.and_then(|other| url.overlap(other)) {
                Some(Overlap::Same) => "is the same place as",
                Some(Overlap::Inside) => "is inside",
                Some(Overlap::Contains) => "contains",
                None => continue,
            };
            self.problem(name, format_args!("{how} {other_name}; {why}"));
        }
    }

    fn backup_vault(&mut self, vault: Option<&VaultUrl>) -> Option<VaultUrl> {
        let backup = self.parsed("BACKUP_VAULT_URL", VaultUrl::from_str)?;
        let why = "a backup vault must not fail together with the vault";
        self.apart("BACKUP_VAULT_URL", &backup, &[("VAULT_URL", vault)], why);
        if self.text("LEDGER_URL").is_none() {
            self.problem(
                "LEDGER_URL",
                "is missing: with BACKUP_VAULT_URL, the ledger needs a place that does not fail together with VAULT_URL",
            );
        }
        Some(backup)
    }

    fn vault_options(&mut self, vault: Option<&VaultUrl>) -> Option<AzureVaultOptions> {
        let read_back = self.parsed("VERIFY", |text| match text {
            "block-list" => Ok(false),
            "read-back" => Ok(true),
            other => Err(format!("is `{other}`; expected block-list or read-back")),
        });
        let is_directory = matches!(vault, Some(VaultUrl::Directory(_)));
        for name in ["VAULT_TIER", "VAULT_IMMUTABLE_FOR"] {
            if is_directory && self.text(name).is_some() {
                self.problem(
                    name,
                    "is set, but VAULT_URL is a directory, which does not support it",
                );
            }
        }
        // Archive would have to be rehydrated before a copy could be proved, played or moved.
        let tier = match self.text("VAULT_TIER") {
            Some(_) => Some(self.parsed("VAULT_TIER", |text| match text {
                "hot" => Ok(AccessTier::Hot),
                "cool" => Ok(AccessTier::Cool),
                "cold" => Ok(AccessTier::Cold),
                other => Err(format!("is `{other}`; expected hot, cool or cold")),
            })?),
            None => None,
        };
        let immutable_for = match self.text("VAULT_IMMUTABLE_FOR") {
            Some(_) => Some(self.duration("VAULT_IMMUTABLE_FOR", Duration::from_hours(24))?),
            None => None,
        };
        let (tags, legal_hold) = (self.boolean("VAULT_TAGS"), self.boolean("VAULT_LEGAL_HOLD"));
        for (name, wanted) in [("VAULT_TAGS", tags), ("VAULT_LEGAL_HOLD", legal_hold)] {
            if is_directory && wanted == Some(true) {
                self.problem(
                    name,
                    "is true, but VAULT_URL is a directory, which does not support it",
                );
            }
        }
        Some(AzureVaultOptions {
            read_back: read_back?,
            tags: tags?,
            tier,
            immutable_for,
            legal_hold: legal_hold?,
        })
    }

    /// At least a day: a shorter value has a wrong unit, and would empty the vault.
    pub(super) fn retention(&mut self) -> Option<RetentionPolicy> {
        let keep_for = self.duration("VAULT_RETENTION", Duration::from_hours(24));
        let keeps = self.parsed("RETENTION_KEEPS", str::parse);
        Some(RetentionPolicy {
            keep_for: keep_for?,
            keeps: keeps?,
        })
    }

    /// A SAS belongs into the URL that `replay` is given: this setting says where a token may go.
    fn replay_from(&mut self) -> Option<Vec<ContainerUrl>> {
        const NAME: &str = "REPLAY_FROM";
        let containers = self.containers(NAME)?;
        if containers.iter().any(ContainerUrl::has_sas) {
            let problem =
                "has a SAS; give it with the URL to `recording-vault replay`, and not here";
            self.problem(NAME, problem);
            return None;
        }
        Some(containers)
    }

    /// Reads the URLs of containers, separated by commas.
    fn containers(&mut self, name: &str) -> Option<Vec<ContainerUrl>> {
        if self.text(name).is_none() {
            return Some(Vec::new());
        }
        self.parsed(name, |text| {
            let containers = text.split(',').map(str::trim).filter(|url| !url.is_empty());
            let containers = containers.zip(1..).map(|(url, number)| match url.parse() {
                Ok(VaultUrl::Container(container)) => Ok(container),
                Ok(VaultUrl::Directory(_)) => Err(format!(
                    "entry {number} is a directory; expected URLs of containers"
                )),
                Err(error) => Err(format!("entry {number} {error}")),
            });
            containers.collect::<Result<Vec<_>, _>>()
        })
    }
}

impl StorageConfig {
    /// Whether the identity's token may be sent to the host of this container: a setting sends it there, or allows it.
    pub fn sends_token_to(&self, container: &ContainerUrl) -> bool {
        let ours = [
            Some(&self.vault),
            Some(&self.ledger),
            self.backup_vault.as_ref(),
            self.audit.as_ref(),
        ];
        let ours = ours.into_iter().flatten().filter_map(|url| match url {
            VaultUrl::Container(container) => Some(container),
            VaultUrl::Directory(_) => None,
        });
        ours.chain(&self.external)
            .chain(&self.replay_from)
            .any(|known| !known.has_sas() && known.is_on_host_of(container))
    }
}
