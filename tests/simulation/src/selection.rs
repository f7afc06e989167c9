//! Which faults and turns of a world may happen: all of them, or those of some numbers. A failing world is made smaller
//! by letting fewer happen (`shrink`).

use std::collections::BTreeSet;

/// What may happen in a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Numbers of the faults; all when absent.
    pub faults: Option<BTreeSet<u64>>,
    /// Numbers of the turns, which are what people and fate do (edits, kills, storms); all when absent.
    pub turns: Option<BTreeSet<u64>>,
    /// What luck and every delay are drawn from instead of the seed: whoever gives it chooses what happens, and in which
    /// order. Once it is used up nothing goes wrong any more.
    pub luck: Option<Vec<u8>>,
}

/// Something that happened in a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Its number, among the faults or among the turns.
    pub number: u64,
    /// What it was, for people.
    pub what: String,
}

/// Counts what would happen, and lets happen what is selected.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    selected: Option<BTreeSet<u64>>,
    next: u64,
    happened: Vec<Happened>,
}

impl Ledger {
    pub(super) fn new(selected: Option<BTreeSet<u64>>) -> Self {
        Self { selected, ..Self::default() }
    }

    /// Something is about to happen: whether it may.
    pub(super) fn lets(&mut self, what: impl FnOnce() -> String) -> bool {
        let number = self.next;
        self.next += 1;
        let lets = self.selected.as_ref().is_none_or(|selected| selected.contains(&number));
        if lets {
            self.happened.push(Happened { number, what: what() });
        }
        lets
    }

    pub(super) fn happened(&self) -> Vec<Happened> {
        self.happened.clone()
    }
}
