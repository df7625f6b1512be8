//! The life of a host, from call to call.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::time::sleep;
use wanglou_fleet_testkit::swarm::{Behaviour, host_id};
use wanglou_fleet_testkit::truth::Event;

use crate::orders::Obedience;
use crate::session::{self, End};
use crate::world::World;

/// Between calls, at most: the first time after a failure, and ever.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// From the end of a stream that flaps to the next call, at most.
const FLAP: Duration = Duration::from_secs(1);

/// A host.
pub(crate) struct Host {
    pub(crate) id: String,
    /// Of this start, which lasts as long as the process.
    pub(crate) instance: String,
    certificate: OnceLock<Arc<CertifiedKey>>,
}

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        let instance = format!("{:016x}", fastrand::u64(..));
        Self { id: host_id(number), instance, certificate: OnceLock::new() }
    }

    pub(crate) fn certificate(&self, world: &World) -> Result<&Arc<CertifiedKey>> {
        if self.certificate.get().is_none() {
            // Who was faster has one that is as good.
            let _ = self.certificate.set(world.certificate(&self.id)?);
        }
        self.certificate.get().context("no certificate")
    }
}

/// Lives as it is told to, until nobody tells it any more.
pub(crate) async fn live(world: Arc<World>, host: Host, mut role: watch::Receiver<Behaviour>) {
    let mut obedience = Obedience::default();
    let mut is_dead = false;
    let mut failures = 0;
    let mut grace = LONGEST;
    loop {
        let wanted = *role.borrow_and_update();
        if matches!(wanted, Behaviour::Away | Behaviour::Silent | Behaviour::Goodbye) {
            if role.changed().await.is_err() {
                return;
            }
            continue;
        }
        if is_dead {
            world.record(&host.id, Event::Back { connected: false });
            is_dead = false;
        }
        // The future of a session is large, and there is none between two of them.
        let end =
            Box::pin(session::run(&world, &host, &mut obedience, &mut role, &mut grace)).await;
        let pause = match end {
            End::Dead => {
                is_dead = true;
                continue;
            }
            End::Moves => continue,
            End::Flaps => FLAP.mul_f64(fastrand::f64()),
            End::Failed { was_welcome, is_too_much, why } => {
                failures = if was_welcome { 0 } else { failures + 1 };
                if is_too_much {
                    failures = failures.max(4);
                }
                world.failed(why);
                full_jitter(failures, grace)
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            changed = role.changed() => if changed.is_err() { return },
        }
    }
}

/// Any time up to twice that of before, but not so long that a host would be taken for lost.
fn full_jitter(failures: u32, grace: Duration) -> Duration {
    let most = FIRST.saturating_mul(1 << failures.min(7)).min(LONGEST).min(grace / 2);
    most.mul_f64(fastrand::f64())
}
