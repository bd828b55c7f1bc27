//! Deletes copies that are past the retention policy. One record has the requester, the door, and the number of copies;
//! the outcome of each is in its chunk's own records.

use super::{Operator, OperatorActions};
use crate::export::ledger::LedgerError;
use crate::export::retention::{AppliedRetention, Retention};

impl OperatorActions {
    /// Removes every copy that is past its policy and not held.
    ///
    /// # Errors
    /// When the ledger cannot be listed. Repeating it continues the work.
    pub async fn apply_retention(
        &self,
        retention: &Retention,
        operator: &Operator,
    ) -> Result<AppliedRetention, LedgerError> {
        retention.apply(operator).await
    }
}
