//! An interval in which events were lost, and what could be done about it.

use crate::ledger::{ByAction, Losses};

/// Told once it is over, or goes on for a second.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// Boot-clock time at which nothing had been lost yet, ns.
    pub start: u64,
    /// Boot-clock time at which the losses were known, ns.
    pub end: u64,
    /// What was lost.
    pub lost: Losses,
    /// What reconciliation rebuilt.
    pub recovered: ByAction,
}

impl Gap {
    /// Nothing was missing until `start`.
    pub fn since(start: u64) -> Self {
        Self { start, end: start, lost: Losses::default(), recovered: ByAction::default() }
    }

    /// Lost events that nothing stands for: the process is gone, or nobody knew of it.
    pub fn unrecovered(&self) -> u64 {
        self.lost.total().saturating_sub(self.recovered.iter().sum())
    }
}
