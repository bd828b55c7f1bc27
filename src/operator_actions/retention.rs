//! Deletes copies that are past the retention policy, and personal data of their recordings if the policy keeps only
//! digests. One record has the requester, the door, and the number of copies; the outcome of each is in its
//! chunk's own records.

use super::{Operator, OperatorActions};
use crate::catalogue::CatalogueError;
use crate::catalogue::dropping::PeopleDropped;
use crate::error_chain::ErrorChain;
use crate::export::retention::{AppliedRetention, Retention};
use crate::recording::DocumentId;

/// Outcome of applying a policy.
#[derive(Debug)]
pub struct RetentionOutcome {
    pub applied: AppliedRetention,
    /// Removed chunks whose recordings no longer have personal data.
    pub people_dropped: Vec<DocumentId>,
    /// Removed chunks whose recordings still have personal data, with the reason. A repeat tries again.
    pub people_left: Vec<(DocumentId, String)>,
}

impl OperatorActions {
    /// Removes every copy that is past its policy and not held; then deletes personal data, if the policy requires it.
    ///
    /// # Errors
    /// When the ledger cannot be listed. Repeating it continues the work.
    pub async fn apply_retention(
        &self,
        retention: &Retention,
        operator: &Operator,
    ) -> Result<RetentionOutcome, CatalogueError> {
        let applied = retention.apply(operator).await?;
        let (mut people_dropped, mut people_left) = (Vec::new(), Vec::new());
        for id in &applied.with_people {
            // An unreadable one does not stop the others.
            match Box::pin(self.catalogue.drop_people(id)).await {
                Ok(PeopleDropped::Dropped) => people_dropped.push(id.clone()),
                Ok(PeopleDropped::StillKept) => {}
                Ok(PeopleDropped::Left(reason)) => people_left.push((id.clone(), reason)),
                Err(error) => people_left.push((id.clone(), ErrorChain(&error).to_string())),
            }
        }
        Ok(RetentionOutcome {
            applied,
            people_dropped,
            people_left,
        })
    }
}
