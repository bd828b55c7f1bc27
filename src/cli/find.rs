//! `recording-vault find`: searches recordings by any known property, newest first, as the API and the page do.

use std::fmt;
use std::num::NonZeroU32;

use clap::Args;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::label;
use recording_vault::catalogue::list::ListFilter;
use recording_vault::catalogue::not_searched::NotSearched;
use recording_vault::catalogue::row::Row;
use recording_vault::catalogue::search::invalid_period;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::visible;
use serde::Serialize;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::list;
use super::output::Output;
use super::shell_user;
use super::table::Table;

/// How many are listed, where the command line does not say.
const MOST: NonZeroU32 = NonZeroU32::new(100).expect("it is not zero");
/// Recordings that are read at a time.
const PAGE: usize = 100;
/// The characters of an id that a table shows: enough to tell two calls apart.
const SHORT: usize = 13;

/// The arguments of `find`.
#[derive(Args)]
pub struct Find {
    /// An id of a recording, call, chunk or person; a day, a month, or two with `..` between; a standing, such as verified; the
    /// text of a case
    #[arg(required = true)]
    text: Vec<String>,
    /// List at most this many recordings
    #[arg(long, default_value_t = MOST, value_parser = argument::count)]
    top: NonZeroU32,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Found {
    #[serde(skip)]
    text: String,
    pub recordings: Vec<Row>,
    /// More were found than are listed.
    #[serde(rename = "hasMore")]
    has_more: bool,
    /// What the search could not look into.
    #[serde(rename = "notSearched", skip_serializing_if = "Option::is_none")]
    pub not_searched: Option<NotSearched>,
}

impl Find {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let text = match argument::text(&self.text.join(" ")) {
            Ok(text) => text,
            Err(problem) => {
                return Ok(output.refuse(format!("invalid text to find: {problem}"))?);
            }
        };
        if let Some(problem) = invalid_period(&text) {
            return Ok(output.refuse(format!("`{text}`: {problem}"))?);
        }
        let app = existing::open(config).await?;
        let top = usize::try_from(self.top.get()).unwrap_or(usize::MAX);
        let found = find(&app, text, top).await?;
        output.report(&found)?;
        Ok(Exit::fine_if(
            !found.recordings.is_empty() && found.is_all_searched(),
        ))
    }
}

/// The first `top` recordings that a text finds: what a case or a person names, then the newest.
///
/// # Errors
/// When the ledger fails.
pub async fn find(app: &App, text: String, top: usize) -> Result<Found, CatalogueError> {
    let (mut recordings, mut filter) = (Vec::new(), ListFilter::default());
    let mut not_searched: Option<NotSearched> = None;
    loop {
        filter.top = PAGE.min(top - recordings.len()).max(1);
        let page = app
            .catalogue
            .search(&text, filter.clone(), &shell_user::operator())
            .await?;
        recordings.extend(page.recordings);
        if let Some(of_page) = page.not_searched {
            not_searched.get_or_insert_default().merge(of_page);
        }
        // A continuation that was just issued can be read.
        filter.after = page.continuation.and_then(|place| place.parse().ok());
        if filter.after.is_none() || recordings.len() >= top {
            let has_more = filter.after.is_some();
            recordings.truncate(top);
            return Ok(Found {
                text,
                recordings,
                has_more,
                not_searched,
            });
        }
    }
}

fn shortened(id: &str) -> String {
    if id.chars().count() <= SHORT {
        return id.to_owned();
    }
    id.chars().take(SHORT - 1).chain(['…']).collect()
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.recordings.is_empty() {
            visible::write_part(f, format_args!("No recording matches `{}`", self.text))?;
            // It may also be a part of the name of a case.
            if let Some(state) = list::state_of_chunks(&self.text) {
                visible::write_part(
                    f,
                    format_args!(
                        "; it is a state of chunks: `recording-vault list --state {state}` lists them."
                    ),
                )?;
                return self.write_not_searched(f);
            }
            f.write_str(match argument::day(&self.text) {
                Ok(_) if argument::is_day_of_other_notation(&self.text) => {
                    "; a day is written as 2026-03-02."
                }
                Ok(_) => ".",
                Err(_) => ", and the calendar has no such day.",
            })?;
            return self.write_not_searched(f);
        }
        let mut table = Table::new(&["started", "call", "standing", "size", "chunks"]);
        for row in &self.recordings {
            let started = row.started_at.map_or_else(
                || "unknown".to_owned(),
                |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            );
            // A recording that runs has no callId yet.
            let call = row.call_id.as_deref().or(row.server_call_id.as_deref());
            let call = call.unwrap_or("unknown");
            let size = row.size_bytes.map_or_else(|| "-".to_owned(), label::size);
            let standing = row.status.name().to_owned();
            let held = if row.held { ", held" } else { "" };
            let chunks = format!("{}{held}", row.chunks);
            table.row([started, shortened(call), standing, size, chunks]);
            table.note(row.recording_id.as_str());
        }
        table.fmt(f)?;
        let recordings = counted(self.recordings.len(), "recording", "recordings");
        let more = if self.has_more {
            "; there are more: give --top"
        } else {
            ""
        };
        visible::write_line(f, format_args!("{recordings}{more}."))?;
        self.write_not_searched(f)
    }
}

impl Found {
    fn is_all_searched(&self) -> bool {
        self.not_searched
            .as_ref()
            .is_none_or(NotSearched::is_nothing)
    }

    fn write_not_searched(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.not_searched {
            Some(not_searched) if !not_searched.is_nothing() => {
                f.write_str("\n")?;
                fmt::Display::fmt(not_searched, f)
            }
            Some(_) | None => Ok(()),
        }
    }
}
