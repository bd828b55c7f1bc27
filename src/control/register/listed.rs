//! Lists an account again whose marker in the list of all recordings was lost: reports, the calendar and `list` read that
//! list. Markers are written before the account, so an account without one lost it. Markers that were lost from other
//! lists are not looked for: `recording-vault ledger index` writes all again.

use jiff::Timestamp;

use super::days::LateChange;
use super::{RecordingRegister, name};
use crate::control::entry::RegisteredRecording;
use crate::store::documents::DocumentError;
use crate::store::index::{Listed, recording_name};

impl RecordingRegister {
    /// Writes the markers of an account again if it is not in the list of all. Returns whether it was not.
    ///
    /// # Errors
    /// When the storage fails or the account is unreadable.
    pub async fn list_again(
        &self,
        account: &RegisteredRecording,
        now: Timestamp,
    ) -> Result<bool, DocumentError> {
        let digest = recording_name(&account.recording_id);
        let marker = Listed::All.marker(account.filed_at(), &digest, None);
        if self.documents.store.find(&marker).await?.is_some() {
            return Ok(false);
        }
        // The report of its day may have been made without it. This comes first, so that no kill leaves it so.
        let late = LateChange::unlisted(account, now);
        self.mark_late(&late, now).await?;
        self.index_again(account, now).await?;
        // A writer that is about to remove some of them starts again, and sees them.
        let name = name(&account.recording_id);
        self.fence_off(&name, |_| false).await?;
        let current = self.by_name(&name).await?;
        let current = current.map_or_else(Default::default, |current| current.markers());
        for stale in account.markers().difference(&current) {
            self.remove_stale(&name, stale, |account| account.markers().contains(stale))
                .await?;
        }
        Ok(current.contains(&marker))
    }
}
