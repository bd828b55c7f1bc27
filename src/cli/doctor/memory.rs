//! Whether the memory that exports may take fits the instance, as far as its memory is known.

use std::fs;

use recording_vault::config::SettingsFrom;
use recording_vault::export::driver::ExportPolicy;

use super::Check;

const NAME: &str = "memory";
/// Memory of an instance of Flex Consumption, in MB; also the parameter of `infra/`.
const SETTING: &str = "INSTANCE_MEMORY_MB";
/// What the process takes besides the blocks.
const BESIDES_MIB: u64 = 40;
/// What the Functions host takes: 210 MB.
const HOST_MIB: u64 = 201;
/// The smallest instance of any plan has this memory.
const SMALLEST_MIB: u64 = 512;
/// Limits of the container that the process runs in: of version 2 and 1.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// The most memory that exports take at once, with what the process needs besides.
pub(super) fn of_exports(policy: &ExportPolicy) -> u64 {
    let counts = [
        policy.blocks.block_size_bytes.get(),
        policy.blocks.blocks_in_flight.get(),
        policy.chunks_in_flight,
    ];
    let bytes = counts.into_iter().fold(1_u64, |product, count| {
        product.saturating_mul(u64::try_from(count).unwrap_or(u64::MAX))
    });
    bytes.div_ceil(1 << 20).saturating_add(BESIDES_MIB)
}

/// The memory of the instance. That of this machine counts only where the settings are those of its environment.
pub(super) fn limit_mib(from: SettingsFrom, variables: &[(String, String)]) -> Option<u64> {
    let given = variables.iter().find(|(name, _)| name == SETTING);
    let given = given.and_then(|(_, value)| value.trim().parse().ok());
    match from {
        SettingsFrom::Environment => given.or_else(of_this_container),
        SettingsFrom::File | SettingsFrom::AzureApp => given,
    }
}

fn of_this_container() -> Option<u64> {
    let limit = LIMITS.iter().find_map(|file| fs::read_to_string(file).ok());
    // Version 2 writes `max` where there is no limit, version 1 a number that no machine has.
    let bytes: u64 = limit?.trim().parse().ok()?;
    (bytes < 1 << 50).then_some(bytes >> 20)
}

pub(super) fn check(exports_mib: u64, limit_mib: Option<u64>) -> Check {
    let needed = exports_mib.saturating_add(HOST_MIB);
    let says = format!(
        "exports take up to {exports_mib} MiB (BLOCK_SIZE × BLOCKS_IN_FLIGHT × CHUNKS_IN_FLIGHT + {BESIDES_MIB} MiB), with the Functions host {needed} MiB"
    );
    match limit_mib {
        Some(limit) if needed > limit => Check::failed(
            NAME,
            format!(
                "{says}, and the instance has {limit} MiB: the platform ends the process when it takes more"
            ),
            "lower BLOCK_SIZE, BLOCKS_IN_FLIGHT or CHUNKS_IN_FLIGHT, or take a larger instance (`instanceMemoryMB` of infra/)",
        ),
        Some(limit) => Check::fine(NAME, format!("{says}; the instance has {limit} MiB")),
        None if needed <= SMALLEST_MIB => Check::fine(
            NAME,
            format!("{says}; every instance has at least {SMALLEST_MIB} MB"),
        ),
        None => Check::not_checked(
            NAME,
            format!(
                "{says}; the memory of the instance is not known here: on Flex Consumption it is 512, 2048 or 4096 MB (`instanceMemoryMB` of infra/)"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[rstest::rstest]
    #[case::defaults(136, None, Outcome::Fine)]
    #[case::defaults_on_the_smallest(136, Some(512), Outcome::Fine)]
    #[case::just_fits(311, Some(512), Outcome::Fine)]
    #[case::the_host_counts(312, Some(512), Outcome::Failed)]
    #[case::unknown(312, None, Outcome::NotChecked)]
    #[case::the_most_that_settings_allow(1_048_616, Some(4096), Outcome::Failed)]
    #[case::no_overflow(u64::MAX, Some(4096), Outcome::Failed)]
    fn what_exports_take_is_compared_with_the_instance(
        #[case] exports_mib: u64,
        #[case] limit_mib: Option<u64>,
        #[case] expected: Outcome,
    ) {
        let check = check(exports_mib, limit_mib);
        assert_eq!(check.result, expected, "{}", check.says);
        assert!(check.says.contains(&format!("{exports_mib} MiB")));
    }

    #[test]
    fn the_memory_of_this_machine_says_nothing_about_an_app_elsewhere() {
        let none: [(String, String); 0] = [];
        assert_eq!(limit_mib(SettingsFrom::AzureApp, &none), None);
        assert_eq!(limit_mib(SettingsFrom::File, &none), None);
        let given = [(SETTING.to_owned(), "512".to_owned())];
        for from in [
            SettingsFrom::Environment,
            SettingsFrom::File,
            SettingsFrom::AzureApp,
        ] {
            assert_eq!(limit_mib(from, &given), Some(512));
        }
    }
}
