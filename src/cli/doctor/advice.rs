//! The fix for each problem: commands with the names that are known filled in, and placeholders for the rest.

use recording_vault::acs::AcsEndpoint;
use recording_vault::vault::VaultUrl;
use recording_vault::vault::url::ContainerUrl;

const IDENTITY: &str = "--assignee-object-id <principal id of the app's identity> --assignee-principal-type ServicePrincipal";
const GROUP: &str = "/subscriptions/<subscription>/resourceGroups/<group>/providers";

/// Where to find the principal id that [`IDENTITY`] asks for.
const PRINCIPAL: &str = "`az functionapp identity show --name <app> --resource-group <group> --query principalId` prints the id";

/// Gives the app's identity the right to use ACS.
pub fn acs_role(endpoint: &AcsEndpoint) -> String {
    let resource = endpoint
        .authority()
        .split(['.', ':'])
        .next()
        .unwrap_or_default();
    format!(
        "give the identity the role \"Communication and Email Service Owner\" (or \"Contributor\") on the ACS resource: `az role assignment create {IDENTITY} --role \"Communication and Email Service Owner\" --scope {GROUP}/Microsoft.Communication/communicationServices/{resource}`; {PRINCIPAL}; it takes minutes to take effect"
    )
}

/// Gives the app's identity the right to use the storage.
pub fn storage_role(container: &ContainerUrl) -> String {
    let account = account(container);
    format!(
        "give the identity the role \"Storage Blob Data Contributor\" on the storage account: `az role assignment create {IDENTITY} --role \"Storage Blob Data Contributor\" --scope {GROUP}/Microsoft.Storage/storageAccounts/{account}`; {PRINCIPAL}; it takes minutes to take effect"
    )
}

/// Replaces a SAS by one with the permissions that are needed.
pub fn sas(setting: &str) -> String {
    format!(
        "put another SAS into {setting}: one that has not expired, for blobs, with the permissions read, add, create, write, delete and list (`racwdl`) on containers and objects"
    )
}

pub fn container(container: &ContainerUrl) -> String {
    let name = container
        .expose()
        .path_segments()
        .and_then(|mut path| path.next_back())
        .unwrap_or_default()
        .to_owned();
    let account = account(container);
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
