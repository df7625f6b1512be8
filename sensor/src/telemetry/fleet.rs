//! How the link to the fleet is, and how the sensor is, as the fleet hears it.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use wanglou_api::sensor::v1::heartbeat::State as Doing;
use wanglou_api::sensor::v1::{Breaker, Heartbeat, Ledger, Module};

use super::state::{Known, Phase};
use super::{health, modules};
use crate::control::Refusal;
use crate::service::Usage;

/// Bytes of a reason, at most.
const MAX_REASON: usize = 1024;

/// Why orders are refused, in the order of their numbers; the first is none.
pub(super) const REFUSALS: [Refusal; 7] = [
    Refusal::Unspecified,
    Refusal::Signature,
    Refusal::Epoch,
    Refusal::Selector,
    Refusal::Fleet,
    Refusal::Malformed,
    Refusal::NotKept,
];

/// The link, as the supervisor knows it.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Whether there is a fleet to look for.
    pub is_joined: bool,
    /// The replica that has welcomed us.
    pub replica: Option<String>,
    /// Streams so far.
    pub connects: u64,
    /// Attempts that led to none.
    pub failures: u64,
    /// Orders that were refused, by the number of the reason.
    pub refused: [u64; REFUSALS.len()],
    /// Of the order that was obeyed last; 0 if there was none.
    pub epoch: u64,
    /// Something has been said since somebody last looked.
    pub has_spoken: bool,
}

/// A reason's name, as metrics have it.
pub(super) fn name(refusal: Refusal) -> String {
    refusal.as_str_name().trim_start_matches("REFUSAL_").to_lowercase()
}

/// For `/status`.
pub(super) fn json(known: &Known) -> Value {
    let link = &known.link;
    let refused = REFUSALS.iter().skip(1);
    let refused = refused.map(|it| (name(*it), link.refused[*it as usize].into()));
    json!({
        "joined": link.is_joined,
        "connected": link.replica.is_some(),
        "replica": link.replica,
        "connects": link.connects,
        "connect_failures": link.failures,
        "order_epoch": link.epoch,
        "orders_refused": refused.collect::<serde_json::Map<_, _>>(),
    })
}

/// What was spent since the last heartbeat.
#[derive(Debug)]
pub(super) struct Spent {
    since: Instant,
    /// CPU time of ourselves then.
    own: Duration,
    /// The sums of samples, and how many there are; percent of one core.
    processes: f64,
    probes: f64,
    samples: u32,
}

impl Spent {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let own = wanglou_daemon::usage::process_cpu(std::process::id()).unwrap_or_default();
        Self { since: Instant::now(), own, processes: 0.0, probes: 0.0, samples: 0 }
    }

    /// A second's usage.
    pub(super) fn add(&mut self, usage: &Usage) {
        self.processes += usage.process_percent;
        self.probes += usage.all_probes_percent();
        self.samples += 1;
    }

    /// Percent of one core of processes and of probes, on the average: that of all samples, else of ourselves, as
    /// nobody is metered who gets ready or is not there.
    fn take(&mut self) -> (f64, f64) {
        let spent = std::mem::replace(self, Self::new());
        if spent.samples > 0 {
            let samples = f64::from(spent.samples);
            return (spent.processes / samples, spent.probes / samples);
        }
        let own = self.own.saturating_sub(spent.own).as_secs_f64();
        let of = (self.since - spent.since).as_secs_f64().max(1e-3);
        (100.0 * own / of, 0.0)
    }
}

/// How the sensor is now.
pub(super) fn heartbeat(known: &mut Known) -> Heartbeat {
    let millicores = |percent: f64| (percent * 10.0).round() as u32;
    let (processes, probes) = known.spent.take();
    let (is_ready, says) = health::ready(known);
    let state = match known.phase {
        Phase::Working if is_ready => Doing::Working,
        Phase::Working => Doing::Starting,
        Phase::Resting(_) => Doing::Resting,
        Phase::Failed(_) => Doing::Failed,
        Phase::Stopped(_) => Doing::Stopped,
    };
    let rest = known.rest();
    let rest = (!rest.is_zero()).then(|| prost_types::Duration::try_from(rest).ok()).flatten();
    let module = |it: modules::Report| Module {
        name: it.name.to_owned(),
        state: it.state.name().to_owned(),
    };
    Heartbeat {
        run_id: known.run(),
        state: state.into(),
        reason: if is_ready { String::new() } else { cut(says.trim_end()) },
        breaker: Some(Breaker { trips: known.trips, level: known.shed, rest }),
        cpu_millicores: millicores(processes + probes),
        probe_millicores: millicores(probes),
        memory_bytes: known.processes().iter().map(|it| it.resident).sum(),
        ledger: known.run().map(|_| ledger(known)),
        modules: modules::reports(known).into_iter().map(module).collect(),
        configuration_hash: known.effective.hash(),
        local_time: Some(SystemTime::now().into()),
    }
}

/// All outputs together.
fn ledger(known: &Known) -> Ledger {
    let mut sum = Ledger::default();
    for (_, balance) in known.balances() {
        let (produced, delivered, _) = balance.totals();
        let view = balance.view();
        sum.produced += produced;
        sum.delivered += delivered;
        sum.in_flight += view.in_flight.unwrap_or_default();
        for (cause, by_action) in view.dropped.into_iter().flatten() {
            *sum.dropped.entry(cause.clone()).or_default() += by_action.values().sum::<u64>();
        }
    }
    sum
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_REASON)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::books::Books;
    use crate::config::Effective;
    use crate::ledger::Cause;
    use crate::output::Destination;
    use crate::telemetry::State;

    #[test]
    fn a_heartbeat_says_what_is_known() {
        let state = State::new(&Effective::default());
        let first = state.heartbeat();
        assert_eq!((first.state(), first.run_id, first.ledger), (Doing::Starting, None, None));

        let books = Books::new().expect("memory");
        books.page().run.set(7);
        books.page().ready.set(1);
        let account = books.account(Destination::Stdout);
        account.produced[Action::Exec as usize].add(10);
        account.delivered[Action::Exec as usize].add(4);
        account.dropped[Cause::RingFull as usize][Action::Exec as usize].add(5);
        let socket = rustix::stdio::stdin().try_clone_to_owned().expect("a descriptor");
        state.begins(std::process::id(), books, socket);
        for percent in [1.0, 3.0] {
            let probes_percent = [percent / 2.0; 2];
            state.costs(Usage { process_percent: percent, probes_percent, memory_bytes: 1 });
        }
        let then = state.heartbeat();
        assert_eq!((then.state(), then.run_id), (Doing::Working, Some(7)));
        assert_eq!((then.cpu_millicores, then.probe_millicores), (40, 20));
        let ledger = then.ledger.expect("a run");
        assert_eq!((ledger.produced, ledger.delivered, ledger.in_flight), (10, 4, 1));
        assert_eq!(ledger.dropped["ring_full"], 5);
        assert!(then.memory_bytes > 1 << 20 && then.reason.is_empty());

        state.stops("stopped by order 7 of ops: ".to_owned() + &"é".repeat(1_000));
        let last = state.heartbeat();
        assert_eq!((last.state(), last.run_id, last.ledger), (Doing::Stopped, None, None));
        assert!(last.reason.starts_with("stopped by order 7 of ops: é"));
        assert!((1_000..=MAX_REASON).contains(&last.reason.len()));
    }

    #[test]
    fn every_refusal_has_its_place() {
        for (n, refusal) in REFUSALS.into_iter().enumerate() {
            assert_eq!(refusal as usize, n);
        }
        assert!(Refusal::try_from(REFUSALS.len() as i32).is_err(), "there is one more");
        assert_eq!(name(Refusal::NotKept), "not_kept");
    }
}
