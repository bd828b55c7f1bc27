//! Account, marker and entry of one chunk in small: an event that is delivered twice, an erasure of its recording, a sweep, and
//! a kill. Each step is one request to the storage, or one step of the erasure that tolerates others in between.
//!
//! It follows `intake/{ahead,chunks}.rs`, `control/register/changing.rs` and `catalogue/erasing/recording.rs`:
//! a change of one of them is made here too.

use super::explorer::Model;

/// What a delivery writes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The account names the chunk before there is an entry; the marker is written beside the account.
    AccountFirst,
    /// A fault, to see that the model finds it.
    EntryBesideAccount,
}

/// One recording with one chunk.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    pub order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Entry {
    Absent,
    /// Recorded and claimed by a delivery, and not exported.
    Open,
    Exported,
    /// Removed, or never to be exported.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Progress {
    Working,
    Done,
    Dead,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a step or a fact of the model"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Delivery {
    progress: Progress,
    has_read: bool,
    /// Nobody has written the account since it was read.
    is_current: bool,
    /// What the account said.
    is_erased: bool,
    has_marked: bool,
    has_written_account: bool,
    has_written_entry: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Erasure {
    Begins,
    RemovesKnown,
    ErasesAccount,
    ClosesAnnounced,
    /// It reports that all is erased.
    Done,
    /// It reports what is left.
    Left,
}

/// Everything that is stored, and where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stored {
    is_erased: bool,
    /// The account names the chunk.
    is_named: bool,
    has_marker: bool,
    entry: Entry,
    deliveries: [Delivery; 2],
    erasure: Erasure,
    sweeps_left: u8,
    kills_left: u8,
}

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    ReadAccount(usize),
    WriteAccount(usize),
    Mark(usize),
    WriteEntry(usize),
    Close(usize),
    Export(usize),
    Kill(usize),
    Erase(Erasing),
    Sweep,
}

/// A step of the erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    Look,
    RemoveKnown,
    EraseAccount,
    CloseAnnounced,
}

impl Stored {
    fn account_is_written(&mut self) {
        for delivery in &mut self.deliveries {
            delivery.is_current = false;
        }
    }

    fn read_account(&mut self, number: usize) {
        let is_erased = self.is_erased;
        let delivery = &mut self.deliveries[number];
        (delivery.has_read, delivery.is_current) = (true, true);
        delivery.is_erased = is_erased;
    }
}

impl Accounts {
    fn deliver(self, state: &Stored, number: usize, add: &mut dyn FnMut(Step, Stored)) {
        let delivery = state.deliveries[number];
        if delivery.progress != Progress::Working {
            return;
        }
        if state.kills_left > 0 {
            let mut after = *state;
            after.kills_left -= 1;
            after.deliveries[number].progress = Progress::Dead;
            add(Step::Kill(number), after);
        }
        let mut after = *state;
        if !delivery.has_read {
            after.read_account(number);
            add(Step::ReadAccount(number), after);
            return;
        }
        if !delivery.has_written_account {
            if delivery.is_current {
                after.is_named = true;
                after.account_is_written();
                after.deliveries[number].has_written_account = true;
                after.deliveries[number].is_erased = state.is_erased;
            } else {
                // The conflict shows the current account.
                after.read_account(number);
            }
            add(Step::WriteAccount(number), after);
        }
        let mut after = *state;
        if !delivery.has_marked && !delivery.is_erased {
            after.has_marker = true;
            after.deliveries[number].has_marked = true;
            add(Step::Mark(number), after);
        }
        self.write_entry(state, number, add);
    }

    fn write_entry(self, state: &Stored, number: usize, add: &mut dyn FnMut(Step, Stored)) {
        let delivery = state.deliveries[number];
        let mut after = *state;
        let may_follow = match self.order {
            Order::AccountFirst => delivery.has_written_account,
            Order::EntryBesideAccount => true,
        };
        if may_follow && delivery.has_marked && !delivery.is_erased && !delivery.has_written_entry {
            if state.entry == Entry::Absent {
                after.entry = Entry::Open;
            }
            after.deliveries[number].has_written_entry = true;
            add(Step::WriteEntry(number), after);
            return;
        }
        if !delivery.has_written_account {
            return;
        }
        if delivery.is_erased {
            // The claim on its own entry is given back: nothing of it is exported.
            if state.entry == Entry::Absent
                || (state.entry == Entry::Open && delivery.has_written_entry)
            {
                after.entry = Entry::Closed;
            }
            after.deliveries[number].progress = Progress::Done;
            add(Step::Close(number), after);
        } else if delivery.has_written_entry {
            if state.entry == Entry::Open {
                after.entry = Entry::Exported;
            }
            after.deliveries[number].progress = Progress::Done;
            add(Step::Export(number), after);
        }
    }
}

fn erase(state: &Stored, add: &mut dyn FnMut(Step, Stored)) {
    let mut after = *state;
    let step = match state.erasure {
        Erasure::Begins => {
            // A chunk that the account names is exported first.
            let is_left = state.is_named && matches!(state.entry, Entry::Absent | Entry::Open);
            after.erasure = if is_left {
                Erasure::Left
            } else {
                Erasure::RemovesKnown
            };
            Erasing::Look
        }
        Erasure::RemovesKnown => {
            if state.is_named && state.entry == Entry::Exported {
                after.entry = Entry::Closed;
            }
            after.erasure = Erasure::ErasesAccount;
            Erasing::RemoveKnown
        }
        Erasure::ErasesAccount => {
            after.is_erased = true;
            after.account_is_written();
            after.erasure = Erasure::ClosesAnnounced;
            Erasing::EraseAccount
        }
        Erasure::ClosesAnnounced => {
            after.erasure = Erasure::Done;
            match (state.is_named, state.entry) {
                (true, Entry::Open) => after.erasure = Erasure::Left,
                (true, Entry::Absent | Entry::Exported | Entry::Closed) => {
                    after.entry = Entry::Closed;
                }
                (false, _) => {}
            }
            Erasing::CloseAnnounced
        }
        Erasure::Done | Erasure::Left => return,
    };
    add(Step::Erase(step), after);
}

impl Model for Accounts {
    type State = Stored;
    type Step = Step;

    fn start(&self) -> Stored {
        let delivery = Delivery {
            progress: Progress::Working,
            has_read: false,
            is_current: false,
            is_erased: false,
            has_marked: false,
            has_written_account: false,
            has_written_entry: false,
        };
        Stored {
            is_erased: false,
            is_named: false,
            has_marker: false,
            entry: Entry::Absent,
            deliveries: [delivery; 2],
            erasure: Erasure::Begins,
            sweeps_left: 2,
            kills_left: 1,
        }
    }

    fn steps(&self, state: &Stored, add: &mut dyn FnMut(Step, Stored)) {
        for number in 0..state.deliveries.len() {
            self.deliver(state, number, add);
        }
        erase(state, add);
        if state.sweeps_left > 0 {
            let mut after = *state;
            after.sweeps_left -= 1;
            // Any claim may have run out.
            if state.has_marker && state.entry == Entry::Open {
                after.entry = Entry::Exported;
            }
            add(Step::Sweep, after);
        }
    }

    fn problem(&self, state: &Stored, _is_last: bool) -> Option<String> {
        if state.entry == Entry::Open && !state.has_marker {
            return Some("the chunk is open, and no marker leads to it".to_owned());
        }
        if state.erasure == Erasure::Done && state.entry == Entry::Exported {
            return Some("the chunk is exported although its recording is erased".to_owned());
        }
        let is_acknowledged = state
            .deliveries
            .iter()
            .any(|delivery| delivery.progress == Progress::Done);
        if is_acknowledged && state.entry == Entry::Absent {
            return Some("the event is acknowledged, and its chunk is not recorded".to_owned());
        }
        None
    }
}
