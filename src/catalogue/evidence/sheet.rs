//! The sheet of an evidence package: one HTML file without scripts, for people.

mod words;

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::words::{detail_in_words, not_verified, state_in_words};
use super::inclusion::CheckpointCoverage;
use super::{EvidenceReport, PackedFile, PackedRecording};
use crate::catalogue::detail::{RecordingDetail, ShownChunk, ShownPlace};
use crate::control::consent::Consent;
use crate::counted::counted;
use crate::export::Vaults;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}\
th,td{border:1px solid #c4c4c4;padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
th{background:#f3f3f3}code{font-size:.85em}.problem{color:#a80000;font-weight:600}\
@media print{body{margin:0;max-width:none}}";

const HOW_TO_VERIFY: &str = "<h2>How to verify this package</h2>\
<p>Run <code>sh verify.sh</code> in the unpacked folder. It needs <code>sha256sum</code> or <code>openssl</code>, and no network. \
It came with the package, and a person who changes a package can change it too: compare it with \
<code>src/catalogue/evidence/verify.sh</code> in the source of recording-vault. By hand:</p>\
<ul><li><b>Files</b>: <code>sha256sum --check SHA256SUMS</code> compares every file with its digest; \
<code>openssl dgst -sha256 &lt;file&gt;</code> prints a digest.</li>\
<li><b>Media and metadata</b>: each receipt (<code>…-receipt.….json</code>) was written when the copy was proved. Its \
<code>sha256</code> must be the digest of the file that its <code>name</code> names, and a record in <code>records.txt</code> \
must have the same <code>sha256</code> or <code>metadataSha256</code>.</li>\
<li><b>Records</b>: <code>records.txt</code> has the audit log's records of a recording, each with the document of the log \
that has it (<code>audit/&lt;log&gt;/</code>); it must be there byte for byte. Names and free text are not in the log itself: \
records refer to them by <code>person:</code> and <code>text:</code>, and <code>history.json</code> has the originals.</li>\
<li><b>Documents</b>: each has the SHA-256 of the document before it (<code>previous</code>), and \
<code>audit/segments.txt</code> lists which checkpoint has the SHA-256 of the last one.</li>\
<li><b>Checkpoints</b>: each has the SHA-256 of the checkpoint before it. So a record cannot be changed without changing the \
newest checkpoint: compare <code>sha256sum audit/checkpoints/&lt;newest&gt;.json</code> with a digest that was kept elsewhere \
(receipts have some). Where checkpoints are left out, nothing leads from those before the gap to the newest one: only a \
timestamp proves them.</li>\
<li><b>Timestamps</b>: <code>openssl ts -verify -token_in -in audit/timestamps/&lt;day&gt;-&lt;number&gt;.tst \
-data audit/checkpoints/&lt;number&gt;.json -CAfile &lt;certificates of the authority&gt;</code>. \
<code>TIMESTAMP_CA=&lt;file&gt; sh verify.sh</code> does the same. A timestamp proves its checkpoint and those that lead to it.</li></ul>\
<h3>What this does not prove</h3>\
<p>This sheet, <code>recording.json</code>, <code>history.json</code>, <code>PROBLEMS.txt</code>, and what receipts say beside \
the SHA-256 of their files rest on <code>SHA256SUMS</code> alone, which is not signed: compare its digest with one that was \
noted when the package was made (<code>recording-vault evidence</code> prints it). That <code>records.txt</code> has all \
records of a recording is checked for its chunks only, and only in the documents that the package has. \
<code>PROBLEMS.txt</code>, if there is one, lists what is missing or doubtful.</p>";

/// What the sheet shows.
pub(super) struct SheetContent<'a> {
    pub report: &'a EvidenceReport,
    pub recordings: &'a [PackedRecording],
    pub zone: &'a TimeZone,
    pub coverage: CheckpointCoverage,
    pub vaults: &'a Vaults,
}

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
pub(super) fn html(content: &SheetContent<'_>) -> String {
    let SheetContent {
        report,
        recordings,
        zone,
        coverage,
        vaults,
    } = content;
    let mut sheet = Sheet {
        html: String::new(),
        zone,
    };
    sheet.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Evidence</title><style>");
    sheet.raw(STYLE);
    sheet.raw("</style></head><body><h1>Evidence of call recordings</h1>");
    let mut facts = vec![
        ("Made at", sheet.time(report.made_at)),
        ("Made by", not_verified(&report.made_by)),
        (
            "Made with",
            concat!("recording-vault ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("Recordings", recordings.len().to_string()),
        ("Time zone", sheet.zone_name(report.made_at)),
        ("Vault", location(vaults.home().location())),
    ];
    facts.extend(
        vaults
            .backup()
            .map(|backup| ("Backup vault", location(backup.location()))),
    );
    facts.push(("Audit log", checkpoint_in_words(*coverage)));
    sheet.table(&facts);
    sheet.element(
        "p",
        "(not verified) after a name: the caller gave this name, and no sign-in confirmed it.",
    );
    sheet.problems(&report.problems);
    for recording in *recordings {
        sheet.recording(recording);
    }
    sheet.files(report);
    sheet.raw(HOW_TO_VERIFY);
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

    /// The name of the chosen zone.
    fn zone_name(&self, now: Timestamp) -> String {
        let name = self.zone.iana_name().unwrap_or("without a name");
        format!(
            "{name} ({})",
            now.to_zoned(self.zone.clone()).strftime("UTC%:z")
        )
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
        let holds = detail.holds.iter().map(|hold| &hold.case.case[..]);
        let holds: Vec<&str> = holds.collect();
        let reasons: Vec<&str> = row.reasons.iter().map(|reason| &reason[..]).collect();
        let facts = [
            ("Standing", row.status.meaning().to_owned()),
            ("Reasons", or_none(&reasons, "none", "; ")),
            ("Call", text(&row.call_id)),
            ("Server call id", text(&row.server_call_id)),
            ("Started", self.optional_time(row.started_at)),
            ("Ended", self.optional_time(row.ended_at)),
            ("Started by", not_verified(&text(&row.started_by))),
            ("Consent", self.consent(detail.consent.as_ref())),
            ("Participants", participants_of(detail, &participants)),
            ("Held for", or_none(&holds, "no case", ", ")),
        ];
        self.table(&facts);
        self.chunks(&detail.chunk_list);
        self.element("h3", "History, from the audit log");
        let history: Vec<Vec<String>> = recording
            .history
            .iter()
            .map(|described| {
                vec![
                    self.time(described.record.at),
                    not_verified(&described.sentence),
                    described.record.subject.clone(),
                    detail_in_words(&described.record.detail),
                ]
            })
            .collect();
        self.rows(&["time", "what happened", "subject", "details"], &history);
    }

    fn consent(&self, consent: Option<&Consent>) -> String {
        let Some(consent) = consent else {
            return "none recorded".to_owned();
        };
        let Consent {
            basis,
            given_by,
            given_at,
            reference,
        } = consent;
        let reference = reference.as_ref();
        let reference = reference.map(|reference| format!("; reference: {reference}"));
        format!(
            "basis: {basis}; given by: {given_by}; given at: {}{}",
            self.time(*given_at),
            reference.unwrap_or_default()
        )
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
            "vault",
            "state",
            "doubts",
        ];
        self.rows(&headings, &rows);
    }

    fn files(&mut self, report: &EvidenceReport) {
        let is_of_log = |file: &&PackedFile| file.name.starts_with("audit/");
        let (of_log, others): (Vec<&PackedFile>, Vec<&PackedFile>) =
            report.files.iter().partition(is_of_log);
        let rows: Vec<Vec<String>> = others
            .iter()
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
        let of_log = counted(of_log.len(), "file", "files");
        self.element(
            "p",
            format!("{of_log} of the audit log, in the folder audit/; SHA256SUMS has their digests, and those of this sheet and verify.sh."),
        );
    }
}

fn row_of(chunk: &ShownChunk) -> Vec<String> {
    vec![
        chunk.index.to_string(),
        file_or_none(chunk.file.as_ref()),
        measured(chunk.size_bytes, "bytes"),
        measured(chunk.duration_ms, "ms"),
        or_unknown(chunk.sha256.as_ref()),
        vault_in_words(chunk.vault),
        state_in_words(chunk.state).to_owned(),
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
        or_unknown(place.sha256.as_ref()),
        String::new(),
        state_in_words(place.state).to_owned(),
        place.problem.clone().unwrap_or_default(),
    ]
}

fn vault_in_words(vault: Option<&'static str>) -> String {
    match vault {
        Some("external") => "your own storage".to_owned(),
        Some(name) => name.to_owned(),
        None => "none".to_owned(),
    }
}

fn location(location: Option<String>) -> String {
    location.unwrap_or_else(|| "unknown".to_owned())
}

fn checkpoint_in_words(coverage: CheckpointCoverage) -> String {
    match coverage {
        CheckpointCoverage::AllRead(newest) => format!(
            "newest checkpoint when this package was made: {newest}; it covers every record in the package"
        ),
        CheckpointCoverage::Earlier(earlier) => format!(
            "no checkpoint could be written when this package was made; an earlier one, which need not cover the newest records: {earlier}"
        ),
        CheckpointCoverage::Nothing => {
            "no checkpoint: nothing proves the records in the package".to_owned()
        }
    }
}

fn file_or_none(file: Option<&String>) -> String {
    file.cloned().unwrap_or_else(|| "no copy".to_owned())
}

fn or_unknown(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "unknown".to_owned())
}

fn measured(length: Option<u64>, unit: &str) -> String {
    length.map_or_else(|| "unknown".to_owned(), |length| format!("{length} {unit}"))
}

fn participants_of(detail: &RecordingDetail, participants: &[&str]) -> String {
    let has_copy = detail.chunk_list.iter().any(|chunk| chunk.playable);
    let none = if has_copy { "none known" } else { "unknown" };
    or_none(participants, none, ", ")
}

fn or_none(names: &[&str], none: &str, separator: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(separator)
    }
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
