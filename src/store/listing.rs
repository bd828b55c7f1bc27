//! Lists of documents that are read to their end. Only this file infers from a page that it is the last one.

use std::future::ready;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::document_store::{DocumentStore, StoreError};

/// Keys that one request lists: as many as Blob Storage returns at once.
pub const PAGE: usize = 5000;

/// Where a list continues.
enum Next {
    After(Option<String>),
    End,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub count: usize,
    /// There are more; they were not counted.
    pub is_capped: bool,
}

impl Count {
    /// Counts what a stream yields, up to `cap`. It reads one more at most.
    ///
    /// # Errors
    /// When the stream fails.
    pub async fn up_to<T: Send, E>(
        cap: usize,
        stream: BoxStream<'_, Result<T, E>>,
    ) -> Result<Self, E> {
        let counting = stream.take(cap.saturating_add(1));
        let count = counting
            .try_fold(0, |count, _| ready(Ok(count + 1)))
            .await?;
        Ok(Self {
            count: count.min(cap),
            is_capped: count > cap,
        })
    }
}

/// All keys that begin with `prefix` and come after `after`, in ascending order. They are listed as they are needed.
pub fn keys<'a>(
    store: &'a dyn DocumentStore,
    prefix: &str,
    after: Option<String>,
) -> BoxStream<'a, Result<String, StoreError>> {
    keys_by(store, prefix, after, PAGE)
}

/// Like [`keys`], with this many keys for each request.
pub(super) fn keys_by<'a>(
    store: &'a dyn DocumentStore,
    prefix: &str,
    after: Option<String>,
    page: usize,
) -> BoxStream<'a, Result<String, StoreError>> {
    let prefix = prefix.to_owned();
    let pages = futures::stream::try_unfold(Next::After(after), move |next| {
        let prefix = prefix.clone();
        async move {
            let Next::After(after) = next else {
                return Ok(None);
            };
            let keys = store.list(&prefix, after.as_deref(), page).await?;
            let next = if keys.len() < page {
                Next::End
            } else {
                Next::After(keys.last().cloned())
            };
            let keys = futures::stream::iter(keys.into_iter().map(Ok));
            Ok::<_, StoreError>(Some((keys, next)))
        }
    });
    pages.try_flatten().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::document_store::Precondition;
    use crate::vault::memory::MemoryDocumentStore;

    #[tokio::test]
    async fn a_list_is_read_to_its_end_whatever_the_size_of_its_pages() {
        let store = MemoryDocumentStore::default();
        let own: Vec<String> = (0..6).map(|number| format!("a/{number}")).collect();
        for key in own.iter().chain([&"b/0".to_owned()]) {
            let put = store.put(key, bytes::Bytes::new(), Precondition::Absent);
            assert!(put.await.unwrap().is_written());
        }
        for page in 1..8 {
            let listed: Vec<String> = keys_by(&store, "a/", None, page)
                .try_collect()
                .await
                .unwrap();
            assert_eq!(listed, own, "pages of {page}");
            let after = Some("a/3".to_owned());
            let rest = keys_by(&store, "a/", after, page);
            assert_eq!(rest.try_collect::<Vec<_>>().await.unwrap(), own[4..]);
        }
        let counted = async |cap| Count::up_to(cap, keys(&store, "a/", None)).await.unwrap();
        for (cap, count, is_capped) in [(0, 0, true), (5, 5, true), (6, 6, false)] {
            assert_eq!(counted(cap).await, Count { count, is_capped });
        }
    }
}
