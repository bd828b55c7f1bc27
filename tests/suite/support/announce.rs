//! The register's part of an event.

use recording_vault::control::{Announcement, RecordingControl};
use recording_vault::recording::RecordingFileStatusUpdated;
use recording_vault::store::DocumentError;

/// Registers what an event announces.
pub async fn announce(
    control: &RecordingControl,
    update: &RecordingFileStatusUpdated,
) -> Result<Announcement, DocumentError> {
    let found = control.find_announced(update).await?;
    control.register_announced(update, found).await
}
