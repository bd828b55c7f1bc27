//! What is not known excludes nothing from a standing hold: further names of a person, participants that are not readable,
//! and starts that events only claim.

use super::*;
use recording_vault::store::holds::Scope;

use crate::holds::case;
use crate::support::simulation::media_of;

#[tokio::test]
async fn a_second_case_on_a_person_keeps_what_the_first_holds_under_another_name() {
    let annas = chunk_of("r-1", "a");
    let pipeline = recorded(&[(&annas, &[ANNA])]).await;
    let holds = pipeline.driver.ledger().holds();
    let bert = person(&pipeline, BERT).await;
    let also_anna = also_named(&bert, &person(&pipeline, ANNA).await);
    hold(&holds, &also_anna).await;
    let added = holds.add(&bert, &case("B-2")).await;
    added.expect("the ledger works");
    assert!(is_kept_at_acs(&pipeline, &annas).await);
}

/// The same person, who is also named as another is.
fn also_named(held: &Held, other: &Held) -> Held {
    let person = |held: &Held| {
        let person = held.rule().and_then(HoldRule::person).cloned();
        person.expect("it is a person")
    };
    let also = person(other).names().collect();
    rule(Some(person(held).or(also)), Period::default())
}

#[tokio::test]
async fn a_case_that_is_added_again_with_further_names_of_the_person_holds_them() {
    let durable = Durable::new(&[]);
    let held = Kind::Person.held(&durable).await;
    held_now(&durable, held.clone()).await;
    let people = durable.ledger();
    let other = rule(
        Some(HeldPerson::new(
            serde_json::from_str(&format!("\"{}\"", "ab".repeat(32))).expect("it is a hash"),
            "another format".to_owned(),
        )),
        Period::default(),
    );
    let also = also_named(&held, &other);
    held_now(&durable, also.clone()).await;
    let standing = people.holds().standing().await.expect("the ledger works");
    assert_eq!((standing.len(), standing[0].cases.len()), (1, 1));
    let Scope::Matching(in_force) = &standing[0].scope else {
        panic!("it is readable")
    };
    let names: Vec<_> = in_force
        .person()
        .into_iter()
        .flat_map(HeldPerson::names)
        .collect();
    let asked = also
        .rule()
        .and_then(HoldRule::person)
        .expect("it is a person");
    assert!(asked.names().all(|name| names.contains(&name)), "{names:?}");
}

#[tokio::test]
async fn a_participant_who_is_not_readable_may_be_the_person_who_is_held() {
    for unreadable in [
        serde_json::json!({"participantId": {"rawId": ANNA}}),
        serde_json::json!({"displayName": "Anna"}),
        serde_json::json!(ANNA),
    ] {
        let chunk = chunk("a", 0);
        let pipeline = Pipeline::new();
        let participants = serde_json::json!([{"participantId": BERT}, unreadable]);
        let metadata = serde_json::json!({"participants": participants}).to_string();
        let source = &pipeline.source;
        source.put_with_metadata(&chunk.document_id, content(100, 1), metadata);
        pipeline.record(&chunk).await;
        let anna = person(&pipeline, ANNA).await;
        hold(&pipeline.driver.ledger().holds(), &anna).await;
        assert!(is_kept_at_acs(&pipeline, &chunk).await, "{unreadable}");
    }
}

fn claiming(start: &str, chunk: RecordingChunk) -> RecordingChunk {
    RecordingChunk {
        started_at: start.parse().ok(),
        ..chunk
    }
}

#[tokio::test]
async fn a_start_long_before_its_event_excludes_no_recording_from_a_hold_on_a_period() {
    let claimed = claiming("2021-03-01T10:00:00Z", chunk_of("r-1", "a"));
    let pipeline = recorded(&[(&claimed, &[BERT])]).await;
    let day = period(Some("2026-03-02"), Some("2026-03-02"));
    hold(&pipeline.driver.ledger().holds(), &day).await;
    assert!(is_kept_at_acs(&pipeline, &claimed).await);
    let after = period(Some("2026-04-01"), None);
    let pipeline = recorded(&[(&claimed, &[BERT])]).await;
    hold(&pipeline.driver.ledger().holds(), &after).await;
    assert!(!is_kept_at_acs(&pipeline, &claimed).await);
}

#[tokio::test]
async fn a_person_is_found_in_other_chunks_of_a_recording_whatever_start_an_event_claims() {
    let second = |chunk| RecordingChunk { index: 1, ..chunk };
    let claimed = "2021-03-01T10:00:00Z";
    for (berts, annas) in [
        (
            claiming(claimed, chunk_of("r", "a")),
            second(chunk_of("r", "b")),
        ),
        (
            chunk_of("r", "a"),
            claiming(claimed, second(chunk_of("r", "b"))),
        ),
    ] {
        let all: [(&RecordingChunk, &[&str]); 2] = [(&berts, &[BERT]), (&annas, &[ANNA])];
        let pipeline = recorded(&all).await;
        for (chunk, _) in all {
            pipeline.drive(&chunk.document_id).await;
        }
        pipeline.clock.advance(YEAR + RETENTION);
        let anna = person(&pipeline, ANNA).await;
        hold(&pipeline.driver.ledger().holds(), &anna).await;
        let removal = pipeline.retention(YEAR).remove(&berts.document_id).await;
        assert!(matches!(removal, Removal::Held { .. }), "{removal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn copies_of_unknown_people_are_listed_as_uncertain_also_while_they_are_removed() {
    let calm = Plan::calm();
    for unknown in [metadata(&[]), "{}".to_owned(), "no JSON".to_owned()] {
        let (named, nameless) = (chunk_of("r-1", "a"), chunk_of("r-2", "b"));
        let chunks = [named.clone(), nameless.clone()];
        let durable = Durable::new(&chunks);
        let source = &durable.source;
        source.put_with_metadata(
            &nameless.document_id,
            media_of(&nameless.document_id),
            unknown.clone(),
        );
        announced(&durable, &chunks).await;
        let driver = durable.instance(&calm);
        deliver(&driver, &chunks).await;
        let sweep = ExportSweep::new(driver).run(budget()).await;
        sweep.expect("the ledger works");

        let held = Kind::Person.held(&durable).await;
        let holding = held_now(&durable, held.clone()).await;
        assert_eq!(
            holding.chunks,
            std::slice::from_ref(&named.document_id),
            "{unknown}"
        );
        assert_eq!(
            holding.uncertain,
            std::slice::from_ref(&nameless.document_id),
            "{unknown}"
        );
        let ids = durable.catalogue(&calm).ids_held(&held).await;
        let ids = ids.expect("the ledger works");
        assert_eq!(ids.recordings, [named.filed_under()], "{unknown}");
        assert_eq!(ids.uncertain, [nameless.filed_under()], "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_on_a_person_during_the_removal_of_a_copy_of_unknown_people_is_not_complete() {
    let chunk = chunk("a", 0);
    for number in 0..60 {
        let durable = Durable::new(&[]);
        let source = &durable.source;
        source.put_with_metadata(
            &chunk.document_id,
            media_of(&chunk.document_id),
            metadata(&[]),
        );
        announced(&durable, std::slice::from_ref(&chunk)).await;
        let driver = durable.instance(&Plan::calm());
        deliver(&driver, std::slice::from_ref(&chunk)).await;
        durable.clock.advance(YEAR + RETENTION);
        let plan = Plan::at(number, Fault::FreezeBefore);
        let removals = durable.removals(&plan);
        let mut removing = pin!(removals.remove(crate::removals::REQUEST, &chunk.document_id));
        let is_frozen = tokio::select! {
            _ = &mut removing => false,
            () = plan.frozen() => true,
        };
        if !is_frozen {
            assert!(number > 5, "{number} calls: is it the whole removal?");
            return;
        }
        let found = durable.ledger().find(&chunk.document_id).await;
        let state = found
            .expect("the ledger works")
            .map(|found| found.entry.state);
        let was_removed = matches!(state, Some(ChunkState::Removed { .. }));
        let held = Kind::Person.held(&durable).await;
        let holding = held_now(&durable, held).await;
        plan.thaw();
        let removal = removing.await;
        let is_there = durable.is_whole(&chunk.document_id);
        assert!(
            was_removed || is_there || !holding.is_complete(),
            "removed after a hold that had no doubt: {removal:?}, {holding:?}, at call {number}"
        );
    }
    panic!("the removal has no end");
}
