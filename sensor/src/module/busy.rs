//! What a module takes of the CPU, measured at one event in so many: asking takes a system call.

use rustix::time::{ClockId, clock_gettime};

/// A prime: many things come in fours.
const ONE_IN: u32 = 61;
/// Questions that tell what a question takes.
const TRIES: u32 = 16;

/// Asks.
#[derive(Debug)]
pub(super) struct Busy {
    turn: u32,
    /// CPU time between two questions with nothing between them, ns.
    itself: u64,
}

impl Busy {
    /// Learns what asking takes.
    pub(super) fn new() -> Self {
        let itself = (0..TRIES).map(|_| thread_ns().abs_diff(thread_ns())).min();
        Self { turn: 0, itself: itself.unwrap_or(0) }
    }

    /// The CPU time now if this is one that is measured.
    pub(super) fn begin(&mut self) -> Option<u64> {
        self.turn = (self.turn + 1) % ONE_IN;
        (self.turn == 0).then(thread_ns)
    }

    /// What all like it took, ns.
    pub(super) fn end(&self, began: Option<u64>) -> u64 {
        let took = |began: u64| thread_ns().saturating_sub(began).saturating_sub(self.itself);
        began.map_or(0, |began| took(began) * u64::from(ONE_IN))
    }
}

fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_of_many_took_stands_for_all() {
        let mut busy = Busy::new();
        let (mut told, mut taken) = (0, 0);
        for _ in 0..ONE_IN * 4 {
            let (before, began) = (thread_ns(), busy.begin());
            while thread_ns() < before + 20_000 {}
            told += busy.end(began);
            taken += thread_ns() - before;
        }
        assert!(told.abs_diff(taken) < taken / 2, "{told} of {taken} ns");
    }
}
