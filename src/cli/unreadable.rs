//! Entries that a verb could not read: named in its report, and never counted as "nothing".

use std::fmt;

use recording_vault::counted::counted;
use recording_vault::recording::DocumentId;
use recording_vault::visible;

use super::exit::Exit;

/// How a verb ends that has looked at every entry but these.
pub fn exit(otherwise: Exit, unreadable: &[DocumentId]) -> Exit {
    match otherwise {
        Exit::Fine if !unreadable.is_empty() => Exit::NotDone,
        Exit::Fine
        | Exit::NotDone
        | Exit::NeedsAttention
        | Exit::InvalidSettings
        | Exit::Signal(_) => otherwise,
    }
}

/// Writes a line for each, and their number.
pub fn write(f: &mut fmt::Formatter<'_>, unreadable: &[DocumentId]) -> fmt::Result {
    if unreadable.is_empty() {
        return Ok(());
    }
    let entries = counted(unreadable.len(), "entry is", "entries are");
    visible::write_part(
        f,
        format_args!("{entries} not readable and left out; run `recording-vault ledger rebuild`:"),
    )?;
    unreadable
        .iter()
        .try_for_each(|id| visible::write_line(f, format_args!("  {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_could_not_read_an_entry_does_not_end_fine() {
        let unreadable = ["doc".parse().unwrap()];
        assert_eq!(exit(Exit::Fine, &unreadable), Exit::NotDone);
        assert_eq!(
            exit(Exit::NeedsAttention, &unreadable),
            Exit::NeedsAttention
        );
        assert_eq!(exit(Exit::Fine, &[]), Exit::Fine);
    }
}
