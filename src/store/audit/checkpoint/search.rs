//! Finds the end of a chain of numbered documents with few reads. Knows no checkpoints and no logs.

use bytes::Bytes;

use crate::store::audit::name::LAST_NUMBER;
use crate::store::document_store::{Damage, DocumentStore, StoreError};

/// What a search does with a document that the storage cannot return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfDamaged {
    /// Its number is taken, and nothing else is known of it: the chain continues after it. But where the last document is
    /// archived, the search fails: it can be read again later, and must then be what the next one names.
    Empty,
    Fails,
}

/// A document that was found.
enum Found {
    Content(Bytes),
    Archived(StoreError),
}

/// The last document of a chain, from number `from` on: by doubling steps, then by halving them. `None` where `from` is above 0
/// and does not exist, or the chain is empty.
pub(super) async fn last_from(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
    of_damaged: OfDamaged,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    let first = match from {
        0 => None,
        from => match found(store, &key(from), of_damaged).await? {
            Some(first) => Some((from, first)),
            None => return Ok(None),
        },
    };
    content_of(furthest_after(store, from, first, key, of_damaged).await?)
}

/// The last document of a chain after number `from`, if there is one.
pub(super) async fn last_after(
    store: &dyn DocumentStore,
    from: u64,
    key: impl Fn(u64) -> String + Send + Sync,
    of_damaged: OfDamaged,
) -> Result<Option<(u64, Bytes)>, StoreError> {
    content_of(furthest_after(store, from, None, key, of_damaged).await?)
}

/// The last document after number `from`; `last` if there is none.
async fn furthest_after(
    store: &dyn DocumentStore,
    from: u64,
    mut last: Option<(u64, Found)>,
    key: impl Fn(u64) -> String + Send + Sync,
    of_damaged: OfDamaged,
) -> Result<Option<(u64, Found)>, StoreError> {
    let (mut reached, mut step) = (from, 1);
    while let Some(number) = number_after(reached, step)
        && let Some(document) = found(store, &key(number), of_damaged).await?
    {
        reached = number;
        last = Some((reached, document));
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(number) = number_after(reached, step)
            && let Some(document) = found(store, &key(number), of_damaged).await?
        {
            reached = number;
            last = Some((reached, document));
        }
    }
    Ok(last)
}

/// `None`: no key can have the number.
fn number_after(reached: u64, step: u64) -> Option<u64> {
    let number = reached.checked_add(step);
    number.filter(|number| *number <= LAST_NUMBER)
}

fn content_of(last: Option<(u64, Found)>) -> Result<Option<(u64, Bytes)>, StoreError> {
    match last {
        None => Ok(None),
        Some((number, Found::Content(content))) => Ok(Some((number, content))),
        Some((_, Found::Archived(error))) => Err(error),
    }
}

async fn found(
    store: &dyn DocumentStore,
    key: &str,
    of_damaged: OfDamaged,
) -> Result<Option<Found>, StoreError> {
    match store.find(key).await {
        Ok(stored) => Ok(stored.map(|stored| Found::Content(stored.content))),
        Err(error) => match error.damaged().map(|damaged| damaged.damage) {
            Some(damage) if of_damaged == OfDamaged::Empty => Ok(Some(match damage {
                Damage::Archived => Found::Archived(error),
                Damage::TooLarge => Found::Content(Bytes::new()),
            })),
            Some(_) | None => Err(error),
        },
    }
}
