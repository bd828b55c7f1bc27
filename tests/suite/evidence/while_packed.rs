//! What others do to recordings while their evidence is packed.

use std::io::{self, Cursor, Read as _};

use recording_vault::catalogue::evidence::{AbsentRecording, EvidenceRequest};
use recording_vault::operator_actions::OperatorActions;
use recording_vault::operator_actions::hold::RequestedHold;
use recording_vault::store::audit::Operator;
use recording_vault::store::holds::Held;

use crate::catalogue::{announced, of_recording};
use crate::support::simulation::{Durable, Plan, deliver};

/// Takes a package, and holds a recording when its first byte comes.
struct HoldsMeanwhile {
    actions: Option<Box<OperatorActions>>,
    runtime: tokio::runtime::Handle,
    package: Vec<u8>,
}

impl io::Write for HoldsMeanwhile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(actions) = self.actions.take() {
            let request = RequestedHold {
                held: Held::RecordingId("other".parse().expect("it is an id")),
                tag: "A-1".parse().expect("it is a case"),
                requested_by: None,
                note: None,
            };
            let holding = Box::pin(actions.hold(request, &Operator::Shell));
            let holding = self.runtime.block_on(holding);
            holding.expect("the ledger works");
        }
        self.package.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_proves_a_record_of_a_log_that_began_while_it_was_packed() {
    let chunks = [of_recording("mine", "a", 0), of_recording("other", "bb", 0)];
    let durable = Durable::new(&chunks);
    announced(&durable, &chunks).await;
    deliver(&durable.instance(&Plan::calm()), &chunks).await;
    let request = EvidenceRequest {
        made_by: "ada".to_owned(),
        time_zone: jiff::tz::TimeZone::UTC,
        operator: Operator::Shell,
        left_out: Vec::new(),
    };
    let into = HoldsMeanwhile {
        actions: Some(Box::new(durable.actions(&Plan::calm()))),
        runtime: tokio::runtime::Handle::current(),
        package: Vec::new(),
    };
    let recordings = ["mine", "other"].map(|id| id.parse().expect("it is an id"));
    let catalogue = durable.catalogue(&Plan::calm());
    let requested = catalogue.requested(&recordings, AbsentRecording::Refused);
    let requested = Box::pin(requested).await.expect("both are known");
    let packing = Box::pin(catalogue.evidence(requested, &request, into));
    let (report, written) = packing.await.expect("all can be read");
    let problems = report.problems.join("\n");
    assert!(!problems.contains("not proved"), "{problems}");
    let mut zip = zip::ZipArchive::new(Cursor::new(written.package)).expect("it is a ZIP");
    let mut records = String::new();
    let mut list = zip.by_name("0002/records.txt").expect("it has the records");
    list.read_to_string(&mut records).expect("it is text");
    assert!(records.contains("\"held\""), "{records}");
}
