//! An interval in which events were lost.

use crate::outlets::Holes;

/// Told once it is over, or goes on for a second. What was lost in it, each output knows for itself.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// Boot-clock time at which nothing had been lost yet, ns.
    pub start: u64,
    /// Boot-clock time at which the losses were known, ns.
    pub end: u64,
    /// What it means for the process table.
    pub holes: Holes,
}

impl Gap {
    /// Nothing was missing until `start`.
    pub fn since(start: u64) -> Self {
        Self { start, end: start, holes: Holes::None }
    }
}
