//! What goes wrong with replicas, with etcd, and with the ways between them: one thing after the other, and some at once.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::etcd::Weather;
use super::link::Link;
use super::lock;
use super::replica::Replica;
use super::world::World;
use crate::clock;

/// Between two faults, at most.
const PAUSE: Duration = Duration::from_secs(40);
/// How long one lasts, at most.
const LASTS: Duration = Duration::from_secs(30);

/// Has things go wrong until it is quiet, and mends all of them.
pub(super) async fn happen(world: Arc<World>, mut random: Rng) {
    loop {
        sleep(PAUSE.mul_f64(random.f64())).await;
        if world.is_quiet() {
            return;
        }
        let fault = Fault { world: Arc::clone(&world), random: random.fork() };
        world.infra.begins();
        fault.happen().await;
        world.infra.ends();
    }
}

struct Fault {
    world: Arc<World>,
    random: Rng,
}

impl Fault {
    async fn happen(mut self) {
        let world = Arc::clone(&self.world);
        let replica = Arc::clone(&world.replicas[self.random.usize(..world.replicas.len())]);
        let name = replica.name.clone();
        let short = Duration::from_millis(200);
        let lasts = short + LASTS.mul_f64(self.random.f64());
        match self.random.u8(..9) {
            0 | 1 => {
                let link = if self.random.bool() { Link::Broken } else { Link::Stalled };
                self.note(format!("{name} crashes for {lasts:?}, its streams are {link:?}"));
                replica.crash(link);
                if self.random.u8(..3) == 0 {
                    self.note(format!("{name} takes its hosts with it, and is away for longer"));
                    replica.go_dark();
                    tokio::spawn(self.begin_again(replica, lasts * 4));
                } else {
                    sleep(lasts).await;
                    self.begin_again(replica, Duration::ZERO).await;
                }
            }
            2 => {
                self.note(format!("{name} is stopped for {lasts:?}"));
                replica.sleep(true);
                sleep(lasts).await;
                replica.sleep(false);
                self.note(format!("{name} goes on"));
            }
            3 => self.weather(&replica, Weather::CUT, lasts).await,
            4 => {
                let weather = Weather { loss: 0.3, twice: 0.3, delay: Duration::from_secs(3) };
                self.weather(&replica, weather, lasts).await;
            }
            5 | 6 => {
                self.note(format!("etcd has no quorum for {lasts:?}"));
                lock(&world.model).set_quorum(false, clock::millis());
                if self.random.bool() {
                    lock(&world.model).break_watches();
                }
                sleep(lasts).await;
                lock(&world.model).set_quorum(true, clock::millis());
                if self.random.bool() {
                    lock(&world.model).break_watches();
                }
                self.note("etcd has a quorum".to_owned());
            }
            7 => {
                self.note("watches break".to_owned());
                let mut model = lock(&world.model);
                model.break_watches();
                if self.random.bool() {
                    model.compact();
                }
            }
            _ => {
                let leases = lock(&world.model).leases();
                let Some(lease) = self.random.choice(leases) else { return };
                self.note(format!("lease {lease} is revoked behind our back"));
                lock(&world.model).revoke_behind(lease);
            }
        }
    }

    async fn begin_again(self, replica: Arc<Replica>, after: Duration) {
        sleep(after).await;
        self.world.infra.begins();
        replica.begin();
        self.note(format!("{} begins again", replica.name));
        self.world.infra.ends();
    }

    async fn weather(&self, replica: &Replica, weather: Weather, lasts: Duration) {
        let name = &replica.name;
        self.note(format!("the way of {name} to etcd: {weather:?} for {lasts:?}"));
        replica.set_weather(weather);
        sleep(lasts).await;
        replica.set_weather(Weather::FAIR);
        self.note(format!("the way of {name} to etcd is fair"));
    }

    fn note(&self, what: String) {
        self.world.trace.note(None, what);
    }
}
