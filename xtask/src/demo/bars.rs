//! Progress bars, drawn from the handler's own log lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

/// A bar for each chunk's media; where there is no terminal to draw on, a line for each step.
#[derive(Clone, Default)]
pub struct Bars(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    all: MultiProgress,
    chunks: HashMap<String, ProgressBar>,
    /// Quarters of a chunk that were reported without a terminal.
    quarters: HashMap<String, u64>,
}

impl Bars {
    /// Takes a line of the host's console: a line about a chunk moves its bar, a warning is shown.
    pub fn read(&self, line: &str) {
        let json = line
            .find('{')
            .and_then(|at| serde_json::from_str::<Value>(&line[at..]).ok());
        let mut state = self.0.lock().expect("no holder of this lock panics");
        let Some(fields) = json else {
            if line.contains("error: ") {
                let _ = state.all.println(line);
            }
            return;
        };
        if matches!(fields["level"].as_str(), Some("WARN" | "ERROR")) {
            let _ = state.all.println(line);
        }
        let (Some(id), Some(message)) =
            (fields["document.id"].as_str(), fields["message"].as_str())
        else {
            return;
        };
        if fields["part"] == "media" && message.starts_with("Read block") {
            let (offset, total) = (
                fields["offset_bytes"].as_u64(),
                fields["total_bytes"].as_u64(),
            );
            let label = format!(
                "chunk {}",
                fields["chunk.index"]
                    .as_u64()
                    .map_or_else(|| "?".to_owned(), |index| index.to_string())
            );
            let bar = state.bar(id, &label, total.unwrap_or_default());
            bar.set_position(offset.unwrap_or_default());
            state.say_quarter(id, offset.unwrap_or_default(), total.unwrap_or_default());
        } else if message.starts_with("Exported chunk") {
            let bar = state.bar(
                id,
                "chunk",
                fields["size_bytes"].as_u64().unwrap_or_default(),
            );
            bar.set_position(bar.length().unwrap_or_default());
            bar.set_message("proved");
            state.say(&format!(
                "{message}: {} bytes, SHA-256 {}",
                fields["size_bytes"],
                fields["sha256"].as_str().unwrap_or_default()
            ));
        } else if message.starts_with("Deleted chunk") {
            state
                .bar(id, "chunk", 0)
                .abandon_with_message("proved, deleted at ACS");
            state.say(message);
        }
    }

    /// Leaves the bars as they are.
    pub fn finish(&self) {
        let state = self.0.lock().expect("no holder of this lock panics");
        state
            .chunks
            .values()
            .filter(|bar| !bar.is_finished())
            .for_each(ProgressBar::abandon);
    }
}

impl State {
    fn say(&self, line: &str) {
        if self.all.is_hidden() {
            println!("  {line}");
        }
    }

    fn say_quarter(&mut self, id: &str, offset: u64, total: u64) {
        let quarter = offset
            .saturating_mul(4)
            .checked_div(total)
            .unwrap_or_default();
        if self.quarters.insert(id.to_owned(), quarter) != Some(quarter) {
            self.say(&format!("Exporting chunk `{id}`: {} %", quarter * 25));
        }
    }

    fn bar(&mut self, id: &str, label: &str, total: u64) -> &ProgressBar {
        let all = &self.all;
        self.chunks.entry(id.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(
                "  {prefix:<8} [{bar:20}] {bytes:>10}/{total_bytes:10} {msg}",
            )
            .expect("the template is valid")
            .progress_chars("=> ");
            let bar = all.add(ProgressBar::new(total).with_style(style));
            bar.set_prefix(label.to_owned());
            bar.set_message("exporting");
            bar
        })
    }
}
