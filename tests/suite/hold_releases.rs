//! Whatever a hold was made under, by whichever door: `hold list` prints the command that releases it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::command::{report, run, text};
use crate::support::world::{BINARY, World};

/// Ids that a shell may misread.
const IDS: [&str; 3] = [" with spaces ", "-dash", "O'Neill & $HOME `x` \\"];

/// Every hold of the API, each for a case of its own.
fn holds() -> Vec<Value> {
    let ids = IDS.iter().flat_map(|id| {
        let names = ["recordingId", "callId", "person"];
        names.map(|name| json!({ name: id }))
    });
    let periods = [
        json!({"from": "2026-03-01T00:00:00.123456Z"}),
        json!({"to": "2026-03-31"}),
        json!({"from": "2026-03", "to": "2026-03-31T12:00:00+02:00"}),
        json!({"person": "+1 555 123 0001", "from": "2026-03-02", "to": "2026-03-02"}),
        json!({"person": "+5551-23-45"}),
    ];
    let held = ids.chain(periods).enumerate().map(|(number, mut hold)| {
        hold["case"] = format!("-Case '{number}' $x").into();
        hold
    });
    held.collect()
}

/// Runs a line at a shell, as an operator does who copies it.
async fn typed(line: &str, world: &World) -> Output {
    let folder = Path::new(BINARY).parent().expect("a binary has a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let path = std::env::join_paths([folder.to_owned()].into_iter().chain(folders));
    let mut command = Command::new("sh");
    command.args(["-c", line]).envs(world.settings());
    command.env("PATH", path.expect("the folders have names"));
    let running = tokio::task::spawn_blocking(move || command.output().expect("there is a shell"));
    running.await.expect("nothing panics there")
}

/// The commands of `hold list`.
async fn release_commands(world: &World) -> Vec<String> {
    let listed = text(&run(world.settings(), &["hold", "list"]).await);
    let lines = listed.lines().map(str::trim);
    let commands = lines.filter(|line| line.starts_with("recording-vault hold release "));
    commands.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_held_through_the_api_is_released_by_the_command_that_the_list_prints() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let holds = holds();
    for hold in &holds {
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold.clone())).await;
        assert_eq!(status, 200, "{hold}: {answer}");
    }
    let commands = release_commands(&world).await;
    assert_eq!(commands.len(), holds.len(), "{commands:#?}");
    for command in &commands {
        let output = typed(command, &world).await;
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    }
    let (_, left) = world.api("GET", "/vault/holds", None).await;
    assert_eq!(left["holds"], json!([]), "{left}");
}

#[tokio::test]
async fn what_the_api_lists_is_released_there_as_it_is_listed() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    for hold in holds() {
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold.clone())).await;
        assert_eq!(status, 200, "{hold}: {answer}");
    }
    let (_, listed) = world.api("GET", "/vault/holds", None).await;
    for hold in listed["holds"].as_array().expect("there is a list") {
        let members = ["recordingId", "callId", "person", "from", "to"];
        let mut release = json!({"case": hold["cases"][0]["case"]});
        for name in members.into_iter().filter(|name| !hold[name].is_null()) {
            release[name] = hold[name].clone();
        }
        let (status, answer) = world
            .api("POST", "/vault/holds/release", Some(release.clone()))
            .await;
        assert_eq!(status, 200, "{release}: {answer}");
    }
    let (_, left) = world.api("GET", "/vault/holds", None).await;
    assert_eq!(left["holds"], json!([]), "{left}");
}

#[tokio::test]
async fn a_national_number_is_released_where_another_country_is_set_or_none() {
    let german = ("DEFAULT_COUNTRY", "DE");
    let world = World::with(&[("OPERATOR_ACTIONS", "on"), german]).await;
    let person = "030 1234567";
    for (case, country) in [("A", ""), ("B", "AT"), ("C", "DE")] {
        let hold = json!({"case": case, "person": person});
        let (status, answer) = world.api("POST", "/vault/holds", Some(hold)).await;
        assert_eq!(status, 200, "{answer}");
        let mut settings = world.settings().clone();
        settings.insert("DEFAULT_COUNTRY".to_owned(), country.to_owned());
        let release = ["hold", "release", "--case", case, "--person", person];
        // The second time as after a lost answer.
        for _ in 0..2 {
            let output = run(&settings, &release).await;
            assert_eq!(output.status.code(), Some(0), "{country}: {output:?}");
        }
    }
    let listed = run(world.settings(), &["hold", "list", "--json"]).await;
    assert_eq!(report(&listed)["holds"], json!([]));
}

#[tokio::test]
async fn of_two_people_whom_a_number_may_mean_neither_is_released_by_a_guess() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let in_country = |country: &str| {
        let mut settings = world.settings().clone();
        settings.insert("DEFAULT_COUNTRY".to_owned(), country.to_owned());
        settings
    };
    let held = ["--case", "A", "--person", "030 1234567"];
    for country in ["DE", "AT"] {
        let output = run(
            &in_country(country),
            &[&["hold", "add", "--yes"], &held[..]].concat(),
        )
        .await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let output = run(&in_country(""), &[&["hold", "release"], &held[..]].concat()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(release_commands(&world).await.len(), 2);
}

#[tokio::test]
async fn a_hold_of_another_person_or_case_is_not_released_in_its_place() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let hold = json!({"case": "A", "person": "8:acs:anna", "from": "2026-03"});
    world.api("POST", "/vault/holds", Some(hold)).await;
    for (case, person, from) in [
        ("A", "8:acs:bert", "2026-03"),
        ("A", "8:acs:anna", "2026-04"),
        ("B", "8:acs:anna", "2026-03"),
    ] {
        let subject = ["--person", person, "--from", from];
        let release = [&["hold", "release", "--case", case], &subject[..]].concat();
        let output = run(world.settings(), &release).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("hold list"), "{said}");
    }
    assert_eq!(release_commands(&world).await.len(), 1);
}
