//! Who reaches the app and the storage accounts, and which paths need no sign-in.

use std::fs;

use serde_json::Value;

use crate::documents::{read, repository};

/// Event Grid pushes to public addresses only.
#[test]
fn event_grid_reaches_the_app_with_every_restriction() {
    let app = read("infra/modules/app.bicep");
    assert!(app.contains("publicNetworkAccess: 'Enabled'"));
    assert!(app.contains("ipAddress: 'AzureEventGrid'"));
    assert!(app.contains("keyVaultReferenceIdentity: runtime.id"));
    for closed in ["ftpsState: 'Disabled'", "scmMinTlsVersion: '1.2'"] {
        assert!(app.contains(closed), "{closed}");
    }
}

#[test]
fn no_storage_account_has_keys_users_or_strangers() {
    let storage = read("infra/modules/storage.bicep");
    let accounts = storage
        .matches("'Microsoft.Storage/storageAccounts@")
        .count();
    assert_eq!(accounts, 3);
    for property in [
        "allowSharedKeyAccess: false",
        "allowBlobPublicAccess: false",
        "allowCrossTenantReplication: false",
        "allowedCopyScope: 'AAD'",
        "isLocalUserEnabled: false",
        "minimumTlsVersion: 'TLS1_2'",
        "bypass: 'AzureServices'",
        "defaultAction: isPrivate ? 'Deny' : 'Allow'",
    ] {
        assert_eq!(storage.matches(property).count(), accounts, "{property}");
    }
}

/// The last `*` of a path matches any rest. Anybody may load the page and the OpenAPI document: they contain no data.
#[test]
fn paths_without_sign_in_are_routes_that_check_the_caller_themselves_or_contain_no_data() {
    let template = read("infra/modules/sign-in.bicep");
    let excluded: Vec<&str> = template
        .split("excludedPaths: [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .expect("there are excluded paths")
        .lines()
        .map(|line| line.trim().trim_matches('\''))
        .filter(|path| !path.is_empty())
        .collect();
    let mut routes = vec!["/runtime/webhooks/eventgrid".to_owned()];
    let functions = fs::read_dir(repository().join("functions")).expect("there are functions");
    for function in functions.flatten() {
        let text = fs::read_to_string(function.path().join("function.json")).expect("it is there");
        let function: Value = serde_json::from_str(&text).expect("it is JSON");
        let bindings = function["bindings"].as_array().into_iter().flatten();
        routes.extend(
            bindings.filter_map(|binding| Some(format!("/api/{}", binding["route"].as_str()?))),
        );
    }
    for path in &excluded {
        let leads_there = routes.iter().any(|route| match path.strip_suffix('*') {
            Some(start) => route.starts_with(start),
            None => route == path.trim_end_matches('/'),
        });
        assert!(leads_there, "{path} is no route: {routes:?}");
    }
    for needed in ["eventgrid/webhook", "callbacks", "telephony", "play"] {
        assert!(
            excluded.iter().any(|path| path.contains(needed)),
            "{needed}"
        );
    }
    // README names the page with the slash.
    for page in ["/api/vault", "/api/vault/", "/api/openapi.json"] {
        assert!(excluded.contains(&page), "{page}");
    }
    assert!(!excluded.contains(&"/api/*") && !excluded.contains(&"/api/vault/*"));
}
