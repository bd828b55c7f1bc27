//! Settings of the export: blocks, attempts, deletion at ACS, the timer's schedule.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;

use super::reader::Reader;
use crate::export::block::BlockPolicy;
use crate::export::driver::ExportPolicy;
use crate::export::{DeletionPolicy, OnAnomaly};
use crate::recording::OnOtherObject;
use crate::retry::RetryPolicy;

/// Blob Storage takes blocks up to 4,000 MiB, but a block lies in memory and its upload has a minute; and 50,000 blocks, so
/// that 64 KiB is enough for twice ACS's largest file.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;

impl Reader {
    pub(super) fn export(&mut self) -> Option<ExportPolicy> {
        let block_size_bytes = self.parsed("BLOCK_SIZE", |text| {
            let size = text
                .parse::<ByteSize>()
                .map(|size| size.as_u64())
                .unwrap_or_default();
            let usable = BLOCK_SIZES.contains(&size) && size.is_multiple_of(1024);
            let size = usize::try_from(size)
                .ok()
                .and_then(NonZeroUsize::new)
                .filter(|_| usable);
            size.ok_or_else(|| {
                format!(
                    "is `{text}`; expected a multiple of 1KiB from 64KiB to 64MiB, such as 8MiB"
                )
            })
        });
        let blocks_in_flight = self.count("BLOCKS_IN_FLIGHT", 64);
        let chunks_in_flight = self.count("CHUNKS_IN_FLIGHT", 256);
        let attempts = self.count("EXPORT_ATTEMPTS", 10_000);
        let delete_delay = self.duration("DELETE_DELAY", Duration::ZERO);
        let other_objects = self.boolean("DELETE_OTHER_OBJECT").map(|deletes| {
            if deletes {
                OnOtherObject::Delete
            } else {
                OnOtherObject::Keep
            }
        });
        let anomalies = self.parsed("ON_ANOMALY", |text| match text {
            "keep" => Ok(OnAnomaly::Keep),
            "delete" => Ok(OnAnomaly::Delete),
            other => Err(format!("is `{other}`; expected keep or delete")),
        });
        Some(ExportPolicy {
            blocks: BlockPolicy {
                block_size_bytes: block_size_bytes?,
                blocks_in_flight: blocks_in_flight?,
            },
            chunks_in_flight: chunks_in_flight?.get(),
            deletion: DeletionPolicy {
                delay: delete_delay?,
                anomalies: anomalies?,
                other_objects: other_objects?,
            },
            attempts: RetryPolicy {
                first_delay: Duration::from_secs(10),
                longest_delay: Duration::from_mins(15),
                failures: u32::try_from(attempts?.get()).unwrap_or(u32::MAX),
            },
        })
    }

    /// The host reads the schedule, and disables the timer where it cannot: then nothing continues what was interrupted.
    pub(super) fn schedule(&mut self) {
        self.parsed("EXPORT_SWEEP_SCHEDULE", |text| {
            let fields = text.split_whitespace().count();
            let is_time_span = fields == 1 && text.split(':').count() >= 3;
            let is_ncrontab = fields == 5 || fields == 6;
            let expected =
                "expected six fields such as 0 * * * * *, or a time span such as 00:01:00";
            if is_ncrontab || is_time_span {
                Ok(())
            } else {
                Err(format!("is `{text}`; {expected}"))
            }
        });
    }
}
