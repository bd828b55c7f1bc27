//! What a package costs before its first byte: requests to the ledger's storage, in memory.

use std::sync::Arc;
use std::time::Duration;

use recording_vault::catalogue::Catalogue;
use recording_vault::catalogue::evidence::{AbsentRecording, RequestedRecordings};
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkLedger, Vaults};
use recording_vault::recording::RecordingId;
use recording_vault::vault::memory::MemoryVault;

use crate::catalogue::of_recording;
use crate::support::pipeline::{CLAIM_TTL, RETENTION};
use crate::support::request_log::{LoggedStore, RequestLog};

/// Recordings without an account, of which a chunk is open.
const UNREGISTERED: [&str; 2] = ["unregistered-1", "unregistered-2"];

struct Vault {
    catalogue: Catalogue,
    log: RequestLog,
}

impl Vault {
    async fn new() -> Self {
        let log = RequestLog::new();
        let clock = ManualClock::starting_at("2026-03-02T10:03:00Z".parse().expect("it is a time"));
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let store = LoggedStore::new(&Arc::default(), log.clone());
        let ledger = ChunkLedger::new(store.clone(), Arc::clone(&clock), RETENTION, CLAIM_TTL);
        for recording in UNREGISTERED {
            let recorded = ledger.record(of_recording(recording, recording, 0)).await;
            recorded.expect("the ledger works");
        }
        let register = RecordingRegister::new(store, Duration::from_mins(30));
        let vaults = Vaults::new(Arc::new(MemoryVault::default()), None);
        Self {
            catalogue: Catalogue::new(ledger, register, vaults, clock),
            log,
        }
    }

    /// Reads recordings. Also returns the requests that list what may lead to those without an account.
    async fn requested(
        &self,
        read: RequestedRecordings,
        ids: &[RecordingId],
    ) -> (RequestedRecordings, usize) {
        self.log.take();
        let catalogue = &self.catalogue;
        let requested = catalogue.requested_beside(read, ids, AbsentRecording::Listed);
        let requested = Box::pin(requested).await.expect("the store works");
        let is_of_leads = |request: &String| {
            let lists = ["list catalogue/attention/", "list open/"];
            lists.iter().any(|list| request.contains(list))
        };
        let requests = self.log.take();
        let lists = requests.iter().filter(|request| is_of_leads(request));
        (requested, lists.count())
    }
}

fn id(text: &str) -> RecordingId {
    text.parse().expect("it is an id")
}

#[tokio::test(start_paused = true)]
async fn recordings_without_an_account_share_one_look_at_what_is_open() {
    let vault = Vault::new().await;
    let nothing = RequestedRecordings::default;
    let (_, for_one) = vault.requested(nothing(), &[id("unknown")]).await;
    assert!(for_one > 0, "one looks at the lists");
    let unknown = (0..23).map(|number| id(&format!("unknown-{number}")));
    let ids: Vec<RecordingId> = UNREGISTERED.map(id).into_iter().chain(unknown).collect();
    let (requested, for_many) = vault.requested(nothing(), &ids).await;
    assert_eq!(for_many, for_one);
    // Each is found or missing as it is alone.
    let shown = format!("{requested:?}");
    assert_eq!(shown.matches("there is no recording").count(), 23);
    let (again, for_nothing) = vault.requested(requested, &UNREGISTERED.map(id)).await;
    assert_eq!(for_nothing, 0, "what was read is not read again");
    let again = format!("{again:?}");
    assert!(UNREGISTERED.iter().all(|id| again.contains(id)), "{again}");
}
