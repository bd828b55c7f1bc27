//! Evaluates a fragmented file once its boxes are known. It reads no fragment.

use std::time::Duration;

use super::fragments::{Fragment, TrackTimes};
use super::movie::Movie;
use super::{Walk, cut_off};
use crate::media::found::{Coverage, Flaw, Length, Track};
use crate::media::plausibility;
use crate::media::seen::Stop;

/// Bytes after the last fragment that may be no box.
const JUNK_BYTES: u64 = 64 * 1024;
/// Bytes of the last fragment that its headers may declare too many.
const FEW_BYTES: u64 = 2048;

impl Walk<'_> {
    pub(super) fn conclude_fragmented(&mut self, movie: &Movie) -> Result<(), Stop> {
        self.note_broken_chain();
        self.found.is_sampled = self.top.unseen_from.is_some();
        if self.top.has_unknown_end {
            self.found.coverage = Coverage::ReadsRanOut;
            return Ok(());
        }
        let times = TrackTimes::of_all(movie, &self.top.fragments, self.top.unseen_from);
        let ends_at = self.measure_fragments(movie, &times);
        if times.iter().any(|times| times.is_media && times.goes_back) {
            let at_byte = self.top.fragments.last().map_or(0, |last| last.start);
            self.found.add_flaw(Flaw::SecondFile { at_byte });
        }
        self.note_unplayable_tracks(movie)?;
        if let Some(flaw) = self.missing_fragment_media(movie) {
            self.found.add_flaw(flaw);
        } else if let Some(flaw) = self.misplaced_fragment(movie) {
            self.found.add_flaw(flaw);
        }
        self.note_missing_fragments(movie, ends_at);
        let ends_unseen = times
            .iter()
            .any(|times| times.is_media && times.ends_unseen);
        if ends_unseen || (self.found.length == Length::Unknown && self.top.unseen_from.is_some()) {
            self.found.coverage = Coverage::ReadsRanOut;
        }
        Ok(())
    }

    /// Adds the flaw of bytes that are no box where one should begin.
    fn note_broken_chain(&mut self) {
        let total = self.boxes.seen.total_bytes();
        let broken_at = self.boxes.seen.boxes.broken_at;
        let broken_at = self.top.junk_at.into_iter().chain(broken_at).min();
        if let Some(at_byte) = broken_at.filter(|at| total.saturating_sub(*at) > JUNK_BYTES) {
            self.found.add_flaw(Flaw::Hole { at_byte });
        }
    }

    /// Adds tracks, length and gaps by the times of the fragments. Returns when the last one ends.
    fn measure_fragments(&mut self, movie: &Movie, times: &[TrackTimes]) -> Option<Duration> {
        let media = || times.iter().filter(|times| times.is_media);
        let starts_at = media().filter_map(|times| times.begins).min();
        let starts_at = starts_at.unwrap_or_default();
        self.found.tracks = movie
            .tracks
            .iter()
            .zip(times)
            .map(|(track, times)| Track {
                duration: times.plays(),
                ends: times.ends_after(starts_at),
                bytes_per_second: times.bytes_per_second,
                ..track.tell(movie)
            })
            .collect();
        let found = media()
            .filter_map(|times| times.ends_after(starts_at))
            .max();
        self.found.length = found.map_or(Length::Unknown, Length::Exact);
        // A clock that is ahead because the first fragments are missing says nothing.
        let first = self.top.fragments.first();
        if first.is_none_or(Fragment::may_be_first) {
            self.found.starts_at = starts_at;
        }
        self.found.gaps = media().map(|times| times.gaps).max().unwrap_or_default();
        Some(found?.saturating_add(starts_at))
    }

    /// Adds the flaw of a file whose headers list more than its fragments hold.
    fn note_missing_fragments(&mut self, movie: &Movie, ends_at: Option<Duration>) {
        let total = self.boxes.seen.total_bytes();
        let indexed_end = self.top.indexed_end;
        if let Some(declared_bytes) =
            indexed_end.filter(|end| end.saturating_sub(total) > FEW_BYTES)
        {
            self.found
                .add_flaw(Flaw::ShorterThanItsHeaders { declared_bytes });
        }
        if let (Some(promised), Some(found)) = (movie.promised(), ends_at)
            && promised > found.saturating_add(plausibility::tolerance(promised))
        {
            self.found
                .add_flaw(Flaw::FewerFragments { promised, found });
        }
    }

    /// Adds the flaw of a track of a fragmented file that cannot be played. Where fragments were passed over, the media of
    /// `moov` itself may be among what was not seen.
    fn note_unplayable_tracks(&mut self, movie: &Movie) -> Result<(), Stop> {
        for track in movie.tracks.iter().filter(|track| track.is_media()) {
            if !track.is_playable(&self.boxes)? {
                self.found.add_flaw(Flaw::NotPlayable);
            }
            if self.top.unseen_from.is_none()
                && let Some(flaw) = track.misplaced_chunk(&self.boxes, &self.top.media)?
            {
                self.found.add_flaw(flaw);
            }
        }
        Ok(())
    }

    fn missing_fragment_media(&self, movie: &Movie) -> Option<Flaw> {
        let total = self.boxes.seen.total_bytes();
        let mut ends = self
            .top
            .fragments
            .iter()
            .map(|fragment| fragment.media_end(movie));
        if let Some(declared_bytes) = ends.clone().flatten().filter(|end| *end > total).max() {
            return Some(Flaw::ShorterThanItsHeaders { declared_bytes });
        }
        // Media that cannot be shown to exist counts as cut off. What follows it in its box may be other fragments.
        let last = ends.next_back().flatten();
        let is_shown = last.is_some_and(|end| total.saturating_sub(end) <= FEW_BYTES);
        match &self.top.beyond {
            Some(beyond) if &beyond.kind == b"mdat" && is_shown => None,
            Some(beyond) if matches!(&beyond.kind, b"mdat" | b"moof") => Some(cut_off(beyond)),
            Some(_) | None => None,
        }
    }

    /// The flaw of the first fragment that refers to no track, or to media where none can be.
    fn misplaced_fragment(&self, movie: &Movie) -> Option<Flaw> {
        let is_complete = self.top.unseen_from.is_none();
        let compressed = movie.compressed_tracks();
        self.top.fragments.iter().find_map(|fragment| {
            if is_complete && fragment.has_unreadable_part() {
                return Some(Flaw::NotPlayable);
            }
            fragment.media_starts().find_map(|(track, at_byte)| {
                if is_complete && !self.top.media.contains(at_byte) {
                    return Some(Flaw::MediaMissing { at_byte });
                }
                let is_compressed = track.is_some_and(|track| compressed.contains(&track));
                let is_hole = is_compressed && self.boxes.seen.has_zeros_at(at_byte);
                is_hole.then_some(Flaw::Hole { at_byte })
            })
        })
    }
}
