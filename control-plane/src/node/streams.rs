//! Hosts whose streams end here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use wanglou_api::fleet::v1::Host;
use wanglou_api::fleet::v1::host::State as HostState;
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::control_request::Message as Said;
use wanglou_api::sensor::v1::control_response::Message as Say;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::{
    ControlResponse, Drain, Endpoints, Heartbeat, Hello, Probe, Welcome, heartbeat,
};

use super::State;
use super::event::ToHost;
use crate::clock;
use crate::fleet::Millis;
use crate::fleet::hosts::UNKNOWN_MS;
use crate::fleet::orders::Last;
use crate::fleet::placement::{Ended, Here};
use crate::fleet::sessions::{Do, StreamId};
use crate::log::ids;

/// Addresses that a host is told of, at most.
const ENDPOINTS: usize = 64;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) host: Name,
    pub(super) say: ToHost,
    serial: Arc<str>,
    /// As in its hello, for when it is the host's.
    about: Host,
    /// What it was told that it is called.
    pub(super) labels: BTreeMap<String, String>,
    /// The last order that it was told, and the last that it has shown or done.
    pub(super) told: Last,
    pub(super) obeyed: Last,
    /// Its other half ends when this is gone.
    _over: oneshot::Sender<()>,
}

impl State {
    pub(super) fn hello(
        &mut self,
        host: &Name,
        stream: StreamId,
        serial: Arc<str>,
        hello: Hello,
        (say, over): (ToHost, oneshot::Sender<()>),
        now: Millis,
    ) {
        let last = self.shown(&hello);
        let (instance, about) = (hello.instance_id.clone(), self.about(host, hello, last.epoch));
        let labels = self.labels(host);
        let welcome = self.welcome_with(&labels);
        self.streams.insert(
            stream,
            Stream {
                host: host.clone(),
                say,
                serial,
                about,
                labels,
                told: last,
                obeyed: last,
                _over: over,
            },
        );
        self.say(stream, welcome);
        let todo = self.sessions.hello(host, stream, instance, now);
        self.carry_out(todo);
        self.deliver(stream, now);
    }

    pub(super) fn said(&mut self, host: &Name, stream: StreamId, message: Said, now: Millis) {
        let todo = match message {
            Said::Goodbye(goodbye) if goodbye.reason() == Reason::Moves => {
                self.sessions.moves(host, stream, now)
            }
            Said::Goodbye(_) => self.sessions.goodbye(host, stream),
            Said::Heartbeat(heartbeat) => {
                self.heartbeat(host, stream, heartbeat);
                self.sessions.answered(host, stream)
            }
            Said::OrderReceipt(receipt) => {
                self.receipt(host, stream, receipt, now);
                self.sessions.answered(host, stream)
            }
            Said::CommandResult(result) => {
                self.commands.answered(host, result);
                self.sessions.answered(host, stream)
            }
            // A second hello means nothing.
            Said::Hello(_) => Vec::new(),
        };
        self.carry_out(todo);
    }

    pub(super) fn broken(&mut self, host: &Name, stream: StreamId, now: Millis) {
        self.streams.remove(&stream);
        let todo = self.sessions.broken(host, stream, now);
        self.carry_out(todo);
        if self.sessions.streams(host).next().is_none() {
            self.commands.gone(host);
        }
    }

    pub(super) fn carry_out(&mut self, todo: Vec<Do>) {
        for one in todo {
            match one {
                Do::Register { host, session } => self.register_host(host, session),
                Do::End { host, session, goodbye } => {
                    self.streams.remove(&session);
                    // That it is lost etcd has to agree to: it may be with another replica.
                    if goodbye {
                        self.set_state(&host, HostState::Gone);
                    }
                    let time = clock::rfc3339(clock::now());
                    self.registry.placement.ended(&host, Ended { session, goodbye, time });
                }
                Do::Left { host } => {
                    self.view.write().own.remove(&host);
                    self.orders.leave(&host);
                    self.withdraw(&host);
                    self.changed.insert(host);
                }
                Do::Close { stream } => {
                    self.streams.remove(&stream);
                }
                Do::Probe { stream } => self.say(stream, Say::Probe(Probe {})),
                Do::Twins { host, instances } => {
                    if !instances.is_empty() {
                        tracing::warn!(id = ids::TWINS.code, %host, ?instances, "more than one machine calls itself the same");
                    }
                    self.change(&host, |it| it.duplicate_instance_ids = instances);
                }
                Do::Suspect { host, is } => {
                    if is {
                        self.registry.placement.away(&host);
                    }
                    self.set_state(&host, if is { HostState::Suspect } else { HostState::Alive });
                }
            }
        }
    }

    fn register_host(&mut self, host: Name, session: StreamId) {
        let Some(stream) = self.streams.get(&session) else { return };
        let (about, serial) = (stream.about.clone(), stream.serial.to_string());
        let here = Here {
            session,
            instance: about.instance_id.clone(),
            serial,
            since: clock::rfc3339(clock::now()),
        };
        self.registry.placement.here(&host, here);
        self.view.write().own.insert(host.clone(), about);
        self.changed.insert(host);
    }

    /// What a host says of itself at first.
    fn about(&self, host: &Name, hello: Hello, order_epoch: u64) -> Host {
        let now = clock::now();
        let skew = hello
            .local_time
            .as_ref()
            .map(|time| duration(clock::of_timestamp(time).saturating_sub(now)));
        let text = |mut text: String| {
            // At most 256 bytes each, whatever a host sends.
            while text.len() > 256 {
                text.pop();
            }
            text
        };
        Host {
            name: format!("hosts/{host}"),
            state: HostState::Alive.into(),
            state_time: Some(clock::timestamp(now)),
            last_seen_time: Some(clock::timestamp(now)),
            replica: format!("replicas/{}", self.settings.replica),
            hostname: text(hello.hostname),
            version: text(hello.version),
            kernel_release: text(hello.kernel_release),
            architecture: text(hello.architecture),
            boot_id: text(hello.boot_id),
            instance_id: text(hello.instance_id),
            order_epoch,
            clock_skew: skew,
            ..Host::default()
        }
    }

    fn heartbeat(&mut self, host: &Name, stream: StreamId, heartbeat: Heartbeat) {
        if self.sessions.streams(host).next() != Some(stream) {
            return;
        }
        let now = clock::now();
        let is_stopped = heartbeat.state() == heartbeat::State::Stopped;
        let skew =
            heartbeat.local_time.as_ref().map(|time| clock::of_timestamp(time).saturating_sub(now));
        self.change(host, |it| {
            it.last_seen_time = Some(clock::timestamp(now));
            it.clock_skew = skew.map(duration).or_else(|| it.clock_skew.take());
            it.heartbeat = Some(heartbeat);
        });
        self.set_state(host, if is_stopped { HostState::Stopped } else { HostState::Alive });
    }

    /// What this replica knows of a host that is here changes.
    pub(super) fn change(&mut self, host: &Name, change: impl FnOnce(&mut Host)) {
        if let Some(own) = self.view.write().own.get_mut(host) {
            change(own);
            self.changed.insert(host.clone());
        }
    }

    pub(super) fn set_state(&mut self, host: &Name, state: HostState) {
        self.change(host, |it| {
            if it.state() != state {
                it.set_state(state);
                it.state_time = Some(clock::timestamp(clock::now()));
            }
        });
    }

    pub(super) fn labels(&self, host: &Name) -> BTreeMap<String, String> {
        let view = self.view.read();
        view.hosts.get(host).map(|entry| entry.record().labels.clone()).unwrap_or_default()
    }

    /// What a host with these labels is to know of us.
    fn welcome_with(&self, labels: &BTreeMap<String, String>) -> Say {
        Say::Welcome(Welcome {
            replica_id: self.settings.replica.to_string(),
            heartbeat_interval: self.settings.heartbeat.try_into().ok(),
            grace: (self.settings.lease_ttl + Duration::from_millis(UNKNOWN_MS)).try_into().ok(),
            labels: labels.clone(),
            labels_known: self.knows_hosts,
            endpoints: Some(Endpoints { addresses: self.endpoints.clone() }),
            max_connection_age: spread(self.settings.connection_age).try_into().ok(),
        })
    }

    /// Its labels may be others now: it is told, and hears the orders that mean it because of that.
    pub(super) fn relabel(&mut self, host: &Name, now: Millis) {
        let labels = self.labels(host);
        let welcome = self.welcome_with(&labels);
        for id in self.sessions.streams(host).collect::<Vec<_>>() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if stream.labels != labels {
                stream.labels.clone_from(&labels);
                // What it has refused because of its labels it may obey now.
                stream.told = stream.obeyed;
                self.say(id, welcome.clone());
                self.deliver(id, now);
            }
        }
    }

    /// What hosts are called is known from now on: those that came before are told.
    pub(super) fn name_all(&mut self, now: Millis) {
        let all: Vec<_> = self.streams.iter().map(|(id, it)| (*id, it.host.clone())).collect();
        for (id, host) in all {
            let labels = self.labels(&host);
            let welcome = self.welcome_with(&labels);
            if let Some(stream) = self.streams.get_mut(&id) {
                (stream.labels, stream.told) = (labels, stream.obeyed);
            }
            self.say(id, welcome);
            self.deliver(id, now);
        }
    }

    /// Where replicas are may have changed.
    pub(super) fn tell_endpoints(&mut self) {
        let endpoints: Vec<_> = {
            let view = self.view.read();
            let staying = view.replicas.iter().filter(|(id, replica)| {
                !(replica.draining || self.is_leaving && **id == self.settings.replica)
            });
            staying.flat_map(|(_, replica)| replica.addresses.clone()).take(ENDPOINTS).collect()
        };
        if self.endpoints != endpoints {
            self.endpoints.clone_from(&endpoints);
            let message = Say::Endpoints(Endpoints { addresses: endpoints });
            for stream in self.streams.keys().copied().collect::<Vec<_>>() {
                self.say(stream, message.clone());
            }
        }
    }

    pub(super) fn drain(&mut self, within: Duration) {
        self.is_leaving = true;
        self.tell_endpoints();
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.say(stream, Say::Drain(Drain { within: within.try_into().ok() }));
        }
    }

    /// A host that does not take what it is told is cut off: it will come back.
    pub(super) fn say(&mut self, stream: StreamId, message: Say) {
        let Some(to) = self.streams.get(&stream) else { return };
        let Err(error) = to.say.try_send(Ok(Box::new(ControlResponse { message: Some(message) })))
        else {
            return;
        };
        // One that is closed has broken in another way.
        self.counters.deaf().add(usize::from(matches!(error, TrySendError::Full(_))));
        if let Some(cut) = self.streams.remove(&stream) {
            self.cut.push((cut.host, stream));
        }
    }
}

fn duration(millis: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: millis / 1_000, nanos: (millis % 1_000 * 1_000_000) as i32 }
}

/// Half of it and up to as much again, so that hosts that came together do not go together.
fn spread(whole: Duration) -> Duration {
    let mut random = [0; 4];
    // Without a random number all go together once.
    let _ = rand::fill(&mut random);
    let half = whole / 2;
    half + half.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
}
