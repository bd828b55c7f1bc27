//! The sheet of an evidence package: one HTML file without scripts, for people.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{EvidenceReport, PackedRecording};
use crate::catalogue::detail::{ShownChunk, ShownPlace};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}\
th,td{border:1px solid #c4c4c4;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f3f3f3}code{font-size:.85em}.problem{color:#a80000;font-weight:600}\
@media print{body{margin:0;max-width:none}}";

const HOW_TO_VERIFY: &str = "<h2>How to verify this package</h2>\
<p>Run <code>sh verify.sh</code> in the unpacked folder. It needs <code>sha256sum</code> or <code>openssl</code>, and no network. \
By hand: <code>sha256sum --check SHA256SUMS</code> compares every file with its digest. Each receipt \
(<code>…-receipt.….json</code>) was written when the copy was proved; its <code>sha256</code> must be the digest of the file \
that its <code>name</code> names. <code>openssl dgst -sha256 &lt;file&gt;</code> prints a digest. <code>records.txt</code> \
has the audit log's records of a recording, each with the document of the log that has it (<code>audit/&lt;log&gt;/</code>); \
the script looks it up there. Names and free text are not in the log itself: \
records refer to them by <code>person:</code> and <code>text:</code>, and <code>history.json</code> has the originals. Each document has the SHA-256 of the document before it (<code>previous</code>), \
<code>audit/segments.txt</code> lists which checkpoint covers which documents, a checkpoint has the SHA-256 of the last \
document of every log, and each checkpoint that of the checkpoint before. So a record cannot be changed without changing the \
newest checkpoint: compare <code>sha256sum audit/checkpoints/&lt;newest&gt;.json</code> with a digest that was kept elsewhere \
(receipts have some), or check its timestamp: <code>openssl ts -verify -token_in -in audit/timestamps/&lt;day&gt;-&lt;number&gt;.tst \
-data audit/checkpoints/&lt;number&gt;.json -CAfile &lt;certificates of the authority&gt;</code>. \
<code>TIMESTAMP_CA=&lt;file&gt; sh verify.sh</code> does the same. <code>PROBLEMS.txt</code>, if there is one, lists what is missing.</p>";

/// Text that is safe in HTML.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A page that is written piece by piece.
struct Sheet<'a> {
    html: String,
    zone: &'a TimeZone,
}

/// Writes the sheet.
pub(super) fn html(
    report: &EvidenceReport,
    recordings: &[PackedRecording],
    zone: &TimeZone,
) -> String {
    let mut sheet = Sheet {
        html: String::new(),
        zone,
    };
    sheet.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Evidence</title><style>");
    sheet.raw(STYLE);
    sheet.raw("</style></head><body><h1>Evidence of call recordings</h1>");
    sheet.table(&[
        ("Made at", sheet.time(report.made_at)),
        ("Made by", report.made_by.clone()),
        (
            "Made with",
            concat!("recording-vault ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("Recordings", recordings.len().to_string()),
    ]);
    sheet.problems(&report.problems);
    for recording in recordings {
        sheet.recording(recording);
    }
    sheet.files(report);
    sheet.raw(HOW_TO_VERIFY);
    if let Some(checkpoint) = report.audit_checkpoint {
        let noted =
            format!("Newest checkpoint of the audit log when this package was made: {checkpoint}");
        sheet.element("p", noted);
    }
    sheet.raw("</body></html>\n");
    sheet.html
}

impl Sheet<'_> {
    /// Appends markup.
    fn raw(&mut self, markup: &str) {
        self.html.push_str(markup);
    }

    /// Appends text between tags.
    fn element(&mut self, tag: &str, text: impl Display) {
        write!(self.html, "<{tag}>{}</{tag}>", Escaped(text)).expect("a String takes any text");
    }

    /// A time in UTC and in the chosen zone.
    fn time(&self, at: Timestamp) -> String {
        let utc = at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let local = at.to_zoned(self.zone.clone());
        format!("{utc} ({})", local.strftime("%Y-%m-%d %H:%M:%S %Z"))
    }

    fn optional_time(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(|| "unknown".to_owned(), |at| self.time(at))
    }

    fn table(&mut self, rows: &[(&str, String)]) {
        self.raw("<table>");
        for (name, value) in rows {
            self.raw("<tr>");
            self.element("th", name);
            self.element("td", value);
            self.raw("</tr>");
        }
        self.raw("</table>");
    }

    fn rows(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        self.raw("<table><tr>");
        for heading in headings {
            self.element("th", heading);
        }
        self.raw("</tr>");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                self.element("td", cell);
            }
            self.raw("</tr>");
        }
        self.raw("</table>");
    }

    fn problems(&mut self, problems: &[String]) {
        if problems.is_empty() {
            self.element(
                "p",
                "Every packed file matches its receipt, and no file is known to be missing.",
            );
        }
        for problem in problems {
            self.raw("<p class=\"problem\">");
            self.element("span", format!("Problem: {problem}"));
            self.raw("</p>");
        }
    }

    fn recording(&mut self, recording: &PackedRecording) {
        let (detail, row) = (&recording.detail, &recording.detail.row);
        self.element(
            "h2",
            format!("{}: recording {}", recording.folder, row.recording_id),
        );
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let participants = detail.participant_list.iter();
        let participants: Vec<&str> = participants.map(|person| &person.id[..]).collect();
        let holds: Vec<&str> = detail.holds.iter().map(|hold| &hold.case[..]).collect();
        let facts = [
            ("Call", text(&row.call_id)),
            ("Server call id", text(&row.server_call_id)),
            ("Started", self.optional_time(row.started_at)),
            ("Ended", self.optional_time(row.ended_at)),
            ("Started by", text(&row.started_by)),
            ("Consent", consent(detail)),
            ("Participants", or_none(&participants)),
            ("Held for", or_none(&holds)),
        ];
        self.table(&facts);
        self.chunks(&detail.chunk_list);
        let history: Vec<Vec<String>> = recording
            .history
            .iter()
            .map(|record| {
                let (at, action) = (self.time(record.at), record.action.to_string());
                vec![
                    at,
                    action,
                    record.subject.clone(),
                    record.detail.to_string(),
                ]
            })
            .collect();
        self.element("h3", "History, from the audit log");
        self.rows(&["time", "action", "subject", "detail"], &history);
    }

    fn chunks(&mut self, chunks: &[ShownChunk]) {
        let rows: Vec<Vec<String>> = chunks
            .iter()
            .flat_map(|chunk| {
                let further = chunk.places.iter().filter(|place| !place.chosen);
                let further = further.map(|place| row_of_place(chunk.index, place));
                std::iter::once(row_of(chunk)).chain(further)
            })
            .collect();
        self.element("h3", "Files");
        let headings = [
            "chunk",
            "file in the vault",
            "size",
            "length",
            "SHA-256",
            "state",
            "doubts",
        ];
        self.rows(&headings, &rows);
    }

    fn files(&mut self, report: &EvidenceReport) {
        let rows: Vec<Vec<String>> = report
            .by_name()
            .values()
            .map(|file| {
                vec![
                    file.name.clone(),
                    file.size_bytes.to_string(),
                    file.sha256.to_string(),
                ]
            })
            .collect();
        self.element("h2", "Files of this package");
        self.rows(&["file", "bytes", "SHA-256"], &rows);
    }
}

fn row_of(chunk: &ShownChunk) -> Vec<String> {
    vec![
        chunk.index.to_string(),
        file_or_none(chunk.file.as_ref()),
        measured(chunk.size_bytes, "bytes"),
        measured(chunk.duration_ms, "ms"),
        chunk.sha256.clone().unwrap_or_default(),
        chunk.state.to_owned(),
        chunk.doubts.join("; "),
    ]
}

/// A file that events announced for the same document at another place.
fn row_of_place(index: u32, place: &ShownPlace) -> Vec<String> {
    vec![
        format!("{index}, place {}", place.place),
        file_or_none(place.file.as_ref()),
        measured(place.size_bytes, "bytes"),
        measured(None, "ms"),
        place.sha256.clone().unwrap_or_default(),
        place.state.to_owned(),
        place.problem.clone().unwrap_or_default(),
    ]
}

fn file_or_none(file: Option<&String>) -> String {
    file.cloned().unwrap_or_else(|| "no copy".to_owned())
}

fn measured(length: Option<u64>, unit: &str) -> String {
    length.map_or_else(|| "unknown".to_owned(), |length| format!("{length} {unit}"))
}

fn or_none(names: &[&str]) -> String {
    if names.is_empty() {
        "none known".to_owned()
    } else {
        names.join(", ")
    }
}

fn consent(detail: &crate::catalogue::detail::RecordingDetail) -> String {
    detail.consent.as_ref().map_or_else(
        || "none recorded".to_owned(),
        |consent| serde_json::to_string(consent).expect("consent has string keys only"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let name = "<script>alert('x')</script>&\"";
        assert_eq!(
            Escaped(name).to_string(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
    }
}
