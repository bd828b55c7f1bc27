//! Where a process runs, by the variables that platforms and their tools set. Knows no setting.

use super::SettingsFrom;

/// One of them is set in each Function App in Azure.
const IN_AZURE: [&str; 3] = [
    "LEGION_SERVICE_HOST",
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_SITE_NAME",
];
/// Set by `func start`, which may set some of the same variables.
const CORE_TOOLS: &str = "FUNCTIONS_CORETOOLS_ENVIRONMENT";
/// Set in each function on AWS Lambda, and in those that `sam local` emulates.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
const ON_LAMBDA: &str = "AWS_LAMBDA_FUNCTION_NAME";
/// Set by `sam local`.
const SAM_LOCAL: &str = "AWS_SAM_LOCAL";

/// A platform on which the disk of a process is lost with the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// A Function App.
    Azure,
    Lambda,
}

impl Platform {
    /// Returns the platform that this process runs on; `None`: a machine that keeps its disk, or the settings come from
    /// elsewhere and say nothing about this process. `value` returns that of a variable; a blank one counts as not set.
    pub fn of<'a>(from: SettingsFrom, value: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        match from {
            SettingsFrom::Environment => {}
            SettingsFrom::File | SettingsFrom::AzureApp => return None,
        }
        let has = |name: &str| value(name).is_some_and(|text| !text.trim().is_empty());
        if !is_under_core_tools(&value) && IN_AZURE.into_iter().any(has) {
            return Some(Self::Azure);
        }
        let is_emulated =
            value(SAM_LOCAL).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        (has(ON_LAMBDA) && !is_emulated).then_some(Self::Lambda)
    }
}

/// Whether `func start`, or the stand-in host, started this process: it runs at a terminal. A blank variable counts as not
/// set.
pub fn is_under_core_tools<'a>(value: impl Fn(&str) -> Option<&'a str>) -> bool {
    value(CORE_TOOLS).is_some_and(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNC_START: (&str, &str) = (CORE_TOOLS, "true");
    const LAMBDA: (&str, &str) = (ON_LAMBDA, "recordings");

    #[rstest::rstest]
    #[case::machine(&[], None)]
    #[case::flex(&[("LEGION_SERVICE_HOST", "x")], Some(Platform::Azure))]
    #[case::every_plan(&[("WEBSITE_SITE_NAME", "x")], Some(Platform::Azure))]
    #[case::dedicated(&[("WEBSITE_INSTANCE_ID", "x")], Some(Platform::Azure))]
    #[case::blank(&[("WEBSITE_SITE_NAME", " ")], None)]
    #[case::func_start(&[("WEBSITE_SITE_NAME", "x"), FUNC_START], None)]
    #[case::no_func_start(&[("WEBSITE_SITE_NAME", "x"), (CORE_TOOLS, " ")], Some(Platform::Azure))]
    #[case::lambda(&[LAMBDA], Some(Platform::Lambda))]
    #[case::sam_local(&[LAMBDA, (SAM_LOCAL, "True")], None)]
    #[case::no_sam_local(&[LAMBDA, (SAM_LOCAL, "false")], Some(Platform::Lambda))]
    fn a_platform_is_known_by_its_variables(
        #[case] variables: &[(&str, &str)],
        #[case] expected: Option<Platform>,
    ) {
        let value = |name: &str| {
            let mut variables = variables.iter();
            variables.find_map(|(given, value)| (*given == name).then_some(*value))
        };
        assert_eq!(Platform::of(SettingsFrom::Environment, value), expected);
        for elsewhere in [SettingsFrom::File, SettingsFrom::AzureApp] {
            assert_eq!(Platform::of(elsewhere, value), None);
        }
    }
}
