//! `infra/subscribe.sh` and the hooks of azd, with a stand-in for `az` and `cargo`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::read;
use crate::documents::repository;

/// Lists the topics and subscriptions that variables name, and logs its arguments, one call a line.
const AZ: &str = r#"#!/bin/sh
echo "az $*" >> "$LOG"
case "$*" in
*"system-topic list "*) printf "$TOPICS" ;;
*"event-subscription list "*) printf "$DESTINATION" ;;
"deployment sub create "*) ;;
*) echo "unknown: $*" >&2; exit 2 ;;
esac
"#;
const CARGO: &str = r#"#!/bin/sh
echo "cargo $*" >> "$LOG"
"#;
const OURS: &str = "/subscriptions/s/resourceGroups/Contoso-RG/providers/Microsoft.Communication/CommunicationServices/Contoso";
const FUNCTION: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/FUNC-1/functions/RecordingFileStatusUpdated";

/// What `az` lists, and the variables of a deployment.
struct Deployment {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Deployment {
    fn with(variables: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        for (name, script) in [("az", AZ), ("cargo", CARGO)] {
            let path = folder.path().join(name);
            fs::write(&path, script).expect("the folder is ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .expect("the folder is ours");
        }
        let usual = [
            ("AZURE_LOCATION", "westeurope"),
            ("AZURE_RESOURCE_GROUP", "rg"),
            ("FUNCTION_APP_NAME", "func-1"),
            ("ACS_NAME", "contoso"),
            ("ACS_RESOURCE_GROUP", "contoso-rg"),
            ("VAULT_STORAGE_NAME", "stvault1"),
            ("DEAD_LETTER_CONTAINER", "recordings-undelivered"),
            ("AUTO_RECORD", "all"),
            ("TOPICS", ""),
            ("DESTINATION", ""),
        ];
        let variables = usual.iter().chain(variables);
        let variables = variables.map(|(name, value)| (*name, (*value).to_owned()));
        Self {
            folder,
            variables: variables.collect(),
        }
    }

    fn run(&self, script: &str) -> (Output, Vec<String>) {
        let log = self.folder.path().join("log");
        fs::write(&log, "").expect("the folder is ours");
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(repository())
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", path)
            .env("LOG", &log)
            .output()
            .expect("there is a shell");
        let log = fs::read_to_string(log).expect("it is there");
        (output, log.lines().map(str::to_owned).collect())
    }
}

fn deployments(log: &[String]) -> Vec<&String> {
    log.iter()
        .filter(|line| line.starts_with("az deployment sub create "))
        .collect()
}

/// A line of `az eventgrid system-topic list --output tsv`.
fn topic(name: &str, source: &str) -> String {
    format!("{name}\\t{source}\\n")
}

#[test]
fn the_subscription_is_created_in_the_subscription_of_azd() {
    let deployment = Deployment::with(&[("AZURE_SUBSCRIPTION_ID", "of azd")]);
    let (output, log) = deployment.run("infra/subscribe.sh");
    assert!(output.status.success(), "{output:?}");
    assert!(
        log.iter()
            .all(|line| line.ends_with(" --subscription of azd")),
        "{log:?}"
    );
    assert_eq!(deployments(&log).len(), 1);
    let (output, log) = Deployment::with(&[]).run("infra/subscribe.sh");
    assert!(output.status.success(), "{output:?}");
    assert!(!log.concat().contains("--subscription"), "{log:?}");
}

#[test]
fn another_topic_of_the_resource_is_named_with_the_command_that_sets_it() {
    let topics = [
        topic(
            "other",
            "/subscriptions/s/x/CommunicationServices/not-contoso",
        ),
        topic("Portal-Topic", OURS),
    ];
    let topics = topics.concat();
    let deployment = Deployment::with(&[("TOPICS", &topics)]);
    for (script, code) in [
        ("infra/subscribe.sh", 1),
        ("infra/subscribe.sh --if-subscribed", 0),
    ] {
        let (output, log) = deployment.run(script);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        let command = "azd env set ACS_SYSTEM_TOPIC Portal-Topic";
        assert!(said.contains(command), "{said}");
        assert_eq!(deployments(&log).len(), 0);
    }
    let named = [
        ("TOPICS", topics.as_str()),
        ("ACS_SYSTEM_TOPIC", "portal-topic"),
    ];
    let (output, log) = Deployment::with(&named).run("infra/subscribe.sh");
    assert!(output.status.success(), "{output:?}");
    assert!(deployments(&log)[0].contains("existingSystemTopicName=portal-topic"));
}

/// A topic's name has 50 characters at most.
#[test]
fn the_topic_of_a_resource_with_a_long_name_is_the_one_that_the_template_creates() {
    let name = "c".repeat(63);
    let cut = format!("evgt-{}", "c".repeat(45));
    let source = format!(
        "/subscriptions/s/resourceGroups/contoso-rg/providers/Microsoft.Communication/CommunicationServices/{name}"
    );
    let topics = topic(&cut, &source);
    let named = [("ACS_NAME", name.as_str()), ("TOPICS", &topics)];
    let (output, log) = Deployment::with(&named).run("infra/subscribe.sh");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(deployments(&log).len(), 1);
    assert!(read("infra/subscription.bicep").contains("take('evgt-${acsName}', 50)"));
}

#[test]
fn a_change_of_the_infrastructure_updates_a_subscription_of_this_app_and_creates_none() {
    let topics = topic("evgt-contoso", OURS);
    let another = FUNCTION.replace("FUNC-1", "func-2");
    // As the Azure CLI ends lines on Windows.
    let carried = topics.replace('\n', "\r\n").replace("\\n", "\\r\\n");
    let returned = format!("{FUNCTION}\r\n");
    for (topics, destination, expected) in [
        ("", "", 0),
        (topics.as_str(), "", 0),
        (topics.as_str(), another.as_str(), 0),
        (topics.as_str(), FUNCTION, 1),
        (carried.as_str(), returned.as_str(), 1),
    ] {
        let variables = [("TOPICS", topics), ("DESTINATION", destination)];
        let (output, log) = Deployment::with(&variables).run("infra/subscribe.sh --if-subscribed");
        assert!(output.status.success(), "{output:?}");
        let made = deployments(&log);
        assert_eq!(made.len(), expected, "{log:?}");
        assert!(made.iter().all(|made| made.contains("autoRecord=all")));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_honest = said.contains(if expected == 1 {
            "Event Grid delivers to func-1"
        } else {
            "does not deliver to the function of func-1 yet"
        });
        assert!(is_honest, "{said}");
    }
}

#[test]
fn an_azure_cli_that_fails_is_no_missing_subscription() {
    let deployment = Deployment::with(&[]);
    let az = deployment.folder.path().join("az");
    fs::write(az, "#!/bin/sh\nexit 1\n").expect("the folder is ours");
    let (output, _) = deployment.run("infra/subscribe.sh --if-subscribed");
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// The block of a hook in azure.yaml that begins after this line.
fn hook(name: &str) -> String {
    let file = read("azure.yaml");
    let after = file
        .split(&format!("{name}:\n"))
        .nth(1)
        .expect("it is a hook");
    let run = after.split("run: ").nth(1).expect("it runs something");
    match run.strip_prefix("|\n") {
        None => run.lines().next().unwrap_or_default().to_owned(),
        Some(block) => {
            let indent = block.len() - block.trim_start().len();
            let lines = block
                .lines()
                .take_while(|line| line.len() - line.trim_start().len() >= indent);
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn the_package_has_the_function_that_reads_the_queue_if_the_template_makes_one() {
    for (given, expected) in [
        ("", "cargo xtask package"),
        ("false", "cargo xtask package"),
        ("true", "cargo xtask package --export-queue"),
        ("True", "cargo xtask package --export-queue"),
    ] {
        let deployment = Deployment::with(&[("EXPORT_QUEUE", given)]);
        let (output, log) = deployment.run(&hook("prepackage"));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(log, [expected], "{given}");
    }
}

#[test]
fn azd_runs_the_second_phase_after_the_code_and_updates_it_after_the_infrastructure() {
    assert_eq!(hook("postdeploy"), "./infra/subscribe.sh");
    assert_eq!(
        hook("postprovision"),
        "./infra/subscribe.sh --if-subscribed"
    );
}
