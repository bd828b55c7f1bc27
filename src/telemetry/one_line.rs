//! One line for each event: the host makes an entry of every line. A host that has ended has closed the other end;
//! lines are lost then, which is not a failure.

use std::io;

use tracing::Metadata;
use tracing_subscriber::fmt::writer::MakeWriter;

/// Makes writers that put each event on one line.
#[derive(Debug, Clone)]
pub struct OneLine<M>(pub M);

/// Writes one event, which arrives in one piece.
#[derive(Debug)]
pub struct Line<W>(W);

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for OneLine<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Line(self.0.make_writer())
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        Line(self.0.make_writer_for(metadata))
    }
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // Errors are not passed on: the subscriber would report them at stderr, and panic where that is closed too.
        let _ = match joined(event) {
            Some(line) => self.0.write_all(&line),
            None => self.0.write_all(event),
        };
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// The event without line breaks in it; `None` where it has none.
fn joined(event: &[u8]) -> Option<Vec<u8>> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    let lines: Vec<&[u8]> = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    let mut line = lines.join(&b' ');
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_event_with_line_breaks_is_one_line() {
        let mut written = Vec::new();
        let mut line = Line(&mut written);
        line.write_all(b"WARN it failed: one\r\n   two\n\nthree\n")
            .unwrap();
        line.write_all(b"INFO fine\n").unwrap();
        assert_eq!(written, b"WARN it failed: one two three\nINFO fine\n");
    }

    #[test]
    fn a_closed_end_is_no_failure() {
        struct Closed;
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut line = Line(Closed);
        assert!(line.write_all(b"lost\n").is_ok() && line.flush().is_ok());
    }
}
