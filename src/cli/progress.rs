//! Progress bars for verbs that take long: on stderr, and only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// A bar that counts to `total`; `what` says what it counts. It is not drawn where stderr is no terminal.
pub fn bar(total: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_message(what);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {elapsed} so far, {eta} to go");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(REDRAW_EVERY);
    bar
}
