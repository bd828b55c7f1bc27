//! A caller by reference, for a place that must not contain the name, such as the URL of a ticket. The name is where records
//! refer to it. Knows no ticket.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::references::Reference;
use crate::store::audit::AuditLog;
use crate::store::audit::operator::Principal;
use crate::store::document_store::StoreError;
use crate::store::people::OperatorHash;

const VERIFIED: char = 'v';
const CLAIMED: char = 'c';

/// A caller's name by its keyed hash, and whether it was verified. As text: `v` or `c`, and the hash as base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalRef {
    Verified(OperatorHash),
    Claimed(OperatorHash),
}

/// Text that is no reference to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `{VERIFIED}` or `{CLAIMED}`, and 32 bytes as base64url")]
pub struct InvalidReference;

impl PrincipalRef {
    fn hash(self) -> OperatorHash {
        match self {
            Self::Verified(hash) | Self::Claimed(hash) => hash,
        }
    }
}

impl fmt::Display for PrincipalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Verified(_) => VERIFIED,
            Self::Claimed(_) => CLAIMED,
        };
        let hash = BASE64_URL_SAFE_NO_PAD.encode(self.hash().to_bytes());
        write!(f, "{kind}{hash}")
    }
}

impl FromStr for PrincipalRef {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let hash = |text: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            bytes.try_into().ok().map(OperatorHash::from_bytes)
        };
        let verified = text.strip_prefix(VERIFIED).and_then(hash);
        let claimed = text.strip_prefix(CLAIMED).and_then(hash);
        let reference = verified.map(Self::Verified);
        reference
            .or(claimed.map(Self::Claimed))
            .ok_or(InvalidReference)
    }
}

impl AuditLog {
    /// Stores a caller's name, and returns a reference to it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn refer_to(&self, principal: &Principal) -> Result<PrincipalRef, StoreError> {
        let hash = self.private.keep_name(principal.name()).await?;
        Ok(match principal {
            Principal::Verified(_) => PrincipalRef::Verified(hash),
            Principal::Claimed(_) => PrincipalRef::Claimed(hash),
        })
    }

    /// Returns the caller behind a reference; `None` if the name was erased, or does not match its hash.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn principal(&self, caller: PrincipalRef) -> Result<Option<Principal>, StoreError> {
        let hash = caller.hash().to_string();
        let reference = Reference::Name(&hash);
        let Some(stored) = self.private.store.find(&reference.key()).await? else {
            return Ok(None);
        };
        let name = self.private.kept(reference, &stored.content).await?;
        Ok(name.map(|name| match caller {
            PrincipalRef::Verified(_) => Principal::Verified(name),
            PrincipalRef::Claimed(_) => Principal::Claimed(name),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::document_store::DocumentStore as _;
    use crate::vault::memory::MemoryDocumentStore;

    #[tokio::test]
    async fn a_reference_leads_to_the_name_until_it_is_erased_and_does_not_contain_it() {
        let store = Arc::new(MemoryDocumentStore::default());
        let clock = ManualClock::starting_at("2026-03-02T10:00:00Z".parse().unwrap());
        let log = AuditLog::new(store.clone(), Arc::new(clock));
        for principal in [
            Principal::Verified("ada@contoso.com".to_owned()),
            Principal::Claimed("eve".to_owned()),
        ] {
            let reference = log.refer_to(&principal).await.unwrap();
            let text = reference.to_string();
            assert!(
                !text.contains(principal.name()) && text.len() == 44,
                "{text}"
            );
            assert_eq!(text.parse(), Ok(reference));
            let found = log.principal(reference).await.unwrap();
            assert_eq!(found, Some(principal));
            let hash = reference.hash().to_string();
            store.remove(&Reference::Name(&hash).key()).await.unwrap();
            assert_eq!(log.principal(reference).await.unwrap(), None);
        }
    }

    #[rstest::rstest]
    #[case("")]
    #[case("v")]
    #[case("x0000000000000000000000000000000000000000000")]
    #[case("vAAAA")]
    #[case("ada@contoso.com")]
    fn another_text_is_no_reference(#[case] text: &str) {
        assert_eq!(text.parse::<PrincipalRef>(), Err(InvalidReference));
    }
}
