//! Finds the end of a chain of numbered documents with few reads. Knows no checkpoints and no logs.

use bytes::Bytes;

use crate::store::document_store::{Damage, DocumentStore, StoreError};

/// What a search does with a document that the storage cannot return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfDamaged {
    /// Its number is taken, and nothing else is known of it: the chain continues after it. But an archived one fails: it can
    /// be read again later, and must then be what the next one names.
    Empty,
    Fails,
}

/// The last document of a chain, from number `from` on: by doubling steps, then by halving them. `None` where `from` is above 0
/// and does not exist, or the chain is empty.
pub(super) async fn last_from(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
    of_damaged: OfDamaged,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    if from == 0 {
        return last_after(store, 0, key, of_damaged).await;
    }
    let Some(there) = content_of(store, &key(from), of_damaged).await? else {
        return Ok(None);
    };
    let further = last_after(store, from, key, of_damaged).await?;
    Ok(Some(further.unwrap_or((from, there))))
}

/// The last document of a chain after number `from`, if there is one.
pub(super) async fn last_after(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
    of_damaged: OfDamaged,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    let mut last = None;
    let (mut reached, mut step) = (from, 1);
    while let Some(content) = content_of(store, &key(reached + step), of_damaged).await? {
        reached += step;
        last = Some((reached, content));
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(content) = content_of(store, &key(reached + step), of_damaged).await? {
            reached += step;
            last = Some((reached, content));
        }
    }
    Ok(last)
}

async fn content_of(
    store: &dyn DocumentStore,
    key: &str,
    of_damaged: OfDamaged,
) -> Result<Option<Bytes>, StoreError> {
    let is_lasting = |error: &StoreError| {
        let damaged = error.damaged();
        damaged.is_some_and(|damaged| damaged.damage != Damage::Archived)
    };
    match store.find(key).await {
        Err(error) if of_damaged == OfDamaged::Empty && is_lasting(&error) => {
            Ok(Some(Bytes::new()))
        }
        found => Ok(found?.map(|stored| stored.content)),
    }
}
