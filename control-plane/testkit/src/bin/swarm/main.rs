//! Hosts by the thousand, told on standard input how to behave. See `wanglou_fleet_testkit::swarm`.

mod host;
mod lies;
mod orders;
mod session;
mod wire;
mod world;

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;
use wanglou_fleet_testkit::swarm::{Answer, Ask, Behaviour};

use crate::host::Host;
use crate::world::World;

fn main() -> Result<()> {
    // Each host is a socket.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    let mut swarm = Swarm {
        runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        world: None,
        hosts: HashMap::new(),
    };
    for line in stdin().lock().lines() {
        let answer = swarm.answer(serde_json::from_str(&line?)?);
        let answer = answer.unwrap_or_else(|error| Answer::Failed { why: format!("{error:#}") });
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        stdout().lock().write_all(&line)?;
        stdout().lock().flush()?;
    }
    // Nobody asks any more: all end at once, as if the power had failed.
    Ok(())
}

struct Swarm {
    runtime: Runtime,
    world: Option<Arc<World>>,
    hosts: HashMap<usize, watch::Sender<Behaviour>>,
}

impl Swarm {
    fn answer(&mut self, ask: Ask) -> Result<Answer> {
        if let Ask::Begin(setup) = ask {
            if self.world.is_some() {
                bail!("it has begun");
            }
            self.world = Some(Arc::new(World::new(setup)?));
            return Ok(Answer::Done);
        }
        let world = self.world.clone().context("it has not begun")?;
        match ask {
            Ask::Begin(_) | Ask::Report => return Ok(Answer::Report(world.report()?)),
            Ask::Endpoints { addresses } => world.move_to(addresses),
            Ask::Behave { hosts, behaviour, per_second } => {
                self.behave(&world, hosts, behaviour, per_second);
            }
        }
        Ok(Answer::Done)
    }

    fn behave(
        &mut self,
        world: &Arc<World>,
        hosts: Range<usize>,
        behaviour: Behaviour,
        per_second: u32,
    ) {
        let step = Duration::from_secs(1) / per_second.max(1);
        let mut begin = Vec::new();
        for number in hosts {
            let role = self.hosts.entry(number).or_insert_with(|| {
                let (role, seen) = watch::channel(Behaviour::Away);
                self.runtime.spawn(host::live(Arc::clone(world), Host::new(number), seen));
                role
            });
            begin.push(role.clone());
        }
        self.runtime.spawn(async move {
            for role in begin {
                role.send_replace(behaviour);
                // Tokio's timer counts in milliseconds.
                if step >= Duration::from_millis(1) {
                    sleep(step).await;
                } else if fastrand::f64() * 1e-3 < step.as_secs_f64() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
}
