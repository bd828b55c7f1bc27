//! The conversation of a bot goes with the last recording that was started in it.

use recording_vault::control::entry::RegisteredRecording;
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::document_store::{DocumentStore as _, Precondition};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{chunk_of, erase, now, preview, register};
use crate::support::simulation::{Durable, Plan, deliver};

const CONVERSATION: &str = "conv-of-+4930123456";

/// The bot's conversation of a recording, with these sessions and this progress of its last command.
async fn conversation(durable: &Durable, sessions: &[&str], progress: Value) -> String {
    let name = Sha256Digest::of(CONVERSATION.as_bytes());
    let key = format!("telephony/{name}.json");
    let content = json!({
        "id": CONVERSATION, "call": null, "sessions": sessions, "commands": [{
            "commandId": "1", "name": "stop", "action": {"name": "stop"}, "activityId": "a",
            "resultId": Uuid::from_u128(1), "receivedAt": now(), "addresses": {}, "isPosted": true,
            "progress": progress,
        }],
    });
    let store = durable.store();
    store.remove(&key).await.expect("the ledger works");
    let content = content.to_string().into();
    let putting = store.put(&key, content, Precondition::Absent).await;
    putting.expect("the ledger works");
    key
}

/// A recording that a bot started in the conversation, exported.
async fn of_bot() -> Durable {
    let chunks = [chunk_of("a", 0)];
    let durable = Durable::new(&chunks);
    register(&durable, &chunks).await;
    let tag = |account: &mut RegisteredRecording| {
        account.conversation = Some(CONVERSATION.to_owned());
    };
    let register = durable.register(&Plan::calm());
    let tagged = register.change(&chunks[0].filed_under(), now(), tag).await;
    tagged.expect("the register works");
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    durable
}

fn finished() -> Value {
    let outcome = json!({"error": {"code": "c", "message": "m"}});
    json!({"name": "finished", "outcome": outcome})
}

#[tokio::test(start_paused = true)]
async fn a_bots_conversation_is_erased_with_its_last_recording() {
    let durable = of_bot().await;
    let key = conversation(&durable, &["mine", "other"], finished()).await;
    assert_eq!(erase(&durable).await.erased, ["mine"]);
    let kept = durable.store().find(&key).await.expect("the ledger works");
    let kept: Value = serde_json::from_slice(&kept.expect("it is kept").content).expect("JSON");
    assert_eq!(kept["sessions"], json!(["other"]));

    let durable = of_bot().await;
    conversation(&durable, &["mine"], finished()).await;
    assert_eq!(erase(&durable).await.erased, ["mine"]);
    for (key, content) in durable.documents().await {
        assert!(!content.contains(CONVERSATION), "{key}: {content}");
    }
}

#[rstest::rstest]
#[case::as_it_is_written("undelivered")]
#[case::by_an_earlier_build("untold")]
#[tokio::test(start_paused = true)]
async fn a_recording_whose_bot_waits_for_a_result_is_left_until_it_has_it(#[case] name: &str) {
    let durable = of_bot().await;
    let undelivered = json!({
        "name": name, "outcome": finished()["outcome"], "tries": 1, "notBefore": null, "by": null,
    });
    conversation(&durable, &["mine"], undelivered).await;
    let previewed = preview(&durable).await;
    let erasure = erase(&durable).await;
    assert!(erasure.erased.is_empty(), "{erasure:?}");
    assert!(
        erasure.left[0].reason.contains("result is not delivered"),
        "{erasure:?}"
    );
    assert!(!previewed.is_whole());
    assert_eq!(previewed.left[0].reason, erasure.left[0].reason);
    conversation(&durable, &["mine"], finished()).await;
    assert_eq!(erase(&durable).await.erased, ["mine"]);
    for (key, content) in durable.documents().await {
        assert!(!content.contains(CONVERSATION), "{key}: {content}");
    }
}
