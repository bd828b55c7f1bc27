//! Answers that say no more than is known, and requests that must have no effect.

use super::*;

/// The records of reads that the audit log has so far.
fn reads(world: &World, recording: &str, document: &str, event: &str) -> [usize; 4] {
    [
        audit_records(world, "evidenceExported", recording).len(),
        audit_records(world, "ticketIssued", document).len(),
        audit_records(world, "downloaded", document).len(),
        audit_records(world, "downloaded", event).len(),
    ]
}

/// Reads something that is recorded, and waits for the record: earlier reads are recorded before it.
async fn after_another_read(world: &World, document: &str) {
    let path = format!("/chunks/{document}/metadata");
    let read = send(world, Method::GET, &path, &[]).await;
    assert_eq!(read.status(), 200);
    drop(read.bytes().await);
    crate::support::eventually("the read is recorded", async || {
        (!audit_records(world, "downloaded", document).is_empty()).then_some(())
    })
    .await;
}

/// An unreadable event; its SHA-256.
async fn unreadable_event(world: &World) -> String {
    let event =
        json!({"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": 7});
    world.event(&event).await;
    let poison = get(world, "/poison").await;
    let sha256 = poison["poison"][0]["sha256"].as_str();
    sha256.unwrap_or_else(|| panic!("{poison}")).to_owned()
}

/// What a vault has.
struct Ids {
    recording: String,
    document: String,
    /// Of an event that could not be read.
    sha256: String,
}

async fn with_an_unreadable_event(world: &World) -> Ids {
    let event = archived(world, &[ANNA]).await;
    let row = only_recording(world).await;
    let id = row["recordingId"].as_str().expect("it has an id");
    Ids {
        recording: id.to_owned(),
        document: document_ids(&event).remove(0),
        sha256: unreadable_event(world).await,
    }
}

#[tokio::test]
async fn head_has_no_effect_where_get_is_recorded() {
    let world = World::new().await;
    let Ids {
        recording: id,
        document,
        sha256,
    } = with_an_unreadable_event(&world).await;
    for path in [
        format!("/recordings/{id}/evidence"),
        format!("/evidence?recordings={id}"),
        format!("/chunks/{document}/ticket"),
        format!("/poison/{sha256}"),
    ] {
        let answer = send(&world, Method::HEAD, &path, &[]).await;
        assert_eq!(
            (answer.status().as_u16(), text(answer.headers(), "allow")),
            (405, "GET"),
            "{path}"
        );
    }
    after_another_read(&world, &document).await;
    let event = format!("poison:{sha256}");
    assert_eq!(reads(&world, &id, &document, &event), [0, 0, 1, 0]);
}

#[tokio::test]
async fn head_of_media_ignores_ranges_and_looks_into_the_vault() {
    let world = World::new().await;
    let event = archived(&world, &[ANNA]).await;
    let id = document_ids(&event).remove(0);
    let path = format!("/chunks/{id}/media");
    let name = format!("0000-audiowav.{id}.wav");
    let size = world.vault_files()[&name].len();
    for range in ["bytes=0-9".to_owned(), format!("bytes={size}-")] {
        let head = send(&world, Method::HEAD, &path, &[("range", &range)]).await;
        assert_eq!(
            (
                head.status().as_u16(),
                text(head.headers(), "content-length")
            ),
            (200, size.to_string().as_str()),
            "{range}"
        );
    }
    remove_from_vault(&world.vault, &name);
    for method in [Method::HEAD, Method::GET] {
        let gone = send(&world, method.clone(), &path, &[]).await;
        assert_eq!(gone.status(), 410, "{method}");
    }
}

fn remove_from_vault(folder: &std::path::Path, name: &str) {
    for path in crate::support::world::files_by_path(folder).into_keys() {
        if path.ends_with(name) {
            std::fs::remove_file(folder.join(path)).expect("the folder is ours");
        }
    }
}

#[tokio::test]
async fn an_unreadable_account_is_a_conflict_with_a_remedy_and_not_a_missing_recording() {
    let world = World::new().await;
    archived(&world, &[ANNA]).await;
    let row = only_recording(&world).await;
    let id = row["recordingId"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    let accounts = world
        .vault
        .with_file_name("vault-ledger")
        .join("recordings");
    for account in std::fs::read_dir(accounts)
        .expect("there are accounts")
        .flatten()
    {
        std::fs::write(account.path(), "{").expect("the folder is ours");
    }
    let listed = only_recording(&world).await;
    assert_eq!(listed["status"], "unknown", "{listed}");
    let listed = listed["recordingId"].as_str().expect("it has a name");
    for path in [
        format!("/recordings/{id}"),
        format!("/recordings/{listed}"),
        format!("/recordings/{id}/evidence"),
    ] {
        let (status, answer) = world.api("GET", &format!("/vault{path}"), None).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (409, &json!("Unreadable")),
            "{path}: {answer}"
        );
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("recordings/")
                && message.contains("earlier version")
                && !message.contains("ledger rebuild"),
            "{message}"
        );
    }
    let missing = error(&world, "GET", "/recordings/none", None).await;
    assert_eq!(missing, (404, "RecordingNotFound".to_owned()));
}

#[tokio::test]
async fn a_file_is_refused_in_the_envelope_form_before_its_read_is_recorded() {
    let world = World::new().await;
    let Ids {
        recording: id,
        document,
        sha256,
    } = with_an_unreadable_event(&world).await;
    for path in [
        format!("/recordings/{id}/evidence"),
        format!("/evidence?recordings={id}"),
        format!("/chunks/{document}/media"),
        format!("/chunks/{document}/metadata"),
        format!("/poison/{sha256}"),
    ] {
        let req = json!({"Url": format!("http://localhost/api/vault{path}"), "Method": "GET"});
        let envelope = json!({"Data": {"req": req}}).to_string();
        let (_, answer) = world.envelope("Vault", envelope).await;
        let response = &answer["Outputs"]["res"];
        assert_eq!(
            (&response["statusCode"], &response["body"]["error"]["code"]),
            (&json!(501), &json!("NotInThisForm")),
            "{path}: {answer}"
        );
    }
    after_another_read(&world, &document).await;
    let event = format!("poison:{sha256}");
    assert_eq!(reads(&world, &id, &document, &event), [0, 0, 1, 0]);
}

#[tokio::test]
async fn who_requested_a_hold_is_kept_apart_from_who_placed_it() {
    let world = World::with(&[("OPERATOR_ACTIONS", "on")]).await;
    let hold = async |path: &str, body: Value| {
        let url = format!("{}/api/vault{path}", world.host.url());
        let request = world.client.post(url).header("x-operator-name", "ada");
        let answer = request.json(&body).send().await.expect("the host answers");
        crate::support::world::json_answer(answer).await
    };
    let body = json!({"case": "A-1", "by": "legal"});
    let (status, answer) = hold("/recordings/r/hold", body).await;
    assert_eq!(status, 200, "{answer}");
    let case = &answer["holds"][0];
    assert_eq!(
        (&case["requestedBy"], &case["by"]),
        (&json!("legal"), &json!("ada (claimed)")),
        "{answer}"
    );
    for path in ["/recordings/r/hold", "/holds"] {
        let mut body = json!({"case": "A-2", "by": " "});
        if path == "/holds" {
            body["person"] = json!("8:acs:one");
        }
        let (status, refused) = hold(path, body).await;
        assert_eq!(
            (status, &refused["error"]["target"]),
            (400, &json!("by")),
            "{refused}"
        );
    }
}
