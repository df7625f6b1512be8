//! `/metrics`: `OpenMetrics` text.

use std::collections::BTreeMap;
use std::fmt;

use wanglou_daemon::telemetry::Process;
use wanglou_daemon::telemetry::metrics::{
    self, MetricType, Row, Unit, Value, by_process, label, one,
};
use wanglou_sensor_common::counters::Stream;

use super::fleet;
use super::modules::{self, Report};
use super::state::{Breaker, Known};
use super::uplink;
use crate::action::Action;
use crate::clock;
use crate::kernel::CounterMap;
use crate::ledger::Balance;
use crate::module::State;
use crate::output::Destination;
use crate::source;

const PREFIX: &str = "wanglou_sensor";

type Metric = metrics::Metric<fn(&Scrape<'_>) -> Vec<Row>>;

/// What is read once for all metrics.
struct Scrape<'a> {
    known: &'a Known,
    processes: Vec<Process>,
    modules: Vec<Report>,
}

/// The names of all metrics, as they are written.
pub const NAMES: fn() -> Vec<String> = || metrics::names(PREFIX, METRICS);

static METRICS: &[Metric] = &[
    Metric {
        name: "build",
        unit: None,
        kind: MetricType::Info,
        help: "The sensor's version.",
        rows: |_| vec![(label("version", env!("CARGO_PKG_VERSION")), Value::Whole(1))],
    },
    Metric {
        name: "uptime",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        help: "Since the supervisor began.",
        rows: |of| one(Value::Real(of.known.began.elapsed().as_secs_f64())),
    },
    Metric {
        name: "ready",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 while a worker tells of events, as /readyz says.",
        rows: |of| one(Value::Whole(of.known.is_ready().into())),
    },
    Metric {
        name: "worker_run",
        unit: None,
        kind: MetricType::Info,
        help: "wanglou.run.id of the present worker, or of the last.",
        rows: run,
    },
    Metric {
        name: "worker_restarts",
        unit: None,
        kind: MetricType::Counter,
        help: "Workers that were started after the first.",
        rows: |of| one(Value::Whole(of.known.workers.saturating_sub(1))),
    },
    Metric {
        name: "events_produced",
        unit: None,
        kind: MetricType::Counter,
        help: "Events of this run that are known to have happened.",
        rows: |of| by_action(of, |of| of.produced.cloned()),
    },
    Metric {
        name: "events_delivered",
        unit: None,
        kind: MetricType::Counter,
        help: "Events of this run that the output has.",
        rows: |of| by_action(of, |of| of.delivered.cloned()),
    },
    Metric {
        name: "events_dropped",
        unit: None,
        kind: MetricType::Counter,
        help: "Events of this run that are lost.",
        rows: dropped,
    },
    Metric {
        name: "events_in_flight",
        unit: None,
        kind: MetricType::Gauge,
        help: "Events of this run on their way to an output.",
        rows: |of| {
            let row = |(output, balance): (Destination, Balance)| {
                Some((label("output", output.name()), Value::Whole(balance.view().in_flight?)))
            };
            of.known.balances().filter_map(row).collect()
        },
    },
    Metric {
        name: "probe_events_seen",
        unit: None,
        kind: MetricType::Counter,
        help: "Events of this run that probes have seen.",
        rows: seen,
    },
    Metric {
        name: "module_running",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 while a module works.",
        rows: |of| by_module(of, |it| Value::Whole((it.state == State::Running).into())),
    },
    Metric {
        name: "module_events",
        unit: None,
        kind: MetricType::Counter,
        help: "What a module of this worker was handed.",
        rows: |of| by_module(of, |it| Value::Whole(it.events)),
    },
    Metric {
        name: "module_events_dropped",
        unit: None,
        kind: MetricType::Counter,
        help: "What was lost to it, on the way or by itself.",
        rows: |of| by_module(of, |it| Value::Whole(it.dropped)),
    },
    Metric {
        name: "module_failures",
        unit: None,
        kind: MetricType::Counter,
        help: "How often it has panicked.",
        rows: |of| by_module(of, |it| Value::Whole(it.failures)),
    },
    Metric {
        name: "module_trips",
        unit: None,
        kind: MetricType::Counter,
        help: "How often it did more than it may.",
        rows: |of| by_module(of, |it| Value::Whole(it.trips)),
    },
    Metric {
        name: "module_cpu",
        unit: Some(Unit::Seconds),
        kind: MetricType::Counter,
        help: "CPU time of the worker that it took, measured at one event of 61.",
        rows: |of| {
            let row =
                |it: &Report| Some((label("module", it.name), Value::Real(it.cpu?.as_secs_f64())));
            of.modules.iter().filter_map(row).collect()
        },
    },
    Metric {
        name: "module_probes_cpu_ratio",
        unit: None,
        kind: MetricType::Gauge,
        help: "Share of one core of its probes when they were timed last.",
        rows: |of| {
            let row = |it: &Report| {
                Some((label("module", it.name), Value::Real(it.probes_percent? / 100.0)))
            };
            of.modules.iter().filter_map(row).collect()
        },
    },
    Metric {
        name: "whole_until_age",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        help: "Since the time until which nothing is missing that no gap has told of.",
        rows: |of| {
            let until = of.known.books.as_ref().map_or(0, |it| it.page().whole_until.get());
            let age = clock::boot_ns().saturating_sub(until);
            if until == 0 { Vec::new() } else { one(Value::Real(age as f64 / 1e9)) }
        },
    },
    Metric {
        name: "breaker_state",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 for the state that the breaker is in.",
        rows: |of| {
            let row = |state: Breaker| {
                (label("state", state.name()), Value::Whole((of.known.breaker == state).into()))
            };
            Breaker::ALL.map(row).into()
        },
    },
    Metric {
        name: "breaker_trips",
        unit: None,
        kind: MetricType::Counter,
        help: "How often the sensor cost more than its budget.",
        rows: |of| one(Value::Whole(of.known.trips)),
    },
    Metric {
        name: "breaker_rest",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        help: "To the end of the rest; 0 outside of one.",
        rows: |of| one(Value::Real(of.known.rest().as_secs_f64())),
    },
    Metric {
        name: "shed_level",
        unit: None,
        kind: MetricType::Gauge,
        help: "Events that are worth less than this are given up; 0 for none.",
        rows: |of| one(Value::Whole(of.known.shed.into())),
    },
    Metric {
        name: "cpu_ratio",
        unit: None,
        kind: MetricType::Gauge,
        help: "Share of one core in the last second: of both processes, and of the probes when they were timed last.",
        rows: |of| {
            let Some(usage) = of.known.usage else { return Vec::new() };
            let row = |part, percent| (label("part", part), Value::Real(percent / 100.0));
            vec![row("processes", usage.process_percent), row("probes", usage.all_probes_percent())]
        },
    },
    Metric {
        name: "process_cpu",
        unit: Some(Unit::Seconds),
        kind: MetricType::Counter,
        help: "CPU time of each process.",
        rows: |of| by_process(&of.processes, |it| Value::Real(it.cpu.as_secs_f64())),
    },
    Metric {
        name: "process_resident_memory",
        unit: Some(Unit::Bytes),
        kind: MetricType::Gauge,
        help: "Resident memory of each process.",
        rows: |of| by_process(&of.processes, |it| Value::Whole(it.resident)),
    },
    Metric {
        name: "process_voluntary_context_switches",
        unit: None,
        kind: MetricType::Counter,
        help: "How often a thread of each process went to sleep, and so was woken.",
        rows: |of| by_process(&of.processes, |it| Value::Whole(it.sleeps)),
    },
    Metric {
        name: "control_connected",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 while a replica of the fleet has welcomed the sensor.",
        rows: |of| one(Value::Whole(of.known.link.replica.is_some().into())),
    },
    Metric {
        name: "control_connects",
        unit: None,
        kind: MetricType::Counter,
        help: "Streams to replicas so far.",
        rows: |of| one(Value::Whole(of.known.link.connects)),
    },
    Metric {
        name: "control_connect_failures",
        unit: None,
        kind: MetricType::Counter,
        help: "Attempts that led to none.",
        rows: |of| one(Value::Whole(of.known.link.failures)),
    },
    Metric {
        name: "control_orders_refused",
        unit: None,
        kind: MetricType::Counter,
        help: "Orders that were refused, and those that could not be kept.",
        rows: |of| {
            let refused = fleet::REFUSALS.iter().skip(1);
            let row =
                |it: &_| (label("reason", fleet::name(*it)), of.known.link.refused[*it as usize]);
            refused.map(row).map(|(label, count)| (label, Value::Whole(count))).collect()
        },
    },
    Metric {
        name: "control_order_epoch",
        unit: None,
        kind: MetricType::Gauge,
        help: "Of the order that was obeyed last; 0 if there was none.",
        rows: |of| one(Value::Whole(of.known.link.epoch)),
    },
    Metric {
        name: "uplink_stream",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 for the state that the stream of telemetry is in.",
        rows: |of| {
            let is = |it: uplink::Stream| Value::Whole((of.known.uplink.stream == it).into());
            uplink::Stream::ALL.map(|it| (label("state", it.name()), is(it))).into()
        },
    },
    Metric {
        name: "uplink_spool",
        unit: Some(Unit::Bytes),
        kind: MetricType::Gauge,
        help: "What is kept for the fleet.",
        rows: |of| one(Value::Whole(of.known.uplink.bytes)),
    },
    Metric {
        name: "uplink_spool_records",
        unit: None,
        kind: MetricType::Gauge,
        help: "Records that are kept for the fleet and have no answer yet.",
        rows: |of| one(Value::Whole(of.known.uplink.records)),
    },
    Metric {
        name: "uplink_spool_age",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        help: "Of the oldest of them; 0 where there is none.",
        rows: |of| one(Value::Whole(of.known.uplink.age.unwrap_or_default())),
    },
    Metric {
        name: "uplink_spool_failing",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 while the spool's disk takes nothing and memory stands in.",
        rows: |of| one(Value::Whole(of.known.uplink.is_failing.into())),
    },
    Metric {
        name: "uplink_records_sent",
        unit: None,
        kind: MetricType::Counter,
        help: "Records that were told, some of them again.",
        rows: |of| one(Value::Whole(of.known.uplink.sent)),
    },
    Metric {
        name: "uplink_records_stored",
        unit: None,
        kind: MetricType::Counter,
        help: "Records that a sink of the fleet has.",
        rows: |of| one(Value::Whole(of.known.uplink.stored)),
    },
    Metric {
        name: "uplink_records_refused",
        unit: None,
        kind: MetricType::Counter,
        help: "Records that will not be stored.",
        rows: |of| one(Value::Whole(of.known.uplink.refused)),
    },
    Metric {
        name: "uplink_events_lost",
        unit: None,
        kind: MetricType::Counter,
        help: "Events of batches that are lost, of all runs.",
        rows: |of| {
            let lost = uplink::CAUSES.iter().zip(of.known.uplink.lost);
            lost.map(|(it, lost)| (label("cause", it.name()), Value::Whole(lost))).collect()
        },
    },
];

/// All of it.
pub(super) fn text(known: &Known) -> Result<String, fmt::Error> {
    let scrape = Scrape { known, processes: known.processes(), modules: modules::reports(known) };
    metrics::text(PREFIX, METRICS, |rows| rows(&scrape))
}

fn run(of: &Scrape<'_>) -> Vec<Row> {
    let run = of.known.books.as_ref().map_or(0, |books| books.page().run.get());
    if run == 0 { Vec::new() } else { vec![(label("run", run.to_string()), Value::Whole(1))] }
}

type Counts = BTreeMap<String, u64>;

fn by_action(
    of: &Scrape<'_>,
    part: fn(&wanglou_api::event::Ledger<'_>) -> Option<Counts>,
) -> Vec<Row> {
    let rows = |(output, balance): (Destination, Balance)| {
        let counts = part(&balance.view()).unwrap_or_default();
        // Zeroes too: a row that appears late has lost its beginning.
        Action::ALL.map(|action| {
            let count = counts.get(action.name()).copied().unwrap_or(0);
            let labels =
                vec![("output", output.name().to_owned()), ("action", action.name().to_owned())];
            (labels, Value::Whole(count))
        })
    };
    of.known.balances().flat_map(rows).collect()
}

fn dropped(of: &Scrape<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (output, balance) in of.known.balances() {
        for (cause, by_action) in balance.view().dropped.into_iter().flatten() {
            for (action, count) in by_action {
                let output = output.name().to_owned();
                let labels =
                    [("output", output), ("cause", cause.clone()), ("action", action.clone())];
                rows.push((labels.into(), Value::Whole(*count)));
            }
        }
    }
    rows
}

fn seen(of: &Scrape<'_>) -> Vec<Row> {
    let counters = of.known.attached.as_ref().and_then(|attached| attached.counters.as_ref());
    let Some(totals) = counters.map(CounterMap::totals) else { return Vec::new() };
    let row = |stream: Stream| {
        let action = source::action(stream).name();
        (label("action", action), Value::Whole(totals[stream as usize].seen))
    };
    Stream::ALL.map(row).into()
}

fn by_module(of: &Scrape<'_>, value: fn(&Report) -> Value) -> Vec<Row> {
    of.modules.iter().map(|it| (label("module", it.name), value(it))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Books;
    use crate::config::Effective;
    use crate::telemetry::State;

    #[test]
    fn the_text_has_every_metric_with_its_help() {
        let state = State::new(&Effective::default());
        let socket = rustix::stdio::stdin().try_clone_to_owned().expect("a descriptor");
        let books = Books::new().expect("memory");
        books.page().run.set(7);
        books.account(Destination::Stdout).dropped[0][1].add(3);
        state.begins(std::process::id(), books, socket);
        let text = text(&state.lock()).expect("text");
        for metric in METRICS {
            assert!(text.contains(metric.help), "no {}: {text}", metric.name);
        }
        for line in [
            "wanglou_sensor_build_info{version=\"0.1.0\"} 1",
            "wanglou_sensor_worker_run_info{run=\"7\"} 1",
            "wanglou_sensor_events_dropped_total{output=\"stdout\",cause=\"ring_full\",action=\"fork\"} 3",
            "wanglou_sensor_breaker_state{state=\"closed\"} 1",
            "# TYPE wanglou_sensor_process_cpu_seconds counter",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line}: {text}");
        }
    }

    #[test]
    fn every_metric_is_in_the_documentation() {
        let docs = include_str!("../../../docs/operations.md");
        assert_eq!(metrics::names_in(docs, PREFIX), NAMES());
    }
}
