//! The user at the shell, as the operating system names them. It knows no verb.

use std::fs;

use recording_vault::store::audit::Operator;

const PASSWD: &str = "/etc/passwd";
const STATUS: &str = "/proc/self/status";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Returns the operator that the audit log records for a verb.
pub fn operator() -> Operator {
    Operator::ShellUser(user_and_host())
}

/// The user and the host: `ada@desk`.
pub fn user_and_host() -> String {
    let user = user_of_process().unwrap_or_else(|| "unknown user".to_owned());
    let host = fs::read_to_string(HOST_NAME).unwrap_or_default();
    match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    }
}

/// The user that the process runs as: unlike `USER`, it cannot be set.
fn user_of_process() -> Option<String> {
    let status = fs::read_to_string(STATUS).ok()?;
    let uid = uid_in(&status)?.to_owned();
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    Some(name_in(&passwd, &uid).map_or_else(|| format!("uid {uid}"), str::to_owned))
}

/// The real user id of a process (`proc_pid_status(5)`).
fn uid_in(status: &str) -> Option<&str> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()
}

/// The name of a user id (passwd(5)).
fn name_in<'a>(passwd: &'a str, uid: &str) -> Option<&'a str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_the_one_that_the_process_runs_as() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nGid:\t5\t5\t5\t5\n";
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        let uid = uid_in(status).unwrap();
        assert_eq!(uid, "1000");
        assert_eq!(name_in(passwd, uid), Some("ada"));
        assert_eq!(name_in(passwd, "1"), None);
    }
}
