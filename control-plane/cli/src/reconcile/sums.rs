//! Books of many runs in a line. Decides, and neither reads nor writes.

use std::collections::BTreeMap;

use wanglou_api::fleet::v1::run_balance::State;
use wanglou_api::fleet::v1::{ReconcileRunsResponse, RunBalance};

use crate::failure::one_line;
use crate::units::count;

/// How many runs there are of each state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    balanced: u64,
    open: u64,
    pub(super) unbalanced: u64,
}

impl Runs {
    /// As the replica says when all have been told of.
    pub(super) fn of(last: &ReconcileRunsResponse) -> Self {
        Self {
            balanced: last.runs_balanced,
            open: last.runs_open,
            unbalanced: last.runs_unbalanced,
        }
    }

    pub(super) fn all(self) -> u64 {
        self.balanced.saturating_add(self.open).saturating_add(self.unbalanced)
    }

    /// `15 runs: 12 balanced, 2 open, 1 unbalanced`.
    pub(super) fn in_words(self) -> String {
        let all = self.all();
        let states =
            [(self.balanced, "balanced"), (self.open, "open"), (self.unbalanced, "unbalanced")];
        let states = states.into_iter().filter(|(number, _)| *number > 0);
        let states: Vec<_> = states.map(|(number, of)| format!("{} {of}", count(number))).collect();
        match all {
            0 => "no runs".to_owned(),
            1 => format!("1 run: {}", states.join(", ")),
            _ => format!("{} runs: {}", count(all), states.join(", ")),
        }
    }
}

/// Events of all runs that were told of, all actions together.
#[derive(Debug, Default)]
pub(super) struct Sums {
    produced: u64,
    stored: u64,
    in_flight: u64,
    missing: u64,
    lost: BTreeMap<String, u64>,
    /// Runs.
    pub(super) unbalanced: u64,
}

impl Sums {
    pub(super) fn add(&mut self, balance: &RunBalance) {
        let all = |counts: &BTreeMap<String, u64>| {
            counts.values().fold(0u64, |sum, count| sum.saturating_add(*count))
        };
        let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        add(&mut self.produced, all(&balance.produced));
        add(&mut self.stored, all(&balance.stored));
        add(&mut self.in_flight, all(&balance.in_flight));
        add(&mut self.missing, all(&balance.unexplained));
        for (cause, counts) in &balance.lost {
            add(self.lost.entry(cause.clone()).or_default(), all(&counts.counts));
        }
        self.unbalanced += u64::from(balance.state() == State::Unbalanced);
    }

    /// `1,204 events produced: 1,160 stored, 40 lost (ring_full 40), 4 in flight`.
    pub(super) fn in_words(&self) -> String {
        let lost = self.lost.values().fold(0u64, |sum, count| sum.saturating_add(*count));
        let causes = self.lost.iter().filter(|(_, sum)| **sum > 0);
        let causes: Vec<_> =
            causes.map(|(cause, sum)| format!("{} {}", one_line(cause), count(*sum))).collect();
        let mut parts = vec![format!("{} stored", count(self.stored))];
        parts.push(match causes.is_empty() {
            true => "none lost".to_owned(),
            false => format!("{} lost ({})", count(lost), causes.join(", ")),
        });
        for (number, what) in [(self.in_flight, "in flight"), (self.missing, "missing")] {
            if number > 0 {
                parts.push(format!("{} {what}", count(number)));
            }
        }
        format!("{} events produced: {}", count(self.produced), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use wanglou_api::sensor::v1::ActionCounts;

    use super::*;

    #[test]
    fn books_of_all_runs_fit_in_a_line() {
        let counts = |number| BTreeMap::from([("exec".to_owned(), number), ("end".to_owned(), 2)]);
        let balance = RunBalance {
            state: State::Unbalanced.into(),
            produced: counts(600),
            stored: counts(580),
            lost: [("ring_full".to_owned(), ActionCounts { counts: counts(10) })].into(),
            unexplained: [("exec".to_owned(), 8)].into(),
            ..RunBalance::default()
        };
        let mut sums = Sums::default();
        assert_eq!(sums.in_words(), "0 events produced: 0 stored, none lost");
        sums.add(&balance);
        sums.add(&balance);
        assert_eq!(
            sums.in_words(),
            "1,204 events produced: 1,164 stored, 24 lost (ring_full 24), 16 missing"
        );
        assert_eq!(sums.unbalanced, 2);
    }

    #[test]
    fn what_a_replica_says_of_numbers_is_never_too_much() {
        let last = ReconcileRunsResponse {
            runs_balanced: u64::MAX,
            runs_open: 1,
            ..ReconcileRunsResponse::default()
        };
        assert!(Runs::of(&last).in_words().ends_with(" balanced, 1 open"));
        let few = ReconcileRunsResponse { runs_open: 1, ..ReconcileRunsResponse::default() };
        assert_eq!(Runs::of(&few).in_words(), "1 run: 1 open");
    }
}
