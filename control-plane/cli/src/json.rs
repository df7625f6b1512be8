//! What programs read: one object a line. Names are those of the protocol, in `snake_case`; what is not known is
//! absent; moments are RFC 3339, spans seconds, states their names in small letters.

mod events;

use std::collections::BTreeMap;

pub(crate) use events::{Reconciled, RunBalance, TreeProcess};
use serde::Serialize;
use wanglou_api::fleet::v1 as fleet;
use wanglou_api::{order::v1 as order, sensor::v1 as sensor};

use crate::units::{rfc3339, seconds};

/// One object as a line, without its end.
pub(crate) fn line(object: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(object)
}

/// The name of a value of an enumeration: `STATE_ALIVE` is `alive`.
pub(crate) fn name(full: &str, prefix: &str) -> String {
    full.strip_prefix(prefix).unwrap_or(full).to_ascii_lowercase()
}

fn is_empty(text: &str) -> bool {
    text.is_empty()
}

fn moment(of: &Option<prost_types::Timestamp>) -> Option<String> {
    of.as_ref().and_then(rfc3339)
}

fn span(of: &Option<prost_types::Duration>) -> Option<f64> {
    of.as_ref().map(seconds)
}

/// As `wanglou.fleet.v1.Host`.
#[derive(Debug, Serialize)]
pub(crate) struct Host<'a> {
    name: &'a str,
    labels: &'a BTreeMap<String, String>,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_time: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    replica: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    hostname: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    kernel_release: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    architecture: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    boot_id: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    instance_id: &'a str,
    duplicate_instance_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<Heartbeat<'a>>,
    order_epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew: Option<f64>,
    #[serde(skip_serializing_if = "is_empty")]
    etag: &'a str,
}

impl<'a> From<&'a fleet::Host> for Host<'a> {
    fn from(host: &'a fleet::Host) -> Self {
        Self {
            name: &host.name,
            labels: &host.labels,
            state: name(host.state().as_str_name(), "STATE_"),
            state_time: moment(&host.state_time),
            first_seen_time: moment(&host.first_seen_time),
            last_seen_time: moment(&host.last_seen_time),
            replica: &host.replica,
            hostname: &host.hostname,
            version: &host.version,
            kernel_release: &host.kernel_release,
            architecture: &host.architecture,
            boot_id: &host.boot_id,
            instance_id: &host.instance_id,
            duplicate_instance_ids: &host.duplicate_instance_ids,
            heartbeat: host.heartbeat.as_ref().map(Into::into),
            order_epoch: host.order_epoch,
            clock_skew: span(&host.clock_skew),
            etag: &host.etag,
        }
    }
}

/// As `wanglou.sensor.v1.Heartbeat`.
#[derive(Debug, Serialize)]
struct Heartbeat<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<u64>,
    state: String,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
    cpu_millicores: u32,
    probe_millicores: u32,
    memory_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<Ledger<'a>>,
    modules: Vec<Module<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    configuration_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_time: Option<String>,
}

#[derive(Debug, Serialize)]
struct Breaker {
    trips: u64,
    level: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Ledger<'a> {
    produced: u64,
    delivered: u64,
    dropped: &'a BTreeMap<String, u64>,
    in_flight: u64,
}

#[derive(Debug, Serialize)]
struct Module<'a> {
    name: &'a str,
    state: &'a str,
}

impl<'a> From<&'a sensor::Heartbeat> for Heartbeat<'a> {
    fn from(heartbeat: &'a sensor::Heartbeat) -> Self {
        let breaker = heartbeat.breaker.as_ref();
        let ledger = heartbeat.ledger.as_ref();
        Self {
            run_id: heartbeat.run_id,
            state: name(heartbeat.state().as_str_name(), "STATE_"),
            reason: &heartbeat.reason,
            breaker: breaker.map(|it| Breaker {
                trips: it.trips,
                level: it.level,
                rest: span(&it.rest),
            }),
            cpu_millicores: heartbeat.cpu_millicores,
            probe_millicores: heartbeat.probe_millicores,
            memory_bytes: heartbeat.memory_bytes,
            ledger: ledger.map(|it| Ledger {
                produced: it.produced,
                delivered: it.delivered,
                dropped: &it.dropped,
                in_flight: it.in_flight,
            }),
            modules: heartbeat
                .modules
                .iter()
                .map(|it| Module { name: &it.name, state: &it.state })
                .collect(),
            configuration_hash: &heartbeat.configuration_hash,
            local_time: moment(&heartbeat.local_time),
        }
    }
}

/// As `wanglou.fleet.v1.Order`.
#[derive(Debug, Serialize)]
pub(crate) struct Order<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Said<'a>>,
    durable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress<'a>>,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    fleet: &'a str,
    kind: String,
    selector: Selector<'a>,
    epoch: u64,
    author: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
}

#[derive(Debug, Serialize)]
struct Selector<'a> {
    hosts: &'a [String],
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Serialize)]
struct Progress<'a> {
    selected: u32,
    sent: u32,
    received: u32,
    done: u32,
    refused: u32,
    silent_hosts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed: Option<f64>,
}

impl<'a> From<&'a fleet::Order> for Order<'a> {
    fn from(known: &'a fleet::Order) -> Self {
        Self {
            name: &known.name,
            order: known.order.as_ref().map(Into::into),
            durable: known.durable,
            progress: known.progress.as_ref().map(|it| Progress {
                selected: it.selected,
                sent: it.sent,
                received: it.received,
                done: it.done,
                refused: it.refused,
                silent_hosts: &it.silent_hosts,
                elapsed: span(&it.elapsed),
            }),
        }
    }
}

impl<'a> From<&'a order::Order> for Said<'a> {
    fn from(order: &'a order::Order) -> Self {
        let selector = order.selector.as_ref();
        let labels = selector.into_iter().flat_map(|it| &it.labels);
        Self {
            fleet: &order.fleet,
            kind: name(order.kind().as_str_name(), "KIND_"),
            selector: Selector {
                hosts: selector.map(|it| &it.hosts[..]).unwrap_or_default(),
                labels: labels.map(|(name, value)| (&**name, &**value)).collect(),
            },
            epoch: order.epoch,
            author: &order.author,
            reason: &order.reason,
            create_time: moment(&order.create_time),
        }
    }
}

/// As `wanglou.fleet.v1.Replica`.
#[derive(Debug, Serialize)]
pub(crate) struct Replica<'a> {
    name: &'a str,
    addresses: &'a [String],
    version: &'a str,
    hosts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    draining: bool,
}

impl<'a> From<&'a fleet::Replica> for Replica<'a> {
    fn from(replica: &'a fleet::Replica) -> Self {
        Self {
            name: &replica.name,
            addresses: &replica.addresses,
            version: &replica.version,
            hosts: replica.hosts,
            start_time: moment(&replica.start_time),
            draining: replica.draining,
        }
    }
}

/// What `hosts --watch` tells.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change<'a> {
    /// A host is, or has become, so.
    Host {
        /// All of it.
        host: Box<Host<'a>>,
    },
    /// It does not pass the filter any more, or is no more.
    Removed {
        /// `hosts/<id>`.
        name: &'a str,
    },
    /// All hosts that there are have been told of.
    Complete {
        /// Their hosts are as etcd has them.
        missing_replicas: &'a [String],
        /// Since when etcd has not answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        frozen_time: Option<String>,
    },
    /// It begins again with hosts as they are.
    Reset {
        /// That nobody tells any more.
        lost_changes: u64,
        /// Why, if it was the connection.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// What came of a command on a host.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome<'a> {
    /// `hosts/<id>`.
    pub(crate) host: &'a str,
    /// Empty if it was done.
    pub(crate) error: &'a str,
}

/// A line of `count`.
#[derive(Debug, Serialize)]
pub(crate) struct Count<'a> {
    /// As asked for.
    pub(crate) group_by: &'a str,
    /// Which group.
    pub(crate) value: &'a str,
    /// Hosts in it.
    pub(crate) count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_protocol_and_what_is_unknown_is_absent() {
        let host = fleet::Host {
            name: "hosts/a".to_owned(),
            state: fleet::host::State::Alive.into(),
            state_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            heartbeat: Some(sensor::Heartbeat {
                state: sensor::heartbeat::State::Resting.into(),
                breaker: Some(sensor::Breaker {
                    trips: 1,
                    level: 3,
                    rest: Some(prost_types::Duration { seconds: 43, nanos: 500_000_000 }),
                }),
                cpu_millicores: 12,
                ..sensor::Heartbeat::default()
            }),
            ..fleet::Host::default()
        };
        assert_eq!(
            line(&Host::from(&host)).expect("JSON"),
            r#"{"name":"hosts/a","labels":{},"state":"alive","state_time":"2027-01-15T08:00:00Z","duplicate_instance_ids":[],"heartbeat":{"state":"resting","breaker":{"trips":1,"level":3,"rest":43.5},"cpu_millicores":12,"probe_millicores":0,"memory_bytes":0,"modules":[]},"order_epoch":0}"#
        );
    }

    #[test]
    fn an_order_says_what_was_signed_and_how_far_it_is() {
        let selector =
            order::Selector { hosts: vec!["a".to_owned()], ..order::Selector::default() };
        let said = order::Order {
            kind: order::order::Kind::Stop.into(),
            selector: Some(selector),
            epoch: 7,
            ..order::Order::default()
        };
        let known = fleet::Order {
            name: "orders/7".to_owned(),
            order: Some(said),
            durable: true,
            progress: Some(fleet::OrderProgress { selected: 1, ..fleet::OrderProgress::default() }),
        };
        assert_eq!(
            line(&Order::from(&known)).expect("JSON"),
            r#"{"name":"orders/7","order":{"fleet":"","kind":"stop","selector":{"hosts":["a"],"labels":{}},"epoch":7,"author":"","reason":""},"durable":true,"progress":{"selected":1,"sent":0,"received":0,"done":0,"refused":0,"silent_hosts":[]}}"#
        );
    }

    #[test]
    fn changes_say_what_they_are() {
        let lost = Change::Reset { lost_changes: 3, reason: None };
        assert_eq!(line(&lost).expect("JSON"), r#"{"change":"reset","lost_changes":3}"#);
        let complete = Change::Complete { missing_replicas: &[], frozen_time: None };
        assert_eq!(
            line(&complete).expect("JSON"),
            r#"{"change":"complete","missing_replicas":[]}"#
        );
    }
}
