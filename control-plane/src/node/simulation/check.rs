//! Whether what each replica says of each host is true.
//!
//! ```text
//! lost    nobody is called so whom replicas could hear: who is was away for as long as the grace
//! gone    nobody is called so who has not said goodbye
//! alive   nobody is called so who has been away for longer than it may take to find out
//! missed  whoever is here is said to be, in time
//! ```
//!
//! How late the truth may be is counted in time in which nothing of ours is at fault, the only time that can be promised.

use std::collections::HashMap;
use std::fmt;

use wanglou_api::fleet::v1::host::State;
use wanglou_api::identity::Name;

use super::lock;
use super::truth::{Host, Machine};
use super::world::World;
use crate::fleet::Millis;
use crate::fleet::hosts::{Entry, UNKNOWN_MS};
use crate::fleet::sessions::{GRACE_MS, MOVE_MS};
use crate::view::state_name;

/// For what was so to be told, when nothing is at fault.
const LAG: Millis = 8_000;
/// Who was away for so long may have been for the whole grace: it is not looked at all the time.
const AWAY: Millis = GRACE_MS - 500;
/// Silence is seen after 20 s, and who is silent may be on its way to another replica.
const SILENT_MS: Millis = 20_000;
const DEATH: Millis = SILENT_MS + MOVE_MS + LAG;
const ARRIVAL: Millis = 15_000;

/// Something that was said and is not so.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) host: Name,
    at: Millis,
    replica: Name,
    said: State,
    why: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, at, replica, said, why } = self;
        let (seconds, said) = (*at as f64 / 1_000.0, state_name(*said));
        write!(f, "{seconds:.3}: {replica} says that {host} is {said}: {why}")
    }
}

/// What one replica says of one host.
#[derive(Default)]
struct Said {
    state: State,
    /// At which revision it was put live, as far as this replica has heard.
    live: i64,
    /// For how long, in calm time, it has been another than it should.
    stale: Millis,
    missed: Millis,
    unknown: Millis,
}

/// When it was last true that a host was lost, or gone.
#[derive(Clone, Copy, Default)]
struct Excuse {
    lost: Option<Moment>,
    gone: Option<Moment>,
}

/// In calm time, and by etcd's revision: who has heard that a host was put live after that knows better.
#[derive(Clone, Copy)]
struct Moment {
    calm: Millis,
    revision: i64,
}

pub(super) struct Check {
    calm: Millis,
    looked: Millis,
    excuses: Vec<Excuse>,
    said: HashMap<(usize, usize), Said>,
}

impl Check {
    pub(super) fn new(world: &World) -> Self {
        let excuses = vec![Excuse::default(); lock(&world.hosts).len()];
        Self { calm: 0, looked: 0, excuses, said: HashMap::new() }
    }

    /// Looks at all that is said now.
    pub(super) fn look(&mut self, world: &World, now: Millis) -> Result<(), Finding> {
        let step = now - self.looked;
        self.looked = now;
        let is_calm = world.infra.is_calm();
        self.calm += if is_calm { step } else { 0 };
        let revision = lock(&world.model).revision();
        for (h, host) in lock(&world.hosts).iter_mut().enumerate() {
            for machine in &mut host.machines {
                machine.look(&world.replicas, now);
            }
            self.excuse(h, host, revision);
            for (r, replica) in world.replicas.iter().enumerate() {
                let Some(view) = replica.view().filter(|_| replica.is_awake()) else {
                    self.said.remove(&(r, h));
                    continue;
                };
                let view = view.read();
                let state = view.host(&host.name).map_or(State::Unspecified, |it| it.state());
                // That it is as it was is all that is said.
                let is_frozen = view.hosts.blind_since().is_some();
                let said = self.said.entry((r, h)).or_default();
                let is_new = std::mem::replace(&mut said.state, state) != state;
                if is_new {
                    let what = format!("        {}: {}", replica.name, state_name(state));
                    world.trace.note(Some(&host.name), what);
                }
                let excuse = self.excuses[h];
                let live = view.hosts.get(&host.name).and_then(Entry::live);
                let knew = said.live;
                said.live = live.map_or(knew, |it| it.revision);
                // What etcd put live late may have been over before: an end is that of what is live.
                let held = lock(&world.model).held(&host.name);
                let was_late = held.is_some_and(|at| now <= at + SILENT_MS + GRACE_MS + LAG);
                let is_excused = |at: Option<Moment>| {
                    let late = |at: Moment| self.calm <= at.calm + LAG && knew <= at.revision;
                    was_late || at.is_some_and(late)
                };
                let is_here = host.machines.iter().any(Machine::is_here);
                let is_there = matches!(state, State::Alive | State::Stopped);
                let counts = is_calm && !is_frozen;
                let count = |of: Millis, is: bool| if counts && is { of + step } else { 0 };
                said.stale = count(said.stale, !is_here && (is_there || state == State::Suspect));
                said.missed = count(said.missed, is_here && !is_there);
                said.unknown = count(said.unknown, state == State::Unknown);
                let why = match state {
                    State::Lost if is_new && !is_excused(excuse.lost) => "it was not away",
                    State::Gone if is_new && !is_excused(excuse.gone) => "it said no goodbye",
                    _ if said.stale > DEATH => "it has been away for too long",
                    _ if said.missed > ARRIVAL => "it has been here for long enough",
                    _ if said.unknown > UNKNOWN_MS + LAG => "it has been unknown for too long",
                    _ => continue,
                };
                let (host, replica) = (host.name.clone(), replica.name.clone());
                return Err(Finding { host, at: now, replica, said: state, why });
            }
        }
        Ok(())
    }

    fn excuse(&mut self, h: usize, host: &mut Host, revision: i64) {
        let moment = Moment { calm: self.calm, revision };
        let excuse = &mut self.excuses[h];
        let until = GRACE_MS + DEATH + UNKNOWN_MS;
        let is_lost = |away: Millis| (AWAY..until).contains(&away);
        // Of one machine of two, what it was ends some day; of all of them it stays.
        let are_all = host.machines.iter().all(|it| !it.is_here());
        let mut away = host.machines.iter().filter_map(Machine::away);
        if away.any(|away| is_lost(away) || are_all && away >= AWAY) {
            excuse.lost = Some(moment);
        }
        for machine in &mut host.machines {
            if machine.said_goodbye {
                excuse.gone = Some(moment);
            }
            machine.said_goodbye &= !machine.is_here();
        }
    }

    /// In the end all that is said is so; of who went last it may still be unknown.
    pub(super) fn end(&self, world: &World, now: Millis) -> Result<(), Finding> {
        for (h, host) in lock(&world.hosts).iter().enumerate() {
            let is_here = host.machines.iter().any(Machine::is_here);
            for (r, replica) in world.replicas.iter().enumerate() {
                // A replica that is not there says nothing.
                let Some(Said { state: said, missed, .. }) = self.said.get(&(r, h)) else {
                    continue;
                };
                // Who has come a moment ago is not told of yet.
                let is_away = !is_here || *missed < ARRIVAL;
                let is_so = match said {
                    State::Alive | State::Stopped => is_here,
                    State::Lost | State::Gone | State::Unknown => is_away,
                    State::Suspect | State::Unspecified => false,
                };
                if !is_so {
                    let (host, replica) = (host.name.clone(), replica.name.clone());
                    let why = "in the end it is not so";
                    return Err(Finding { host, at: now, replica, said: *said, why });
                }
            }
        }
        Ok(())
    }
}
