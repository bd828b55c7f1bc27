//! The complete check of markers: each must lead to an account. Without an account, a recording is in no list of accounts.

use futures::{StreamExt as _, TryStreamExt as _};

use super::{NOTEWORTHY_KEPT, Seen};
use crate::catalogue::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::register::NamedMarker;

impl Catalogue {
    /// Checks a page of markers. Returns after which key the next page begins.
    pub(super) async fn check_markers(
        &self,
        after: Option<&str>,
        seen: &mut Seen,
    ) -> Result<Option<String>, CatalogueError> {
        let (markers, next) = self.register.markers(after).await?;
        let checking = futures::stream::iter(markers).map(|marker| async move {
            let is_unaccounted = self.is_unaccounted(&marker).await?;
            Ok::<_, CatalogueError>((marker, is_unaccounted))
        });
        let mut checking = checking.buffered(AT_ONCE);
        while let Some((marker, is_unaccounted)) = checking.try_next().await? {
            let mut known = seen.unaccounted.iter();
            if !is_unaccounted || known.any(|known| known.name == marker.name) {
                continue;
            }
            let problem = "the ledger has this marker, and not the account that it names";
            seen.find(&marker.key, problem);
            if seen.unaccounted.len() < NOTEWORTHY_KEPT {
                seen.unaccounted.push(marker);
            }
        }
        Ok(next)
    }

    async fn is_unaccounted(&self, marker: &NamedMarker) -> Result<bool, CatalogueError> {
        Ok(!self.register.has_account(&marker.name).await?
            && self.is_abandoned(&marker.key).await?)
    }
}
