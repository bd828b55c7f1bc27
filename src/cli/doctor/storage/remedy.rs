//! What is wrong at a storage that could not be used, and the fix for it.

use std::io::{self, ErrorKind};

use recording_vault::storage_url::ContainerUrl;
use recording_vault::vault::VaultUrl;
use recording_vault::vault::azure::{Cause, StorageFailure};

use super::super::Check;
use super::super::advice::{self, Principal};
use super::super::role::StorageRole;
use super::Trouble;

/// The check of a storage in which something failed.
pub(super) fn failed(
    (role, url): (StorageRole, &VaultUrl),
    principal: Principal,
    trouble: Trouble,
) -> Check {
    let name = role.label();
    let (says, source) = match trouble {
        Trouble::Unsafe(what) => {
            return Check::failed(
                name,
                format!("{url:?}: {what}"),
                "use Azure Blob Storage, or a local disk",
            );
        }
        Trouble::Failed(says, source) => (says, source),
    };
    let setting = role.setting();
    let cause = source
        .downcast_ref::<StorageFailure>()
        .map(|failure| &failure.cause);
    let code = match cause {
        Some(Cause::Answered { code, .. }) if !says.contains(code.as_str()) => format!(" ({code})"),
        Some(Cause::Answered { .. } | Cause::NoToken | Cause::Unreachable | Cause::Other)
        | None => String::new(),
    };
    let remedy = match url {
        VaultUrl::Container(container) => in_container(container, setting, principal, cause),
        VaultUrl::Directory(_) => in_directory(
            url,
            setting,
            source.downcast_ref::<io::Error>().map(io::Error::kind),
        ),
    };
    Check::failed(name, format!("{url:?}: {says}{code}"), remedy)
}

fn in_container(
    container: &ContainerUrl,
    setting: &str,
    principal: Principal,
    cause: Option<&Cause>,
) -> String {
    match cause {
        Some(Cause::NoToken) => advice::identity(),
        Some(Cause::Answered { code, .. }) if code == "ContainerNotFound" => {
            advice::container(container)
        }
        Some(Cause::Answered { code, .. })
            if code == "AuthorizationFailure" && !container.has_sas() =>
        {
            format!(
                "{}; or else {}",
                advice::network(container),
                advice::storage_role(principal, container)
            )
        }
        Some(Cause::Answered {
            status: 401 | 403, ..
        }) if container.has_sas() => advice::sas(setting),
        Some(Cause::Answered {
            status: 401 | 403, ..
        }) => advice::storage_role(principal, container),
        Some(Cause::Answered { .. } | Cause::Unreachable | Cause::Other) | None => format!(
            "check the account's name in {setting}, and that this network allows connections to it: name resolution, firewall, private endpoint"
        ),
    }
}

fn in_directory(url: &VaultUrl, setting: &str, kind: Option<ErrorKind>) -> String {
    if kind == Some(ErrorKind::NotFound) {
        return format!(
            "create the folder above {url:?} (a disk may not be mounted), or set {setting} to another place"
        );
    }
    advice::directory(url, setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy_of(url: &str, principal: Principal, status: u16, code: &str) -> String {
        let VaultUrl::Container(container) = url.parse().unwrap() else {
            panic!("it is a container's")
        };
        in_container(
            &container,
            "VAULT_URL",
            principal,
            Some(&Cause::Answered {
                status,
                code: code.to_owned(),
            }),
        )
    }

    #[rstest::rstest]
    #[case::role(
        "",
        403,
        "AuthorizationPermissionMismatch",
        "--role \"Storage Blob Data Contributor\" --scope /subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/acct/blobServices/default/containers/calls`"
    )]
    #[case::network(
        "",
        403,
        "AuthorizationFailure",
        "az storage account network-rule add --account-name acct"
    )]
    #[case::sas(
        "?sig=x",
        403,
        "AuthorizationPermissionMismatch",
        "put another SAS into VAULT_URL"
    )]
    #[case::container(
        "",
        404,
        "ContainerNotFound",
        "az storage container create --account-name acct --name calls"
    )]
    #[case::else_the_network("", 500, "InternalError", "check the account's name in VAULT_URL")]
    fn the_answer_of_the_storage_names_its_fix(
        #[case] sas: &str,
        #[case] status: u16,
        #[case] code: &str,
        #[case] expected: &str,
    ) {
        let remedy = remedy_of(
            &format!("https://acct.blob.core.windows.net/calls{sas}"),
            Principal::App,
            status,
            code,
        );
        assert!(remedy.contains(expected), "{remedy}");
    }

    #[test]
    fn the_remedy_names_the_account_that_lacks_the_role() {
        let url = "https://acct.blob.core.windows.net/calls";
        let code = "AuthorizationPermissionMismatch";
        let of_the_app = remedy_of(url, Principal::App, 403, code);
        assert!(of_the_app.contains("principal id of the app's identity"));
        let yours = remedy_of(url, Principal::You, 403, code);
        assert!(yours.contains("your own account") && yours.contains("signed-in-user"));
        assert!(!yours.contains("<principal id"), "{yours}");
        let of_this_machine = remedy_of(url, Principal::ThisMachine, 403, code);
        assert!(
            of_this_machine.contains("the identity of this machine lacks")
                && of_this_machine.contains("principal id of this machine's identity"),
            "{of_this_machine}"
        );
    }
}
