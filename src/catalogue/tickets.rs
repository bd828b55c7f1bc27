//! Tickets: the right to one chunk's media for an hour, in a URL, because a player can send no header.
//!
//! `<documentId>.<expiry in seconds>[.<reference to its holder>].<HMAC-SHA256 of all before it, in hex>`. The key is created
//! once, in the ledger's storage. The holder is the caller for whom the ticket was issued: playing is recorded under that
//! name. A ticket contains a reference to the name, because URLs end in logs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::recording::DocumentId;
use crate::store::audit::PrincipalRef;
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::keys::{Key, KeyDocument};

const KEY: KeyDocument = KeyDocument {
    name: "keys/play.json",
    if_damaged: "it is no key of 32 bytes; remove it, and a new one is made",
};
/// How long a ticket is valid.
pub const VALID_FOR: Duration = Duration::from_hours(1);

/// Issues and checks tickets.
pub struct Tickets {
    store: Arc<dyn DocumentStore>,
    key: OnceCell<Key>,
}

/// Outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketStatus {
    Valid {
        document_id: DocumentId,
        /// `None`: it was issued to a caller without a name.
        holder: Option<PrincipalRef>,
    },
    /// It has expired.
    Expired,
    /// It was not issued here.
    Forged,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl Tickets {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            store,
            key: OnceCell::new(),
        }
    }

    /// Returns a ticket for one chunk, and when it expires. `holder`: for whom it is.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub async fn issue(
        &self,
        document_id: &DocumentId,
        holder: Option<PrincipalRef>,
        now: Timestamp,
    ) -> Result<(String, Timestamp), StoreError> {
        // Rounded to a minute, so that a request which the host repeats usually gets the same ticket.
        let minute = now.as_second() - now.as_second().rem_euclid(60);
        let until = minute.saturating_add_unsigned(VALID_FOR.as_secs());
        let mut ticket = format!("{document_id}.{until}");
        if let Some(holder) = holder {
            ticket.push('.');
            ticket.push_str(&holder.to_string());
        }
        let signature = mac(self.key().await?, &ticket).finalize().into_bytes();
        ticket.push('.');
        ticket.push_str(&hex::encode(signature));
        Ok((
            ticket,
            Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
        ))
    }

    /// Checks a ticket; takes the same time whatever its signature is.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub async fn check(&self, ticket: &str, now: Timestamp) -> Result<TicketStatus, StoreError> {
        let key = self.key().await?;
        let parts = ticket
            .rsplit_once('.')
            .and_then(|(signed, signature)| Some((signed, hex::decode(signature).ok()?)));
        let Some((signed, signature)) = parts else {
            return Ok(TicketStatus::Forged);
        };
        if mac(key, signed).verify_slice(&signature).is_err() {
            return Ok(TicketStatus::Forged);
        }
        Ok(match Signed::read(signed) {
            Some(signed) if signed.until <= now.as_second() => TicketStatus::Expired,
            Some(signed) => TicketStatus::Valid {
                document_id: signed.document_id,
                holder: signed.holder,
            },
            None => TicketStatus::Forged,
        })
    }

    async fn key(&self) -> Result<&Key, StoreError> {
        self.key
            .get_or_try_init(|| KEY.find_or_make(&*self.store))
            .await
    }
}

/// The signed part of a ticket.
struct Signed {
    document_id: DocumentId,
    /// In seconds.
    until: i64,
    holder: Option<PrincipalRef>,
}

impl Signed {
    fn read(text: &str) -> Option<Self> {
        let (document_id, rest) = text.split_once('.')?;
        let (until, holder) = match rest.split_once('.') {
            Some((until, holder)) => (until, Some(holder.parse().ok()?)),
            None => (rest, None),
        };
        Some(Self {
            document_id: document_id.parse().ok()?,
            until: until.parse().ok()?,
            holder,
        })
    }
}

/// The purpose of the signature, so that no other signature with this key is ever a ticket.
fn mac(key: &Key, signed: &str) -> Hmac<Sha256> {
    key.mac("play", signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::people::OperatorHash;
    use crate::vault::memory::MemoryDocumentStore;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[tokio::test]
    async fn a_ticket_is_good_for_its_chunk_for_an_hour_at_every_instance() {
        let store = Arc::new(MemoryDocumentStore::default());
        let (one, other) = (Tickets::new(store.clone()), Tickets::new(store));
        let id: DocumentId = "0-eus-d1-a".parse().unwrap();
        let (ticket, until) = one.issue(&id, None, NOW).await.unwrap();
        assert_eq!(until, later(3600));
        assert_eq!(
            other.check(&ticket, later(3599)).await.unwrap(),
            TicketStatus::Valid {
                document_id: id,
                holder: None
            }
        );
        assert_eq!(
            other.check(&ticket, later(3600)).await.unwrap(),
            TicketStatus::Expired
        );
        assert_eq!(format!("{:?}", one.key().await.unwrap()), "Key(…)");
    }

    #[tokio::test]
    async fn a_ticket_names_its_holder_and_the_name_cannot_be_exchanged_or_removed() {
        let tickets = Tickets::new(Arc::new(MemoryDocumentStore::default()));
        let holder = |byte| PrincipalRef::Claimed(OperatorHash::from_bytes([byte; 32]));
        let id: DocumentId = "a".parse().unwrap();
        let (ticket, _) = tickets.issue(&id, Some(holder(1)), NOW).await.unwrap();
        let status = async |ticket: &str| tickets.check(ticket, NOW).await.unwrap();
        assert_eq!(
            status(&ticket).await,
            TicketStatus::Valid {
                document_id: id,
                holder: Some(holder(1))
            }
        );
        let own = holder(1).to_string();
        let as_verified = format!("v{}", &own[1..]);
        for forged in [
            ticket.replace(&own, &holder(2).to_string()),
            ticket.replace(&own, &as_verified),
            ticket.replace(&format!(".{own}"), ""),
            ticket.replace(&format!(".{own}"), "."),
            ticket.replace(&own, &format!("{own}.{own}")),
        ] {
            assert_ne!(forged, ticket);
            assert_eq!(status(&forged).await, TicketStatus::Forged, "{forged}");
        }
    }

    #[tokio::test]
    async fn a_ticket_that_was_changed_is_forged() {
        let tickets = Tickets::new(Arc::new(MemoryDocumentStore::default()));
        let (ticket, _) = tickets
            .issue(&"a".parse().unwrap(), None, NOW)
            .await
            .unwrap();
        let (signed, signature) = ticket.rsplit_once('.').unwrap();
        let other_key = Tickets::new(Arc::new(MemoryDocumentStore::default()))
            .issue(&"a".parse().unwrap(), None, NOW)
            .await
            .unwrap()
            .0;
        for forged in [
            ticket.replace("a.3600", "b.3600"),
            ticket.replace("a.3600", "a.9999"),
            format!(
                "{signed}.{}",
                signature.replace(|c: char| c.is_ascii_hexdigit(), "0")
            ),
            format!("{signed}.{}", &signature[..62]),
            format!("{signed}.é{}", &signature[..62]),
            signed.to_owned(),
            other_key,
            String::new(),
            "..".to_owned(),
            "a".repeat(10_000),
        ] {
            assert_eq!(
                tickets.check(&forged, NOW).await.unwrap(),
                TicketStatus::Forged,
                "{forged}"
            );
        }
    }
}
