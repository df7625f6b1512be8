//! What was, against what is there: what is missing was lost by a cause, or while nobody watched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use wanglou_api::fleet::v1::RunBalance;

use crate::partitions::Partitions;
use crate::waves::{Truth, now};

/// Not counted by the books.
const UNCOUNTED: [&str; 3] = ["ledger", "gap", "alert"];
/// By how much the sensor's wall clock, made of the boot clock, may differ from ours, ns.
const CLOCKS: u64 = 10_000_000;

/// Who watched was killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// ns since 1970.
    pub(crate) at: u64,
    /// With its supervisor, and so with what probes had counted.
    pub(crate) is_with_supervisor: bool,
    /// The next one's first words may be lost, by a cause.
    pub(crate) is_spool_full: bool,
    /// When the next one had said that it is ready.
    pub(crate) watched_again: Option<u64>,
}

/// An interval in which somebody may have seen nothing.
type Absence = (u64, u64);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    rows: u64,
    runs: usize,
    found: BTreeMap<&'static str, u64>,
    /// For how long nobody may have watched, s.
    absent: f64,
    /// Then.
    unwatched: BTreeMap<&'static str, u64>,
    /// Missing, and in the losses of its run.
    lost: BTreeMap<&'static str, u64>,
    /// All that the books say, by cause.
    causes: BTreeMap<String, u64>,
}

impl Account {
    /// Compares all of it, and fails where something is missing that nothing explains, or there and never was.
    pub(crate) fn of(
        truth: &Truth,
        there: &Partitions,
        balances: &[RunBalance],
        kills: &[Kill],
    ) -> Result<Self> {
        let mut account = Self { rows: there.rows, runs: balances.len(), ..Self::default() };
        let known: BTreeSet<_> =
            balances.iter().filter_map(|it| Some(it.run.as_ref()?.run_id)).collect();
        if let Some(run) = there.runs.keys().find(|run| !known.contains(run)) {
            bail!("there are rows of run {run}, and no books");
        }
        let mut lost = BTreeMap::new();
        for balance in balances {
            is_what_the_books_say(balance, there)?;
            let run = balance.run.as_ref().map_or(0, |run| run.run_id);
            for (cause, counts) in &balance.lost {
                *account.causes.entry(cause.clone()).or_default() +=
                    counts.counts.values().sum::<u64>();
                for (action, events) in &counts.counts {
                    *lost.entry((run, action.as_str())).or_insert(0) += events;
                }
            }
        }
        if let Some(never) = there.deeds.iter().find(|deed| !truth.contains_key(deed)) {
            bail!("{never:?} is there and never was");
        }
        let absences: Vec<_> =
            kills.iter().map(|kill| absence(kill, there)).collect::<Result<_>>()?;
        account.absent = length(&absences);
        let runs = starts(balances)?;
        let mut missing: BTreeMap<(u64, &'static str), Vec<_>> = BTreeMap::new();
        for (deed, span) in truth {
            let action = deed.action();
            if there.deeds.contains(deed) {
                *account.found.entry(action).or_default() += 1;
            } else if absences.iter().any(|absence| is_within(*span, *absence)) {
                *account.unwatched.entry(action).or_default() += 1;
            } else {
                let run = runs.range(..=span.0).next_back();
                let (_, run) = run.with_context(|| format!("{deed:?} was before all runs"))?;
                missing.entry((*run, action)).or_default().push(*span);
            }
        }
        let mut unexplained = String::new();
        for ((run, action), spans) in missing {
            let known = lost.get(&(run, action)).copied().unwrap_or(0);
            let (count, began) = (spans.len() as u64, spans.first().copied().unwrap_or_default());
            let ended = spans.last().copied().unwrap_or_default();
            if count > known {
                unexplained += &format!(
                    "\n{count} of {action} are missing in run {run}, the first {began:?} and the last {ended:?}; {known} are lost"
                );
            }
            *account.lost.entry(action).or_default() += count;
        }
        ensure!(
            unexplained.is_empty(),
            "{account}{unexplained}\nkills: {kills:#?}\nabsences: {absences:?}\nruns: {runs:?}"
        );
        Ok(account)
    }

    /// Of what happened, the part that is there.
    pub(crate) fn share_found(&self) -> f64 {
        let sum = |of: &BTreeMap<_, u64>| of.values().sum::<u64>() as f64;
        let found = sum(&self.found);
        found / (found + sum(&self.unwatched) + sum(&self.lost))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, runs, found, absent, unwatched, lost, causes } = self;
        write!(f, "{rows} rows of {runs} runs; of what the waves did, found {found:?}, ")?;
        write!(f, "in the {absent:.1} s in which nobody watched {unwatched:?}, ")?;
        write!(f, "lost {lost:?}; lost in all {causes:?}")
    }
}

/// The rows of a run are those that its books call stored, and what was produced is there or lost.
fn is_what_the_books_say(balance: &RunBalance, there: &Partitions) -> Result<()> {
    let run = balance.run.as_ref().map_or(0, |run| run.run_id);
    let mut rows = there.runs.get(&run).cloned().unwrap_or_default();
    rows.retain(|action, _| !UNCOUNTED.contains(&action.as_str()));
    let stored: BTreeMap<_, _> = balance.stored.clone().into_iter().collect();
    ensure!(rows == stored, "of run {run} there are {rows:?}, and stored are {stored:?}");
    ensure!(balance.unexplained.is_empty() && balance.missing.is_empty(), "{balance:#?}");
    ensure!(balance.in_flight.values().all(|events| *events == 0), "{balance:#?}");
    for (action, produced) in &balance.produced {
        let lost = balance.lost.values().filter_map(|counts| counts.counts.get(action));
        let known = stored.get(action).unwrap_or(&0) + lost.sum::<u64>();
        ensure!(known == *produced, "{action} of run {run}: {known} of {produced}");
    }
    Ok(())
}

fn is_within((began, ended): (u64, u64), (from, to): Absence) -> bool {
    began <= to && from <= ended
}

/// All of them together, s.
fn length(absences: &[Absence]) -> f64 {
    let mut absences = absences.to_vec();
    absences.sort_unstable();
    let (mut nanos, mut until) = (0, 0);
    for (from, to) in absences {
        nanos += to.saturating_sub(from.max(until));
        until = to.max(until);
    }
    nanos as f64 / 1e9
}

/// From when nobody watched until somebody did again: the sensor has to have told of it.
fn absence(kill: &Kill, there: &Partitions) -> Result<Absence> {
    let covers = |start: u64, end: u64| start <= kill.at + CLOCKS && kill.at <= end + CLOCKS;
    let gap =
        there.gaps.iter().filter(|gap| covers(gap.start, gap.end)).min_by_key(|gap| gap.start);
    match (gap, kill.watched_again) {
        // What probes have seen before is in the books, unless these went with the supervisor.
        (Some(gap), _) if kill.is_with_supervisor => Ok((gap.start - CLOCKS, gap.end + CLOCKS)),
        (Some(gap), _) => Ok((kill.at - CLOCKS, gap.end + CLOCKS)),
        (None, Some(again)) if kill.is_spool_full => Ok((kill.at - CLOCKS, again + CLOCKS)),
        (None, _) => bail!("no gap tells of {kill:?}: {:?}", there.gaps),
    }
}

/// When each run began, ns since 1970.
fn starts(balances: &[RunBalance]) -> Result<BTreeMap<u64, u64>> {
    let boot = clock_gettime(ClockId::Boottime);
    let boot = boot.tv_sec as u64 * 1_000_000_000 + boot.tv_nsec as u64;
    let booted = now().checked_sub(boot).context("the clock is before 1970")?;
    let runs = balances.iter().filter_map(|balance| balance.run.as_ref());
    Ok(runs.map(|run| (booted + run.run_id, run.run_id)).collect())
}
