//! Lists are newest first, and end only where there are no more markers.

use super::*;
use crate::vault::memory::MemoryDocumentStore;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> Sha256Digest {
    recording_name(&text.parse().unwrap())
}

#[tokio::test]
async fn a_period_may_end_where_no_place_can_be() {
    let index = Index::new(Arc::new(MemoryDocumentStore::default()));
    let times = [
        "0001-01-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2999-01-01T00:00:00Z",
    ];
    let markers = times.map(|time| Listed::All.marker(at(time), &name(time), None));
    index.put(markers, Timestamp::UNIX_EPOCH).await.unwrap();
    for (from, to, found) in [
        (None, "1960-01-01T00:00:00Z", 0),
        (Some("1950-01-01T00:00:00Z"), "1960-01-01T00:00:00Z", 0),
        (None, "2300-01-01T00:00:00Z", 3),
        (Some("2026-01-01T00:00:00Z"), "9999-01-01T00:00:00Z", 2),
    ] {
        let period = Period {
            from: from.map(at),
            to: Some(at(to)),
        };
        let places = index.places(&Listed::All, period, None, 10).await.unwrap();
        assert_eq!(places.len(), found, "{from:?} to {to}");
    }
}

#[tokio::test]
async fn a_list_is_newest_first_and_a_period_ends_before_its_end() {
    let index = Index::new(Arc::new(MemoryDocumentStore::default()));
    let times = [
        "0001-01-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-03-02T00:00:00Z",
        "2999-01-01T00:00:00Z",
    ]
    .map(at);
    let marker = |time: &Timestamp| Listed::All.marker(*time, &name(&time.to_string()), None);
    let put = index.put(times.iter().map(marker), Timestamp::UNIX_EPOCH);
    put.await.unwrap();
    let listed = async |from: Option<&str>, to: Option<&str>| {
        let period = Period {
            from: from.map(at),
            to: to.map(at),
        };
        let places = index.places(&Listed::All, period, None, 10).await.unwrap();
        let seen = places.iter().map(|place| {
            times
                .iter()
                .position(|time| name(&time.to_string()) == place.recording)
                .unwrap()
        });
        seen.collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None).await, [3, 2, 1, 0]);
    assert_eq!(
        listed(Some("2026-03-01T00:00:00Z"), Some("2026-03-02T00:00:00Z")).await,
        [1]
    );
    assert_eq!(listed(Some("2026-03-01T00:00:00.001Z"), None).await, [3, 2]);
    assert_eq!(
        listed(None, Some("2026-03-02T00:00:00.001Z")).await,
        [2, 1, 0]
    );
    let count = async |cap| {
        index
            .count(&Listed::All, Period::default(), cap)
            .await
            .unwrap()
    };
    assert_eq!(
        count(4).await,
        Count {
            count: 4,
            is_capped: false
        }
    );
    assert_eq!(
        count(3).await,
        Count {
            count: 3,
            is_capped: true
        }
    );
}

#[tokio::test]
async fn keys_that_are_no_markers_end_no_list_and_shorten_no_page() {
    let store = Arc::new(MemoryDocumentStore::default());
    let index = Index::new(store.clone());
    let foreign = ["00000/x", "0000", "notes (1).txt", "99999/99999999-x"];
    for key in foreign {
        let key = format!("{}{key}", Listed::All.prefix());
        let put = store.put(&key, Bytes::new(), Precondition::Absent);
        assert!(put.await.unwrap().is_written());
    }
    let days = ["2026-03-01", "2026-03-02", "2026-03-03"];
    let markers =
        days.map(|day| Listed::All.marker(at(&format!("{day}T00:00:00Z")), &name(day), None));
    index.put(markers, Timestamp::UNIX_EPOCH).await.unwrap();
    for limit in 1..=4 {
        let places = index.places(&Listed::All, Period::default(), None, limit);
        assert_eq!(
            places.await.unwrap().len(),
            limit.min(days.len()),
            "{limit}"
        );
    }
    let all = index.all_places(&Listed::All, Period::default());
    assert_eq!(all.try_collect::<Vec<_>>().await.unwrap().len(), 3);
    let count = index.count(&Listed::All, Period::default(), 10).await;
    assert_eq!(count.unwrap().count, 3);
}

#[test]
fn casing_and_padding_do_not_make_another_call() {
    assert_eq!(
        Listed::Call("aHR0cHM6=".into()).prefix(),
        Listed::Call("AHR0CHM6".into()).prefix()
    );
}

#[tokio::test]
async fn a_marker_that_was_written_since_it_was_seen_is_not_removed() {
    let index = Index::new(Arc::new(MemoryDocumentStore::default()));
    let key = Listed::All.marker(at("2026-03-01T00:00:00Z"), &name("r"), None);
    let now = Timestamp::UNIX_EPOCH;
    index.put([key.clone()], now).await.unwrap();
    let seen = index.seen([key.clone()]).await.unwrap();
    index.put([key.clone()], now).await.unwrap();
    index.remove_seen(seen).await.unwrap();
    let seen = index.seen([key.clone()]).await.unwrap();
    assert_eq!(seen.len(), 1, "somebody relies on it");
    let is_abandoned = async |later: SignedDuration| {
        let abandoned = index.is_abandoned(&key, now + later).await;
        abandoned.unwrap()
    };
    assert!(!is_abandoned(FOLLOWS_WITHIN).await);
    assert!(is_abandoned(FOLLOWS_WITHIN * 2).await);

    index.remove_seen(seen).await.unwrap();
    assert!(index.seen([key]).await.unwrap().is_empty());
}
