//! When to look through all sockets for what was missed of them.

const EVERY_NS: u64 = 1_000_000_000;
/// Turns that are skipped one after another are looked for once in so many.
const PATIENCE: u32 = 10;
/// Flows are told of once in so many turns.
const FLOWS_EVERY: u32 = 10;

/// The table is as long as there are connections, so it is looked through only for a reason.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: u64,
    waiting: u64,
    skipped: u64,
    put_off: u32,
    turns: u32,
}

impl Sweep {
    /// Whether it is time to think about it, by the boot clock.
    pub(super) fn is_its_turn(&mut self, now: u64) -> bool {
        let turn = now >= self.next;
        if turn {
            self.next = now + EVERY_NS;
        }
        turn
    }

    /// `waiting` connections have ever waited for their owner, `settled` of them wait no more, and
    /// `skipped` changes of state were seen by half our programs. One that waited the last time and
    /// still does is a reason at once; the rest is one now and then.
    pub(super) fn is_due(&mut self, waiting: u64, settled: u64, skipped: u64) -> bool {
        let overdue = settled < self.waiting;
        let maybe = settled < waiting || skipped > self.skipped;
        self.waiting = waiting;
        self.put_off = if maybe { self.put_off + 1 } else { 0 };
        let due = overdue || self.put_off > PATIENCE;
        if due {
            (self.put_off, self.skipped) = (0, skipped);
        }
        due
    }

    /// Whether flows are to be told of: once in so many turns.
    pub(super) fn are_flows_due(&mut self) -> bool {
        self.turns = (self.turns + 1) % FLOWS_EVERY;
        self.turns == 0
    }

    /// Whether there is anything to look for at the end.
    pub(super) fn is_due_at_last(&self, skipped: u64) -> bool {
        skipped > self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_before_and_still_does_is_looked_for() {
        let mut sweep = Sweep::default();
        assert!(!sweep.is_due(10, 9, 0));
        assert!(sweep.is_due(10, 9, 0));
        assert!(!sweep.is_due(10, 10, 0));
    }

    #[test]
    fn what_may_wait_behind_others_is_looked_for_in_the_end() {
        let mut sweep = Sweep::default();
        let looked = (1..=40).filter(|n| sweep.is_due(n * 100, n * 100 - 1, 0)).count();
        assert_eq!(looked, 3);
    }

    #[test]
    fn nothing_is_looked_for_without_a_reason() {
        let mut sweep = Sweep::default();
        assert!((0..100).all(|n| !sweep.is_due(n, n, 0)));
    }
}
