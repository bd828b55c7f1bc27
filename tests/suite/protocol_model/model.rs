//! The protocol in small: one chunk, two processes that take its event, an operator who opens it again, a sweep, and a
//! kill. Each step is one request to the storage; in between, anybody else may act.
//!
//! It follows `export/ledger/{announcing,claiming,markers,writing}.rs` and `export/driver`: whoever changes one of them
//! changes this too.

use super::explorer::Model;

/// Openings that a run can reach; a guard.
const MOST_OPENINGS: u8 = 7;

/// How markers are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Only where the entry has reached the marker's opening.
    OutnumberedFirst,
    /// As soon as the entry is found settled: the hole that numbers close.
    AsSoonAsSettled,
}

/// When the audit record of a change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    BeforeTheEntry,
    /// A fault, to see that the model finds it.
    AfterTheEntry,
}

/// One chunk and everybody who moves it.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub removal: Removal,
    pub recording: Recording,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Pending,
    Exported,
    Deleted,
    GivenUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    phase: Phase,
    openings: u8,
    holder: Option<usize>,
}

impl Entry {
    fn is_open(&self) -> bool {
        match self.phase {
            Phase::Pending | Phase::Exported => true,
            Phase::Deleted | Phase::GivenUp => false,
        }
    }
}

/// The next request of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    // An event, and an operator's retry.
    Read,
    Record,
    Mark,
    Write,
    /// Of an entry that is open already.
    MarkAgain,
    // A drive.
    Look,
    Claim,
    Copy,
    RecordExported,
    ListExported,
    WriteExported,
    DeleteSource,
    RecordEnd(End),
    WriteEnd(End),
    RemoveMarker,
    // A sweep.
    Choose,
    LookAtMarked,
    Outnumber,
    Clear,
    Nothing,
}

/// How a drive ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    Deleted,
    GivenUp,
}

impl End {
    fn phase(self) -> Phase {
        match self {
            Self::Deleted => Phase::Deleted,
            Self::GivenUp => Phase::GivenUp,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Delivery,
    Operator,
    Sweep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Actor {
    role: Role,
    next: Next,
    is_dead: bool,
    /// Nobody has written the entry since this actor read it.
    is_current: bool,
    /// Of the entry as it was read.
    openings: u8,
    /// The marker that a sweep looks at.
    marker: u8,
    /// Markers that a sweep still looks at.
    looks_left: u8,
}

/// Everything that is stored, and where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct World {
    entry: Option<Entry>,
    /// A bit for each opening.
    markers: u8,
    is_listed: bool,
    /// A bit for each phase, and one for the opening by an operator.
    records: u8,
    has_source: bool,
    has_copy: bool,
    kills_left: u8,
    lapses_left: u8,
    actors: [Actor; 4],
}

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Request(usize, Next),
    Kill(usize),
    /// The claim's time is over, although its holder may be alive.
    Lapse(usize),
}

fn bit(number: u8) -> u8 {
    assert!(number <= MOST_OPENINGS, "it opens again and again");
    1 << number
}

fn record_of(phase: Phase) -> u8 {
    match phase {
        Phase::Pending => 1,
        Phase::Exported => 2,
        Phase::Deleted => 4,
        Phase::GivenUp => 8,
    }
}

impl World {
    /// A write that is conditional on what the actor has read. `None`: somebody else has written.
    fn put(&mut self, actor: usize, change: impl Fn(&mut Entry)) -> Option<()> {
        if !self.actors[actor].is_current {
            return None;
        }
        let mut entry = self.entry.unwrap_or(Entry {
            phase: Phase::Pending,
            openings: 0,
            holder: None,
        });
        change(&mut entry);
        self.entry = Some(entry);
        for other in &mut self.actors {
            other.is_current = false;
        }
        self.read(actor);
        Some(())
    }

    fn read(&mut self, actor: usize) {
        self.actors[actor].is_current = true;
        self.actors[actor].openings = self.entry.map_or(0, |entry| entry.openings);
    }

    fn go(mut self, actor: usize, next: Next) -> Self {
        let actor = &mut self.actors[actor];
        actor.next = next;
        if next == Next::Nothing {
            // What it knew makes no difference any more.
            (actor.is_current, actor.openings) = (false, 0);
            (actor.marker, actor.looks_left) = (0, 0);
        }
        self
    }

    fn end_of_turn(self, actor: usize) -> Self {
        match self.actors[actor].role {
            Role::Delivery | Role::Operator => self.go(actor, Next::Nothing),
            Role::Sweep => self.go(actor, Next::Choose),
        }
    }
}

impl Protocol {
    /// One request of an actor; every outcome that it may have.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other steps are those of the next function"
    )]
    fn request(self, world: &World, actor: usize, add: &mut dyn FnMut(World)) {
        let mut after = *world;
        let openings = world.actors[actor].openings;
        let is_operator = world.actors[actor].role == Role::Operator;
        match world.actors[actor].next {
            Next::Read => {
                after.read(actor);
                let next = match (is_operator, world.entry) {
                    (false, None) => Next::Record,
                    (false, Some(entry)) if entry.is_open() => Next::MarkAgain,
                    (true, Some(entry)) if entry.phase == Phase::GivenUp => Next::Record,
                    (false | true, _) => Next::Nothing,
                };
                add(after.go(actor, next));
            }
            Next::Record => {
                after.records |= record_of(Phase::Pending);
                add(after.go(actor, Next::Mark));
            }
            Next::Mark => {
                after.markers |= bit(openings + 1);
                add(after.go(actor, Next::Write));
            }
            Next::Write => {
                let written = after.put(actor, |entry| {
                    (entry.phase, entry.openings) = (Phase::Pending, openings + 1);
                });
                let next = match (written, is_operator) {
                    (None, _) => Next::Read,
                    (Some(()), true) => Next::Nothing,
                    (Some(()), false) => Next::Look,
                };
                add(after.go(actor, next));
            }
            Next::MarkAgain => {
                after.markers |= bit(openings);
                add(after.go(actor, Next::Look));
            }
            _ => self.drive_or_sweep(world, actor, add),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other steps are those of the next function"
    )]
    fn drive_or_sweep(self, world: &World, actor: usize, add: &mut dyn FnMut(World)) {
        let mut after = *world;
        match world.actors[actor].next {
            Next::Look => {
                after.read(actor);
                let is_due = world
                    .entry
                    .is_some_and(|entry| entry.is_open() && entry.holder.is_none());
                add(if is_due {
                    after.go(actor, Next::Claim)
                } else {
                    after.end_of_turn(actor)
                });
            }
            Next::Claim => {
                let is_exported = world.entry.map(|entry| entry.phase) == Some(Phase::Exported);
                let claimed = after.put(actor, |entry| entry.holder = Some(actor));
                add(match claimed {
                    None => after.end_of_turn(actor),
                    Some(()) if is_exported => after.go(actor, Next::DeleteSource),
                    Some(()) => after.go(actor, Next::Copy),
                });
            }
            Next::Copy => {
                if world.has_source {
                    after.has_copy = true;
                    add(after.go(actor, Next::RecordExported));
                }
                // ACS refuses, or has lost it.
                add(world.go(actor, Next::RecordEnd(End::GivenUp)));
            }
            Next::RecordExported => {
                if self.recording == Recording::BeforeTheEntry {
                    after.records |= record_of(Phase::Exported);
                }
                add(after.go(actor, Next::ListExported));
            }
            Next::ListExported => {
                after.is_listed = true;
                add(after.go(actor, Next::WriteExported));
            }
            Next::WriteExported => {
                let written = after.put(actor, |entry| entry.phase = Phase::Exported);
                add(match written {
                    None => after.end_of_turn(actor),
                    Some(()) => after.go(actor, Next::DeleteSource),
                });
            }
            Next::DeleteSource => {
                after.has_source = false;
                add(after.go(actor, Next::RecordEnd(End::Deleted)));
            }
            _ => self.end_or_sweep(world, actor, add),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other steps are those of the next function"
    )]
    fn end_or_sweep(self, world: &World, actor: usize, add: &mut dyn FnMut(World)) {
        let mut after = *world;
        match world.actors[actor].next {
            Next::RecordEnd(end) => {
                after.records |= record_of(end.phase());
                add(after.go(actor, Next::WriteEnd(end)));
            }
            Next::WriteEnd(end) => {
                let written = after.put(actor, |entry| {
                    (entry.phase, entry.holder) = (end.phase(), None);
                });
                add(match written {
                    None => after.end_of_turn(actor),
                    Some(()) => after.go(actor, Next::RemoveMarker),
                });
            }
            Next::RemoveMarker => {
                after.markers &= !bit(world.actors[actor].openings);
                add(after.end_of_turn(actor));
            }
            _ => self.sweep(world, actor, add),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other steps are those of the next function"
    )]
    fn sweep(self, world: &World, actor: usize, add: &mut dyn FnMut(World)) {
        let mut after = *world;
        let marker = world.actors[actor].marker;
        match world.actors[actor].next {
            Next::Choose => {
                let looks_left = world.actors[actor].looks_left;
                for marker in (0..=MOST_OPENINGS).filter(|marker| world.markers & bit(*marker) != 0)
                {
                    if looks_left > 0 {
                        let mut after = *world;
                        after.actors[actor].marker = marker;
                        after.actors[actor].looks_left -= 1;
                        add(after.go(actor, Next::LookAtMarked));
                    }
                }
                add(after.go(actor, Next::Nothing));
            }
            Next::LookAtMarked => {
                after.read(actor);
                add(match world.entry {
                    // It is about to be written.
                    None => after.end_of_turn(actor),
                    Some(entry) if entry.is_open() => {
                        after.markers |= bit(entry.openings);
                        after.go(actor, Next::Look)
                    }
                    Some(entry)
                        if marker > entry.openings && self.removal == Removal::OutnumberedFirst =>
                    {
                        after.go(actor, Next::Outnumber)
                    }
                    Some(_) => after.go(actor, Next::Clear),
                });
            }
            Next::Outnumber => {
                let written = after.put(actor, |entry| entry.openings = marker);
                add(match written {
                    None => after.end_of_turn(actor),
                    Some(()) => after.go(actor, Next::Clear),
                });
            }
            Next::Clear => {
                after.markers &= !bit(marker);
                add(after.end_of_turn(actor));
            }
            _ => {}
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        let actor = |role, next| Actor {
            role,
            next,
            is_dead: false,
            is_current: false,
            openings: 0,
            marker: 0,
            looks_left: 1,
        };
        World {
            entry: None,
            markers: 0,
            is_listed: false,
            records: 0,
            has_source: true,
            has_copy: false,
            kills_left: 1,
            lapses_left: 1,
            actors: [
                actor(Role::Delivery, Next::Read),
                actor(Role::Delivery, Next::Read),
                actor(Role::Operator, Next::Read),
                actor(Role::Sweep, Next::Choose),
            ],
        }
    }

    fn steps(&self, world: &World, add: &mut dyn FnMut(Step, World)) {
        for (number, actor) in world.actors.iter().enumerate() {
            if actor.is_dead || actor.next == Next::Nothing {
                continue;
            }
            let step = Step::Request(number, actor.next);
            self.request(world, number, &mut |after| add(step, after));
            if world.kills_left > 0 {
                let mut after = *world;
                after.kills_left -= 1;
                after.actors[number].is_dead = true;
                add(Step::Kill(number), after.go(number, Next::Nothing));
            }
        }
        let Some(entry) = world.entry else { return };
        let Some(holder) = entry.holder else { return };
        let is_dead = world.actors[holder].is_dead;
        if is_dead || world.lapses_left > 0 {
            let mut after = *world;
            after.lapses_left -= u8::from(!is_dead);
            // Nothing is written: a holder that goes on is stopped only by who takes over.
            after.entry = Some(Entry {
                holder: None,
                ..entry
            });
            add(Step::Lapse(holder), after);
        }
    }

    fn problem(&self, world: &World, is_last: bool) -> Option<String> {
        let deleted_at_acs = !world.has_source;
        if deleted_at_acs && !world.has_copy {
            return Some("the source is deleted, and there is no copy".to_owned());
        }
        let entry = world.entry?;
        if entry.is_open() && world.markers & bit(entry.openings) == 0 {
            return Some("the entry is open, and no marker leads to it".to_owned());
        }
        if world.records & record_of(entry.phase) == 0 {
            return Some(format!(
                "the entry is {:?}, and no record says so",
                entry.phase
            ));
        }
        match entry.phase {
            Phase::Exported | Phase::Deleted if !world.is_listed => {
                Some("the copy is proved, and not listed".to_owned())
            }
            Phase::Exported | Phase::Deleted if !world.has_copy => {
                Some("the entry names a copy that is not there".to_owned())
            }
            Phase::GivenUp if is_last && deleted_at_acs => {
                Some("the chunk is given up, and its source was deleted".to_owned())
            }
            Phase::Pending | Phase::Exported | Phase::Deleted | Phase::GivenUp => None,
        }
    }
}
