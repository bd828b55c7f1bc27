//! Errors without backtraces.

/// Starts this program again in the same process, with backtraces of panics only, if the environment asks for backtraces
/// of errors too.
///
/// The Azure SDK makes an error of each optional header that a request lacks: at least one for each request. With
/// `RUST_BACKTRACE` each of them takes a backtrace, one at a time in the whole process, and nothing prints it. In a burst
/// of small recordings this cost a fifth of the processor time. To change the environment of a running process is
/// `unsafe`, which is forbidden here; `exec` is not.
///
/// Returns if there is nothing to change, or if the system cannot do it: slower is better than not at all.
#[cfg(unix)]
pub fn leave_to_panics() {
    use std::os::unix::process::CommandExt as _;

    const OF_PANICS: &str = "RUST_BACKTRACE";
    const OF_ERRORS: &str = "RUST_LIB_BACKTRACE";
    const NONE: &str = "0";

    let is_asked_for = std::env::var_os(OF_PANICS).is_some_and(|value| value != NONE);
    if !is_asked_for || std::env::var_os(OF_ERRORS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    if let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) {
        let mut again = std::process::Command::new(program);
        let _not_started = again.arg0(name).args(arguments).env(OF_ERRORS, NONE).exec();
    }
}

/// Nothing: the process can only be replaced on Unix.
#[cfg(not(unix))]
pub fn leave_to_panics() {}
