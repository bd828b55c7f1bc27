//! `recording-vault accept`: allows the deletion of the sources of doubtful chunks after a review of the copies; with
//! `--place`, selects the right one of the places that events name for a document.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::config::Config;
use recording_vault::export::ledger::{Accepted, AcceptedSource, LedgerError, PlaceAccepted};
use recording_vault::recording::{DocumentId, FileNumber};
use recording_vault::visible;
use serde::Serialize;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::Output;
use super::shell_user;

/// The arguments of `accept`.
#[derive(Args)]
pub struct Accept {
    /// Chunks whose copies you have checked
    #[arg(required = true, value_parser = argument::chunk)]
    documents: Vec<DocumentId>,
    /// Which of the document's places is right, as `show` numbers them: its file represents the document, and its source may be deleted
    #[arg(long, value_name = "N")]
    place: Option<FileNumber>,
}

/// The outcome for each chunk.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct AcceptReport {
    /// Their sources may be deleted at ACS.
    accepted: Vec<DocumentId>,
    /// Their copies are accepted; their sources stay at ACS, which deletes them when their retention ends.
    source_left: Vec<DocumentId>,
    /// Their copies are accepted; ACS no longer has their sources.
    source_gone: Vec<DocumentId>,
    /// Their copies are accepted; whether ACS has their sources is not known.
    source_not_known: Vec<DocumentId>,
    /// Those of the lists above that were accepted before, and chunks whose place was selected before.
    already_accepted: Vec<DocumentId>,
    /// Events name several places for them: nothing is deleted at ACS until one of these is chosen.
    several_places: Vec<DocumentId>,
    /// They are not doubtful, or events name one place for them.
    nothing: Vec<DocumentId>,
    /// They have no place of this number.
    no_such_place: Vec<DocumentId>,
    /// The file of this place is not in the vault.
    not_in_vault: Vec<DocumentId>,
    /// A drive works on one of their files, or moves their copy home from the backup vault.
    being_exported: Vec<DocumentId>,
    unknown: Vec<DocumentId>,
}

impl Accept {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = existing::open(config).await?;
        let report = match self.place {
            Some(place) => accept_place(&app, self.documents, place).await?,
            None => accept(&app, self.documents).await?,
        };
        output.report(&report)?;
        let failed = [
            &report.unknown,
            &report.several_places,
            &report.no_such_place,
            &report.not_in_vault,
            &report.being_exported,
        ];
        Ok(Exit::fine_if(failed.iter().all(|list| list.is_empty())))
    }
}

async fn accept_place(
    app: &App,
    documents: Vec<DocumentId>,
    place: FileNumber,
) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let operator = shell_user::operator();
        let accepted = app.actions.accept_place(&id, place, &operator);
        let list = match accepted.await? {
            PlaceAccepted::Accepted => &mut report.accepted,
            PlaceAccepted::AlreadyAccepted => &mut report.already_accepted,
            PlaceAccepted::OnePlace => &mut report.nothing,
            PlaceAccepted::NoSuchPlace => &mut report.no_such_place,
            PlaceAccepted::NotInVault => &mut report.not_in_vault,
            PlaceAccepted::BeingExported => &mut report.being_exported,
            PlaceAccepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

async fn accept(app: &App, documents: Vec<DocumentId>) -> Result<AcceptReport, LedgerError> {
    let mut report = AcceptReport::default();
    for id in documents {
        let accepted = app.actions.accept(&id, &shell_user::operator()).await?;
        if matches!(accepted, Accepted::AlreadyAccepted(_)) {
            report.already_accepted.push(id.clone());
        }
        let list = match accepted {
            Accepted::Accepted(source) | Accepted::AlreadyAccepted(source) => match source {
                AcceptedSource::MayBeDeleted => &mut report.accepted,
                AcceptedSource::Left => &mut report.source_left,
                AcceptedSource::Gone => &mut report.source_gone,
                AcceptedSource::NotKnown => &mut report.source_not_known,
            },
            Accepted::SeveralPlaces => &mut report.several_places,
            Accepted::NotDoubtful => &mut report.nothing,
            Accepted::Unknown => &mut report.unknown,
        };
        list.push(id);
    }
    Ok(report)
}

impl fmt::Display for AcceptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: [(&[DocumentId], &str); 4] = [
            (&self.accepted, "its source may be deleted at ACS"),
            (
                &self.source_left,
                "its source is left at ACS, which deletes it when its retention ends",
            ),
            (&self.source_gone, "ACS no longer has its source"),
            (
                &self.source_not_known,
                "whether ACS has its source is not known, and nothing is deleted there",
            ),
        ];
        let mut lines: Vec<String> = Vec::new();
        for (list, source) in sources {
            lines.extend(list.iter().map(|id| self.line(id, source)));
        }
        let with_source = sources.iter().flat_map(|(list, _)| *list);
        let with_source: Vec<_> = with_source.collect();
        let places = self.already_accepted.iter();
        let places = places.filter(|id| !with_source.contains(id));
        lines.extend(places.map(|id| format!("{id}: this place was accepted already")));
        let groups: [(&[DocumentId], &str); 6] = [
            (
                &self.several_places,
                "is not accepted: events name several places for it, so say which is right with `--place`; `show` lists them",
            ),
            (&self.nothing, "is not in doubt; there is nothing to accept"),
            (&self.no_such_place, "has no such place; `show` lists them"),
            (
                &self.not_in_vault,
                "is not in the vault from that place, so that it cannot be accepted",
            ),
            (
                &self.being_exported,
                "is being exported or moved home; try again in a few minutes",
            ),
            (&self.unknown, "is not in the ledger"),
        ];
        for (list, what) in groups {
            lines.extend(list.iter().map(|id| format!("{id} {what}")));
        }
        if lines.is_empty() {
            return f.write_str("There is nothing to accept.");
        }
        visible::write_lines(f, &lines)
    }
}

impl AcceptReport {
    fn line(&self, id: &DocumentId, source: &str) -> String {
        if self.already_accepted.contains(id) {
            format!("{id} was accepted already; {source}")
        } else {
            format!("{id} is accepted; {source}")
        }
    }
}
