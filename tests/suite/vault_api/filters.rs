//! Filters beside a search: what is listed matches each of them, and what may match and is not readable is named.

use std::collections::BTreeSet;

use super::*;
use crate::support::command::run;
use crate::support::world::files_by_path;

fn ids(found: &Value) -> BTreeSet<String> {
    let rows = found["recordings"].as_array().expect("there is a list");
    let ids = rows.iter().filter_map(|row| row["recordingId"].as_str());
    ids.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_search_finds_what_matches_each_of_its_filters_too() {
    let world = World::new().await;
    let document = document_ids(&archived(&world, &["8:acs:ada"]).await).remove(0);
    archived(&world, &["8:acs:eve"]).await;
    let list = get(&world, "/recordings").await;
    let of = |person: &str, member: &str| {
        let rows = list["recordings"].as_array().expect("there is a list");
        let row = rows.iter().find(|row| row["participantIds"][0] == person);
        let text = row.and_then(|row| row[member].as_str());
        text.expect("a row has it").to_owned()
    };
    let id = of("8:acs:ada", "recordingId");
    let other = of("8:acs:eve", "recordingId");
    let day = of("8:acs:ada", "startedAt")[..10].to_owned();
    for held in [&id, &other] {
        let hold = ["hold", "add", "--case", "A-2026-1", "--recording", held];
        assert!(run(world.settings(), &hold).await.status.success());
    }
    let searches = [
        id.clone(),
        id[..id.len() - 6].to_owned(),
        id[..4].to_owned(),
        of("8:acs:ada", "callId"),
        document,
        "8:acs:ada".to_owned(),
        "A-2026".to_owned(),
        day.clone(),
        "verified".to_owned(),
    ];
    let filters = [
        "person=8:acs:ada".to_owned(),
        "person=8:acs:eve".to_owned(),
        format!("call={}", of("8:acs:eve", "callId")),
        "state=verified".to_owned(),
        "state=lost".to_owned(),
        "format=wav".to_owned(),
        "format=mp4".to_owned(),
        format!("from={day}"),
        "from=2020-01-01&to=2020-01-02".to_owned(),
    ];
    for search in &searches {
        let found = ids(&get(&world, &format!("/recordings?q={search}")).await);
        assert!(found.contains(&id), "{search}: {found:?}");
        for filter in &filters {
            let of_filter = ids(&get(&world, &format!("/recordings?{filter}")).await);
            let both = ids(&get(&world, &format!("/recordings?q={search}&{filter}")).await);
            let expected: BTreeSet<String> = found.intersection(&of_filter).cloned().collect();
            assert_eq!(both, expected, "q={search}&{filter}");
        }
    }
}

#[tokio::test]
async fn an_account_that_is_not_readable_is_named_where_a_format_leaves_it_out() {
    let world = World::new().await;
    archived(&world, &[ANNA]).await;
    let accounts = world.vault.with_file_name("vault-ledger/recordings");
    let account = files_by_path(&accounts).into_keys().next();
    let account = account.expect("it has an account");
    std::fs::write(accounts.join(&account), "no JSON").expect("the folder is ours");
    // The list of what is unknown is that of the last check.
    run(world.settings(), &["status", "--check"]).await;
    let found = get(&world, "/recordings?state=unknown").await;
    assert_eq!(ids(&found).len(), 1, "{found}");
    let found = get(&world, "/recordings?state=unknown&format=wav").await;
    assert_eq!(found["recordings"], json!([]), "{found}");
    let names = found["notSearched"]["unreadableNames"].to_string();
    assert!(names.contains(&account), "{found}");
}
