//! `/metrics`: `OpenMetrics` text.

use std::collections::BTreeMap;
use std::fmt;

use wanglou_daemon::telemetry::Process;
use wanglou_daemon::telemetry::metrics::{
    self, MetricType, Row, Unit, Value, by_process, label, one,
};

use super::Replica;
use crate::counters::{Counter, Counters};
use crate::ingest::{Group, Volume};
use crate::view::state_name;

const PREFIX: &str = "wanglou_control_plane";

/// A value of a label, and what is counted under it.
type Counted = (&'static str, fn(&Counters) -> &Counter);

type Metric = metrics::Metric<fn(&Scrape<'_>) -> Vec<Row>>;

/// What is read once for all metrics.
struct Scrape<'a> {
    replica: &'a Replica,
    process: Vec<Process>,
    hosts: BTreeMap<&'static str, u64>,
    own: usize,
    replicas: usize,
}

static METRICS: &[Metric] = &[
    Metric {
        name: "build",
        unit: None,
        kind: MetricType::Info,
        help: "The replica's version.",
        rows: |_| vec![(label("version", env!("CARGO_PKG_VERSION")), Value::Whole(1))],
    },
    Metric {
        name: "uptime",
        unit: Some(Unit::Seconds),
        kind: MetricType::Gauge,
        help: "Since the replica began.",
        rows: |of| one(Value::Real(of.replica.began.elapsed().as_secs_f64())),
    },
    Metric {
        name: "hosts",
        unit: None,
        kind: MetricType::Gauge,
        help: "Hosts of the whole fleet, by what etcd and this replica know.",
        rows: |of| {
            let row = |(state, count): (&&'static str, &u64)| {
                (label("state", *state), Value::Whole(*count))
            };
            of.hosts.iter().map(row).collect()
        },
    },
    Metric {
        name: "hosts_here",
        unit: None,
        kind: MetricType::Gauge,
        help: "Hosts whose streams this replica holds.",
        rows: |of| one(Value::Whole(of.own as u64)),
    },
    Metric {
        name: "replicas",
        unit: None,
        kind: MetricType::Gauge,
        help: "Replicas that etcd knows, this one too.",
        rows: |of| one(Value::Whole(of.replicas as u64)),
    },
    Metric {
        name: "etcd_answers",
        unit: None,
        kind: MetricType::Gauge,
        help: "1 while the watch of etcd works.",
        rows: |of| one(Value::Whole((!of.replica.is_etcd_silent()).into())),
    },
    Metric {
        name: "connections",
        unit: None,
        kind: MetricType::Counter,
        help: "Connections, by what became of them.",
        rows: |of| {
            counted(
                of,
                "outcome",
                &[
                    ("accepted", Counters::accepted),
                    ("refused", Counters::refused),
                    ("crowded", Counters::crowded),
                    ("too_many", Counters::too_many),
                    ("no_http2", Counters::no_http2),
                ],
            )
        },
    },
    Metric {
        name: "streams",
        unit: None,
        kind: MetricType::Counter,
        help: "Control streams of hosts, by what became of them.",
        rows: |of| {
            counted(
                of,
                "outcome",
                &[
                    ("opened", Counters::opened),
                    ("too_often", Counters::too_often),
                    ("full", Counters::full),
                    ("no_hello", Counters::no_hello),
                    ("malformed", Counters::malformed),
                    ("held_back", Counters::held_back),
                    ("deaf", Counters::deaf),
                ],
            )
        },
    },
    Metric {
        name: "hosts_written",
        unit: None,
        kind: MetricType::Counter,
        help: "Hosts in batches to etcd, by what became of those.",
        rows: |of| {
            counted(
                of,
                "outcome",
                &[("committed", Counters::committed), ("failed", Counters::not_committed)],
            )
        },
    },
    Metric {
        name: "orders_not_believed",
        unit: None,
        kind: MetricType::Counter,
        help: "Orders from etcd, peers and hosts that no key that may has signed.",
        rows: |of| counted(of, "", &[("", Counters::not_believed)]),
    },
    Metric {
        name: "orders_refused",
        unit: None,
        kind: MetricType::Counter,
        help: "Orders that hosts have refused.",
        rows: |of| counted(of, "", &[("", Counters::order_refused)]),
    },
    Metric {
        name: "telemetry_streams",
        unit: None,
        kind: MetricType::Counter,
        help: "Telemetry streams that hosts have opened.",
        rows: |of| counted(of, "", &[("", Counters::publishing)]),
    },
    Metric {
        name: "records",
        unit: None,
        kind: MetricType::Counter,
        help: "Records of hosts, by what became of them.",
        rows: |of| {
            counted(
                of,
                "outcome",
                &[("stored", Counters::records_stored), ("refused", Counters::records_refused)],
            )
        },
    },
    Metric {
        name: "events_told",
        unit: None,
        kind: MetricType::Counter,
        help: "Events in records that were believed; one that is told twice counts twice.",
        rows: |of| counted(of, "", &[("", Counters::events_told)]),
    },
    Metric {
        name: "volume_events",
        unit: None,
        kind: MetricType::Counter,
        help: "The same, by what hosts call their datacentre and project.",
        rows: |of| volumes(of, |volume| volume.events),
    },
    Metric {
        name: "volume",
        unit: Some(Unit::Bytes),
        kind: MetricType::Counter,
        help: "Bytes of records as they came, by what hosts call their datacentre and project.",
        rows: |of| volumes(of, |volume| volume.bytes),
    },
    Metric {
        name: "runs",
        unit: None,
        kind: MetricType::Gauge,
        help: "Runs of sensors in the lake, by how their books stand.",
        rows: |of| {
            let sums = of.replica.keeper.sums();
            [("balanced", sums.balanced), ("open", sums.open), ("unbalanced", sums.unbalanced)]
                .map(|(state, runs)| (label("state", state), Value::Whole(runs)))
                .into()
        },
    },
    Metric {
        name: "unexplained_events",
        unit: None,
        kind: MetricType::Gauge,
        help: "Events that sensors have produced, and that are neither stored nor lost by a known cause.",
        rows: |of| one(Value::Whole(of.replica.keeper.sums().unexplained)),
    },
    Metric {
        name: "process_cpu",
        unit: Some(Unit::Seconds),
        kind: MetricType::Counter,
        help: "CPU time of the replica.",
        rows: |of| by_process(&of.process, |it| Value::Real(it.cpu.as_secs_f64())),
    },
    Metric {
        name: "process_resident_memory",
        unit: Some(Unit::Bytes),
        kind: MetricType::Gauge,
        help: "Resident memory of the replica.",
        rows: |of| by_process(&of.process, |it| Value::Whole(it.resident)),
    },
];

pub(super) fn text(replica: &Replica) -> Result<String, fmt::Error> {
    let mut hosts = BTreeMap::new();
    let (own, replicas) = {
        let view = replica.view.read();
        for host in view.after(None) {
            *hosts.entry(state_name(host.state())).or_default() += 1;
        }
        (view.own.len(), view.replicas.len())
    };
    let process = Process::of("replica", std::process::id()).into_iter().collect();
    let scrape = Scrape { replica, process, hosts, own, replicas };
    metrics::text(PREFIX, METRICS, |rows| rows(&scrape))
}

fn counted(of: &Scrape<'_>, by: &'static str, counters: &[Counted]) -> Vec<Row> {
    let row = |(name, counter): &Counted| {
        let labels = if name.is_empty() { Vec::new() } else { label(by, *name) };
        (labels, Value::Whole(counter(&of.replica.counters).get()))
    };
    counters.iter().map(row).collect()
}

fn volumes(of: &Scrape<'_>, what: fn(&Volume) -> u64) -> Vec<Row> {
    let Some(ingest) = of.replica.ingests.borrow().clone() else { return Vec::new() };
    let row = |((datacentre, project), volume): (Group, Volume)| {
        let labels = [("datacentre", datacentre), ("project", project)];
        (labels.into_iter().flat_map(|(name, value)| label(name, value)).collect(), what(&volume))
    };
    ingest.volumes.read().into_iter().map(row).map(|(it, n)| (it, Value::Whole(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_every_metric() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/control-plane.md");
        let page = std::fs::read_to_string(page).expect("a page");
        assert_eq!(metrics::names_in(&page, PREFIX), metrics::names(PREFIX, METRICS));
    }
}
