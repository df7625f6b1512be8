//! One stream, from call to end. It is one task that does everything: while it does not poll the connection, the host
//! neither reads nor writes.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use wanglou_api::order::v1::SignedOrder;
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::sensor::v1::control_response::Message as Said;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::heartbeat::State;
use wanglou_api::sensor::v1::{
    CommandResult, Goodbye, Heartbeat, Hello, Ledger, Module, OrderReceipt, Welcome,
};
use wanglou_fleet_testkit::swarm::Behaviour;
use wanglou_fleet_testkit::truth::Event;

use crate::host::Host;
use crate::lies;
use crate::orders::Obedience;
use crate::wire::{Connection, Heard, Say, Wire};
use crate::world::World;

/// For everything up to the answer.
const CALL: Duration = Duration::from_secs(20);
/// From one ping to the next, by when it has to be answered.
const PING: Duration = Duration::from_secs(10);
/// For a goodbye to be written.
const FAREWELL: Duration = Duration::from_secs(5);
/// From one message of a slow reader, or lie, to the next.
const SLOW: Duration = Duration::from_secs(1);
/// How long a connection that flaps is there, at most.
const FLAP: Duration = Duration::from_secs(2);

/// How it ended.
pub(crate) enum End {
    /// The host did, as it was told to.
    Dead,
    /// It goes to another replica.
    Moves,
    /// It is to call again soon.
    Flaps,
    /// Not by its own will.
    Failed { was_welcome: bool, is_too_much: bool, why: String },
}

/// What is done later.
#[derive(Default)]
struct Due {
    heartbeat: Option<Instant>,
    ping: Option<Instant>,
    done: Option<(Instant, OrderReceipt)>,
    moves: Option<Instant>,
    flaps: Option<Instant>,
    lies: Option<Instant>,
    reads: Option<Instant>,
}

impl Due {
    fn next(&self) -> Instant {
        let done = self.done.as_ref().map(|(at, _)| *at);
        [self.heartbeat, self.ping, done, self.moves, self.flaps, self.lies, self.reads]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + PING)
    }
}

/// Takes the time out, if it has come.
fn is_due(at: &mut Option<Instant>, now: Instant) -> bool {
    at.take_if(|at| *at <= now).is_some()
}

/// What a stream is besides its wire.
struct Session<'s> {
    world: &'s World,
    host: &'s Host,
    obedience: &'s mut Obedience,
    grace: &'s mut Duration,
    labels: BTreeMap<String, String>,
    interval: Duration,
    is_welcome: bool,
    due: Due,
}

/// Ends the stream and waits until the replica has too, so that nothing that was said is lost.
async fn farewell(connection: &mut Connection, heard: &mut Heard, say: &mut Say) {
    let written = async {
        say.end()?;
        tokio::select! {
            _ = connection => {}
            () = async { while heard.next().await.is_ok() {} } => {}
        }
        anyhow::Ok(())
    };
    // Whether or not anybody listens any more, it is away.
    let _ = timeout(FAREWELL, written).await;
}

/// Calls any of the endpoints, and stays until something ends it.
pub(crate) async fn run(
    world: &World,
    host: &Host,
    obedience: &mut Obedience,
    role: &mut watch::Receiver<Behaviour>,
    grace: &mut Duration,
) -> End {
    let mut session = Session {
        world,
        host,
        obedience,
        grace,
        labels: BTreeMap::new(),
        interval: Duration::from_secs(30),
        is_welcome: false,
        due: Due::default(),
    };
    let wire = match session.call().await {
        Ok(wire) => wire,
        Err(error) => return session.failed(&error),
    };
    let end = session.stay(wire, role).await.unwrap_or_else(|error| session.failed(&error));
    if session.is_welcome {
        world.counts.welcome.fetch_sub(1, Ordering::Relaxed);
        if !matches!(end, End::Dead) {
            world.record(&host.id, Event::Broken);
        }
    }
    end
}

impl Session<'_> {
    fn failed(&self, error: &anyhow::Error) -> End {
        let why = format!("{error:#}");
        // RESOURCE_EXHAUSTED.
        let is_too_much = why.contains("status 8:");
        End::Failed { was_welcome: self.is_welcome, is_too_much, why }
    }

    async fn call(&self) -> Result<Wire> {
        let _place = self.world.places.acquire().await?;
        let endpoints = self.world.endpoints();
        let endpoint = fastrand::choice(&*endpoints).context("there is no endpoint")?;
        let hello = Message::Hello(self.hello());
        let open = Wire::open(self.world, self.host, endpoint, hello);
        timeout(CALL, open).await.context("it takes too long")?
    }

    async fn stay(&mut self, mut wire: Wire, role: &mut watch::Receiver<Behaviour>) -> Result<End> {
        self.act(*role.borrow_and_update());
        let mut is_pinging = false;
        self.due.ping = Some(Instant::now() + PING);
        loop {
            let Wire { connection, heard, say, ping } = &mut wire;
            let reads = self.due.reads.is_none();
            let as_now = *role.borrow();
            tokio::select! {
                biased;
                changed = role.changed() => {
                    changed?;
                    let now = *role.borrow_and_update();
                    if now == Behaviour::Silent {
                        if let Some(end) = self.silent(role).await? {
                            return Ok(end);
                        }
                        continue;
                    }
                    if let Some(end) = self.leave(now, say) {
                        if now == Behaviour::Goodbye {
                            farewell(connection, heard, say).await;
                        }
                        return Ok(end);
                    }
                    self.act(now);
                }
                ended = &mut *connection => {
                    // What it still has to say comes first, such as why.
                    while let Ok(Ok(message)) = timeout(Duration::ZERO, heard.next()).await {
                        self.hear(message.message, say, as_now)?;
                    }
                    ended?;
                    anyhow::bail!("the connection ended");
                }
                message = heard.next(), if reads => {
                    let message = message?;
                    self.hear(message.message, say, as_now)?;
                }
                pong = poll_fn(|cx| ping.poll_pong(cx)), if is_pinging => {
                    pong?;
                    is_pinging = false;
                }
                () = sleep_until(self.due.next()) => {
                    let now = Instant::now();
                    if is_due(&mut self.due.ping, now) {
                        anyhow::ensure!(!is_pinging, "a ping is not answered");
                        ping.send_ping(h2::Ping::opaque())?;
                        is_pinging = true;
                        self.due.ping = Some(now + PING);
                    }
                    if let Some(end) = self.do_what_is_due(now, say, as_now)? {
                        if matches!(end, End::Moves) {
                            farewell(connection, heard, say).await;
                        }
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Does nothing at all until it is told to be otherwise.
    async fn silent(&mut self, role: &mut watch::Receiver<Behaviour>) -> Result<Option<End>> {
        if self.is_welcome {
            self.world.record(&self.host.id, Event::Silent);
        }
        loop {
            role.changed().await?;
            match *role.borrow_and_update() {
                Behaviour::Silent => {}
                Behaviour::Away | Behaviour::Goodbye => return Ok(Some(End::Dead)),
                other => {
                    if self.is_welcome {
                        self.world.record(&self.host.id, Event::Back { connected: true });
                    }
                    self.act(other);
                    return Ok(None);
                }
            }
        }
    }

    /// Ends if it is to.
    fn leave(&self, now: Behaviour, say: &mut Say) -> Option<End> {
        let event = match now {
            Behaviour::Away => Event::Cut,
            Behaviour::Goodbye => Event::Goodbye,
            _ => return None,
        };
        if self.is_welcome {
            self.world.record(&self.host.id, event);
        }
        if now == Behaviour::Goodbye {
            let goodbye = Goodbye { reason: Reason::Ended.into() };
            // Whether or not anybody listens any more, it is away.
            let _ = say.message(Message::Goodbye(goodbye));
        }
        Some(End::Dead)
    }

    /// Sets the times that go with a behaviour.
    fn act(&mut self, now: Behaviour) {
        let at = Instant::now();
        self.due.flaps = (now == Behaviour::Flapping).then(|| at + FLAP.mul_f64(fastrand::f64()));
        self.due.lies = (now == Behaviour::Lying).then(|| at + SLOW);
        self.due.reads = (now == Behaviour::Slow).then(|| at + SLOW);
    }

    fn do_what_is_due(
        &mut self,
        now: Instant,
        say: &mut Say,
        role: Behaviour,
    ) -> Result<Option<End>> {
        is_due(&mut self.due.reads, now);
        if is_due(&mut self.due.heartbeat, now) {
            say.message(Message::Heartbeat(self.heartbeat()))?;
            self.due.heartbeat = Some(now + self.interval);
        }
        if let Some((_, receipt)) = self.due.done.take_if(|(at, _)| *at <= now) {
            say.message(Message::OrderReceipt(receipt))?;
        }
        if is_due(&mut self.due.lies, now) {
            self.world.counts.lies.fetch_add(1, Ordering::Relaxed);
            lies::tell(say)?;
            self.act(role);
        }
        if is_due(&mut self.due.flaps, now) {
            return Ok(Some(End::Flaps));
        }
        if is_due(&mut self.due.moves, now) {
            say.message(Message::Goodbye(Goodbye { reason: Reason::Moves.into() }))?;
            return Ok(Some(End::Moves));
        }
        Ok(None)
    }

    fn hear(&mut self, message: Option<Said>, say: &mut Say, role: Behaviour) -> Result<()> {
        self.world.counts.messages.fetch_add(1, Ordering::Relaxed);
        if role == Behaviour::Slow {
            self.due.reads = Some(Instant::now() + SLOW);
        }
        match message {
            Some(Said::Welcome(welcome)) => self.welcome(welcome),
            Some(Said::Probe(_)) => say.message(Message::Heartbeat(self.heartbeat()))?,
            Some(Said::Order(order)) => self.obey(order, say)?,
            Some(Said::Command(command)) => {
                let result = CommandResult { command_id: command.command_id, error: String::new() };
                say.message(Message::CommandResult(result))?;
            }
            Some(Said::Endpoints(endpoints)) => self.world.move_to(endpoints.addresses),
            Some(Said::Drain(drain)) => {
                let within = drain.within.and_then(|it| Duration::try_from(it).ok());
                let within = within.unwrap_or_default().mul_f64(fastrand::f64());
                self.due.moves = Some(Instant::now() + within);
            }
            None => {}
        }
        Ok(())
    }

    fn welcome(&mut self, welcome: Welcome) {
        let duration =
            |it: Option<prost_types::Duration>| -> Option<Duration> { it?.try_into().ok() };
        if let Some(interval) = duration(welcome.heartbeat_interval).filter(|it| !it.is_zero()) {
            self.interval = interval;
        }
        if let Some(grace) = duration(welcome.grace).filter(|it| !it.is_zero()) {
            *self.grace = grace;
        }
        self.labels = welcome.labels;
        // At once, and then at times of its own.
        let first = self.interval.mul_f64(fastrand::f64());
        self.due.heartbeat = Some(Instant::now() + first);
        if !self.is_welcome {
            self.is_welcome = true;
            self.world.counts.welcome.fetch_add(1, Ordering::Relaxed);
            self.world.counts.welcomes.fetch_add(1, Ordering::Relaxed);
            self.world.record(&self.host.id, Event::Welcomed { replica: welcome.replica_id });
        }
    }

    fn obey(&mut self, order: SignedOrder, say: &mut Say) -> Result<()> {
        let counts = &self.world.counts;
        counts.orders.fetch_add(1, Ordering::Relaxed);
        let was_stopped = self.obedience.is_stopped;
        let verdict = self.obedience.hear(self.world, &self.host.id, &self.labels, order);
        let event = Event::Order { epoch: verdict.epoch, outcome: verdict.outcome.to_owned() };
        self.world.record(&self.host.id, event);
        say.message(Message::OrderReceipt(verdict.receipt))?;
        let Some(done) = verdict.done else { return Ok(()) };
        counts.obeyed.fetch_add(1, Ordering::Relaxed);
        match (was_stopped, self.obedience.is_stopped) {
            (false, true) => drop(counts.stopped.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(counts.stopped.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        if self.world.obeys_after.is_zero() {
            say.message(Message::OrderReceipt(done))?;
        } else {
            self.due.done = Some((Instant::now() + self.world.obeys_after, done));
        }
        Ok(())
    }

    fn hello(&self) -> Hello {
        Hello {
            boot_id: "6f1c9f0e-5c1d-4a44-9d0f-3a5a9c1e7b52".to_owned(),
            instance_id: self.host.instance.clone(),
            run_id: (!self.obedience.is_stopped).then_some(1_000_000_000),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hostname: self.host.id.clone(),
            kernel_release: "6.1.0".to_owned(),
            architecture: "x86_64".to_owned(),
            configuration_hash: "0123456789abcdef".to_owned(),
            last_order: self.obedience.last.as_deref().cloned(),
            local_time: Some(std::time::SystemTime::now().into()),
            ..Hello::default()
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let is_stopped = self.obedience.is_stopped;
        let state = if is_stopped { State::Stopped } else { State::Working };
        let produced = fastrand::u64(1_000..1_000_000);
        let module = |name: &str| Module {
            name: name.to_owned(),
            state: if is_stopped { "off" } else { "running" }.to_owned(),
        };
        Heartbeat {
            run_id: (!is_stopped).then_some(1_000_000_000),
            state: state.into(),
            reason: if is_stopped { "by order".to_owned() } else { String::new() },
            cpu_millicores: fastrand::u32(2..20),
            probe_millicores: fastrand::u32(0..5),
            memory_bytes: fastrand::u64(20 << 20..40 << 20),
            ledger: Some(Ledger { produced, delivered: produced, ..Ledger::default() }),
            modules: ["process", "network", "self"].map(module).into(),
            configuration_hash: "0123456789abcdef".to_owned(),
            local_time: Some(std::time::SystemTime::now().into()),
            ..Heartbeat::default()
        }
    }
}
