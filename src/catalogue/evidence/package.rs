//! Writer of an evidence package's ZIP, with its list of files. Knows no recording.

use std::fmt::Write as _;
use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{EvidenceError, EvidenceReport};
use crate::catalogue::packing::{Content, PackedContent, PackedFile, PackingError, pack};

pub(super) const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// Writer of a package.
pub(super) struct Package<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    pub report: EvidenceReport,
}

impl<W: Write + Send + 'static> Package<W> {
    pub fn new(into: W, report: EvidenceReport) -> Self {
        Self {
            zip: ZipWriter::new_stream(into),
            report,
        }
    }

    /// Appends a file from a stream. Returns what was written.
    pub async fn append(
        self,
        name: String,
        mode: u32,
        content: Content,
    ) -> Result<(Self, PackedContent), EvidenceError> {
        let size_bytes = content.size_bytes;
        let (mut package, packed) = pack(self, content, {
            let name = name.clone();
            move |package: &mut Self, reader| {
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Stored)
                    .last_modified_time(DateTime::default())
                    .large_file(size_bytes >= u64::from(u32::MAX))
                    .unix_permissions(mode);
                package
                    .zip
                    .start_file(name, options)
                    .map_err(io::Error::other)?;
                io::copy(reader, &mut package.zip)?;
                Ok(())
            }
        })
        .await?;
        package.report.files.push(PackedFile {
            name,
            size_bytes: packed.size_bytes,
            sha256: packed.sha256,
        });
        Ok((package, packed))
    }

    /// Appends a small file.
    pub async fn append_bytes(self, name: String, content: Bytes) -> Result<Self, EvidenceError> {
        let (package, _) = self.append(name, PLAIN, Content::of(content)).await?;
        Ok(package)
    }

    pub async fn append_text(self, name: String, text: String) -> Result<Self, EvidenceError> {
        let mode = if name.ends_with(".sh") {
            EXECUTABLE
        } else {
            PLAIN
        };
        let (package, _) = self.append(name, mode, Content::of(text.into())).await?;
        Ok(package)
    }

    pub async fn append_document(
        self,
        name: String,
        document: &impl Serialize,
    ) -> Result<Self, EvidenceError> {
        let text = serde_json::to_string_pretty(document)
            .expect("the package's documents have string keys only");
        self.append_text(name, text + "\n").await
    }

    /// The format of `sha256sum`.
    pub fn sums(&self) -> String {
        let mut sums = String::new();
        for file in &self.report.files {
            let _ = writeln!(sums, "{}  {}", file.sha256, file.name);
        }
        sums
    }

    pub async fn finish(self) -> Result<(EvidenceReport, W), EvidenceError> {
        let Self { zip, report } = self;
        let finishing = tokio::task::spawn_blocking(move || {
            let mut writer = zip.finish()?.into_inner();
            writer.flush()?;
            Ok(writer)
        });
        let writer = finishing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(PackingError::Write)?;
        Ok((report, writer))
    }
}

impl<W: Write> Package<W> {
    pub fn problem(&mut self, problem: String) {
        self.report.problems.push(problem);
    }
}
