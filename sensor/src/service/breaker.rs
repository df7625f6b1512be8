//! When the sensor stops itself: a state machine without a clock of its own.

use std::fmt;
use std::time::Duration;

use wanglou_sensor_common::SHED_MOST;

use crate::action::Category;

/// What the sensor may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// CPU of supervisor, worker and probes together, percent of one core.
    pub cpu_percent: f64,
    /// Resident memory of supervisor and worker together, bytes.
    pub memory_bytes: u64,
    /// Seconds in a row, a sample each, that it may be exceeded.
    pub samples: u32,
    /// How long the sensor rests after the first time, seconds.
    pub cooldown_seconds: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu_percent: 5.0, memory_bytes: 64 << 20, samples: 10, cooldown_seconds: 60 }
    }
}

/// What it costs in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Of its processes, percent of one core.
    pub(crate) process_percent: f64,
    /// Of its probes, in whatever process they ran, by what they are about.
    pub(crate) probes_percent: [f64; Category::ALL.len()],
    /// Resident memory, bytes.
    pub(crate) memory_bytes: u64,
}

impl Usage {
    fn cpu_percent(&self) -> f64 {
        self.process_percent + self.all_probes_percent()
    }

    /// Of all probes.
    pub(crate) fn all_probes_percent(&self) -> f64 {
        self.probes_percent.iter().sum()
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} % of a core ({:.1} in processes, {:.1} in probes) and {:.1} MB",
            self.cpu_percent(),
            self.process_percent,
            self.all_probes_percent(),
            self.memory_bytes as f64 / f64::from(1 << 20)
        )
    }
}

/// What a sample led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    GoOn,
    /// It is too much: rest for so long.
    Trip(Duration),
    /// From now on events are given up that are worth less than this level, or fewer of them than until now.
    Shed(u32),
    /// It has been well for long enough after a rest.
    Recovered,
}

/// So far over the budget, a few samples are enough.
const FAR_OVER: f64 = 10.0;
const FEW: u32 = 3;
/// The longest rest.
const LONGEST: Duration = Duration::from_secs(3600);

/// Counts samples.
#[derive(Debug)]
pub(super) struct Breaker {
    budget: Budget,
    /// Samples in a row that are over the budget, far over it, within it.
    over: u32,
    far_over: u32,
    within: u32,
    /// Rests since the last recovery.
    rests: u32,
    /// What is given up.
    level: u32,
}

impl Breaker {
    /// Closed.
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, over: 0, far_over: 0, within: 0, rests: 0, level: 0 }
    }

    /// Goes by another budget from now on.
    pub(super) fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Whether the next sample may be one too many.
    pub(super) fn is_wary(&self) -> bool {
        self.over > 0 || self.rests > 0
    }

    /// Takes a second's usage; asks for less only of one that can give up a part.
    pub(super) fn sample(&mut self, usage: &Usage, can_shed: bool) -> Verdict {
        let share = (usage.cpu_percent() / self.budget.cpu_percent)
            .max(usage.memory_bytes as f64 / self.budget.memory_bytes as f64);
        let count =
            |counter: &mut u32, counts: bool| *counter = if counts { *counter + 1 } else { 0 };
        count(&mut self.over, share > 1.0);
        count(&mut self.far_over, share > FAR_OVER);
        count(&mut self.within, share <= 1.0);
        let enough = self.budget.samples;
        // After a rest it has to show first that all is well.
        let patience = if self.rests > 0 { enough.min(FEW) } else { enough };
        if self.over >= patience || self.far_over >= enough.min(FEW) {
            let rest = self.rest();
            (self.over, self.far_over, self.within) = (0, 0, 0);
            self.rests += 1;
            // It begins again with what is cheapest for what it tells: the rest follows once all is well.
            self.level = SHED_MOST - 1;
            return Verdict::Trip(rest);
        }
        if self.within >= enough {
            self.within = 0;
            if self.level > 0 {
                self.level -= 1;
                return Verdict::Shed(self.level);
            }
            if std::mem::take(&mut self.rests) > 0 {
                return Verdict::Recovered;
            }
        }
        // The longer it goes on, the more is given up; what is left after the last step has a step's time.
        let step = (patience / (SHED_MOST + 1)).max(1);
        if can_shed && self.level < SHED_MOST && self.over > 0 && self.over.is_multiple_of(step) {
            self.level += 1;
            return Verdict::Shed(self.level);
        }
        Verdict::GoOn
    }

    /// What is given up: events that are worth less than this ([`Stream::worth`]).
    ///
    /// [`Stream::worth`]: wanglou_sensor_common::counters::Stream::worth
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    /// Twice as long each time.
    fn rest(&self) -> Duration {
        let first = Duration::from_secs(self.budget.cooldown_seconds);
        first.saturating_mul(1 << self.rests.min(20)).min(LONGEST.max(first))
    }
}

/// What is worth less than a level, in words.
pub(super) fn given_up(level: u32) -> &'static str {
    match level {
        0 => "nothing is",
        1 => "flows of closed sockets and listening sockets are",
        2 => "all of the network is",
        _ => "all but exec and end is",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget =
        Budget { cpu_percent: 5.0, memory_bytes: 1000, samples: 10, cooldown_seconds: 60 };

    fn cpu(percent: f64) -> Usage {
        Usage {
            process_percent: percent / 2.0,
            probes_percent: [percent / 4.0; 2],
            memory_bytes: 10,
        }
    }

    fn samples(breaker: &mut Breaker, usage: Usage, times: u32) -> Vec<Verdict> {
        (0..times).map(|_| breaker.sample(&usage, true)).collect()
    }

    #[test]
    fn it_trips_after_so_many_samples_in_a_row() {
        let mut breaker = Breaker::new(BUDGET);
        let is_trip = |verdict: &Verdict| matches!(verdict, Verdict::Trip(_));
        assert!(!samples(&mut breaker, cpu(6.0), 9).iter().any(is_trip));
        assert_eq!(breaker.sample(&cpu(4.0), true), Verdict::GoOn);
        let verdicts = samples(&mut breaker, cpu(6.0), 10);
        assert!(!verdicts[..9].iter().any(is_trip));
        assert_eq!(verdicts[9], Verdict::Trip(Duration::from_secs(60)));
    }

    #[test]
    fn it_sheds_by_degrees_before_it_trips() {
        use Verdict::{GoOn, Shed};
        let mut breaker = Breaker::new(BUDGET);
        let verdicts = samples(&mut breaker, cpu(6.0), 7);
        assert_eq!(verdicts, [GoOn, Shed(1), GoOn, Shed(2), GoOn, Shed(3), GoOn]);
        // It helped: one after the other comes back, and nothing is said of a recovery.
        let verdicts = samples(&mut breaker, cpu(4.0), 60);
        let told: Vec<_> = verdicts.into_iter().filter(|verdict| *verdict != GoOn).collect();
        assert_eq!(told, [Shed(2), Shed(1), Shed(0)]);
    }

    #[test]
    fn far_over_it_trips_at_once() {
        let mut breaker = Breaker::new(BUDGET);
        let verdicts = samples(&mut breaker, cpu(51.0), 3);
        assert_eq!(verdicts[2], Verdict::Trip(Duration::from_secs(60)));
    }

    #[test]
    fn memory_counts_as_well() {
        let mut breaker = Breaker::new(BUDGET);
        let usage = Usage { memory_bytes: 1001, ..Usage::default() };
        assert_eq!(samples(&mut breaker, usage, 10)[9], Verdict::Trip(Duration::from_secs(60)));
    }

    #[test]
    fn each_rest_is_longer_until_it_has_recovered() {
        let mut breaker = Breaker::new(BUDGET);
        samples(&mut breaker, cpu(6.0), 10);
        for rest in [120, 240] {
            // It has to show first that all is well.
            let verdicts = samples(&mut breaker, cpu(6.0), 3);
            assert_eq!(verdicts[2], Verdict::Trip(Duration::from_secs(rest)));
        }
        let verdicts = samples(&mut breaker, cpu(1.0), 40);
        let told: Vec<_> = verdicts.into_iter().filter(|it| *it != Verdict::GoOn).collect();
        assert_eq!(told, [Verdict::Shed(1), Verdict::Shed(0), Verdict::Recovered]);
        let verdicts = samples(&mut breaker, cpu(6.0), 10);
        assert_eq!(verdicts[9], Verdict::Trip(Duration::from_secs(60)));
    }

    #[test]
    fn a_rest_is_an_hour_at_most() {
        let mut breaker = Breaker::new(BUDGET);
        let last = samples(&mut breaker, cpu(60.0), 300).into_iter().rev();
        let last = last.into_iter().find(|verdict| *verdict != Verdict::GoOn);
        assert_eq!(last, Some(Verdict::Trip(LONGEST)));
    }
}
