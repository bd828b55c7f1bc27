//! The fix for each problem: commands with the names that are known filled in, and placeholders for the rest.

use recording_vault::acs::AcsEndpoint;
use recording_vault::storage_url::ContainerUrl;
use recording_vault::vault::VaultUrl;

const GROUP: &str = "/subscriptions/<subscription>/resourceGroups/<group>/providers";

/// Who asked, and lacks the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The managed identity of the app.
    App,
    /// The account that is signed in to the Azure CLI.
    You,
    /// The managed identity of the machine that doctor runs on, with the settings of an app elsewhere.
    ThisMachine,
}

impl Principal {
    fn lacks(self) -> &'static str {
        match self {
            Self::App => "the app's identity lacks a role",
            Self::You => {
                "your own account, which is signed in to the Azure CLI, lacks a role; this says nothing about the app's identity"
            }
            Self::ThisMachine => {
                "the identity of this machine lacks a role; this says nothing about the app's identity, unless it is the same"
            }
        }
    }

    /// Whose rights a check used that passed; `None`: those of the app.
    pub fn used(self) -> Option<&'static str> {
        match self {
            Self::App => None,
            Self::You => Some("your account"),
            Self::ThisMachine => Some("the identity of this machine"),
        }
    }

    fn assignee(self) -> &'static str {
        match self {
            Self::App => {
                "--assignee-object-id <principal id of the app's identity> --assignee-principal-type ServicePrincipal"
            }
            Self::You => "--assignee $(az ad signed-in-user show --query id --output tsv)",
            Self::ThisMachine => {
                "--assignee-object-id <principal id of this machine's identity> --assignee-principal-type ServicePrincipal"
            }
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::App => {
                "; `az functionapp identity show --name <app> --resource-group <group>` prints the principal id"
            }
            Self::You | Self::ThisMachine => "",
        }
    }

    /// The command that assigns a role, and what to know about it.
    fn assign(self, role: &str, scope: &str) -> String {
        format!(
            "{}: `az role assignment create {} --role \"{role}\" --scope {scope}`{}; it takes minutes to take effect",
            self.lacks(),
            self.assignee(),
            self.hint()
        )
    }
}

/// Gives the principal the right to use ACS.
pub fn acs_role(principal: Principal, endpoint: &AcsEndpoint) -> String {
    let resource = endpoint
        .authority()
        .split(['.', ':'])
        .next()
        .unwrap_or_default();
    let scope = format!("{GROUP}/Microsoft.Communication/communicationServices/{resource}");
    principal.assign("Communication and Email Service Owner", &scope)
}

/// Gives the principal the right to use a container.
pub fn storage_role(principal: Principal, container: &ContainerUrl) -> String {
    let (account, name) = (account(container), name(container));
    let scope = format!(
        "{GROUP}/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{name}"
    );
    principal.assign("Storage Blob Data Contributor", &scope)
}

/// Replaces a SAS by one with the permissions that are needed.
pub fn sas(setting: &str) -> String {
    format!(
        "put another SAS into {setting}: one that has not expired, for blobs, with the permissions read, add, create, write, delete and list (`racwdl`) on containers and objects"
    )
}

pub fn container(container: &ContainerUrl) -> String {
    let (account, name) = (account(container), name(container));
    format!(
        "create the container: `az storage container create --account-name {account} --name {name} --auth-mode login`"
    )
}

pub fn network(container: &ContainerUrl) -> String {
    let account = account(container);
    format!(
        "allow the app's network: `az storage account network-rule add --account-name {account} --resource-group <group> --subnet <subnet of the app>`, or a private endpoint"
    )
}

/// Gives the app an identity.
pub fn identity() -> String {
    "switch the app's identity on: `az functionapp identity assign --name <app> --resource-group <group>`; a user-assigned one needs its client id in AZURE_CLIENT_ID. It answers within the app only. On another machine run `az login`, or set ACS_ACCESS_KEY and a SAS in VAULT_URL and LEDGER_URL".to_owned()
}

pub fn access_key() -> String {
    "copy endpoint and key from the same resource: `az communication list-key --name <resource> --resource-group <group>`, then set ACS_ENDPOINT and ACS_ACCESS_KEY (or ACS_CONNECTION_STRING)".to_owned()
}

pub fn acs_network(endpoint: &AcsEndpoint) -> String {
    format!(
        "check the name in ACS_ENDPOINT, and that this network allows connections to {}",
        endpoint.authority()
    )
}

pub fn directory(url: &VaultUrl, setting: &str) -> String {
    format!(
        "let the process's user write to {url:?}, see that its disk is mounted and not read-only or full, or set {setting} to another place"
    )
}

pub fn clock() -> String {
    "let NTP set this machine's clock (`timedatectl set-ntp true`): signatures with a wrong time are refused, and claims of several instances overlap".to_owned()
}

fn account(container: &ContainerUrl) -> String {
    container
        .expose()
        .host_str()
        .unwrap_or_default()
        .split('.')
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn name(container: &ContainerUrl) -> String {
    let path = container.expose().path_segments();
    path.and_then(|mut path| path.next_back())
        .unwrap_or_default()
        .to_owned()
}
