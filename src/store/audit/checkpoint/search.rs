//! Finds the end of a chain of numbered documents with few reads. Knows no checkpoints and no logs.

use bytes::Bytes;

use crate::store::document_store::{DocumentStore, StoreError};

/// The last document of a chain, from number `from` on: by doubling steps, then by halving them. `None` where `from` is above 0
/// and does not exist, or the chain is empty.
pub(super) async fn last_from(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    if from == 0 {
        return last_after(store, 0, key).await;
    }
    let Some(there) = store.find(&key(from)).await? else {
        return Ok(None);
    };
    let further = last_after(store, from, key).await?;
    Ok(Some(further.unwrap_or((from, there.content))))
}

/// The last document of a chain after number `from`, if there is one.
pub(super) async fn last_after(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    let mut last = None;
    let (mut reached, mut step) = (from, 1);
    while let Some(stored) = store.find(&key(reached + step)).await? {
        reached += step;
        last = Some((reached, stored.content));
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(stored) = store.find(&key(reached + step)).await? {
            reached += step;
            last = Some((reached, stored.content));
        }
    }
    Ok(last)
}
