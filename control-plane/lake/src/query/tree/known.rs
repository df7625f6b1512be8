//! What is known of each process of a tree.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost::Message as _;
use wanglou_api::event::v1;

use super::Process;
use super::kin::Kin;
use crate::query::scan::Found;

/// What is known of those of a tree.
pub(super) struct Known {
    /// By id: when it was last told of, and as what.
    processes: HashMap<String, (Latest, Process)>,
    host: Option<String>,
}

/// When what was told last: ns since 1970.
#[derive(Default)]
struct Latest {
    name: i64,
    executable: i64,
    command: i64,
    user: i64,
}

impl Known {
    pub(super) fn of(kin: &Kin) -> Self {
        let process = |id: &String| {
            let process = Process { entity_id: id.clone(), ..Process::default() };
            (id.clone(), (Latest::default(), process))
        };
        Self { processes: kin.ids.iter().map(process).collect(), host: kin.host.clone() }
    }

    /// Parents before their children, each after those that are older.
    pub(super) fn finish(mut self) -> Vec<Process> {
        // Nothing is stored of it.
        if self.host.is_none() {
            return Vec::new();
        }
        self.processes.retain(|_, (_, process)| process.is_known());
        let known: HashSet<_> = self.processes.keys().cloned().collect();
        let mut children: BTreeMap<String, Vec<Process>> = BTreeMap::new();
        let mut roots = Vec::new();
        for (id, (_, process)) in self.processes {
            let parent = &process.parent_entity_id;
            if *parent != id && known.contains(parent) {
                children.entry(parent.clone()).or_default().push(process);
            } else {
                roots.push(process);
            }
        }
        let oldest_last = |them: &mut Vec<Process>| {
            them.sort_by_key(|it| std::cmp::Reverse((it.start.unwrap_or(i64::MAX), it.pid)));
        };
        oldest_last(&mut roots);
        let mut ordered = Vec::new();
        while let Some(process) = roots.pop() {
            let mut kin = children.remove(&process.entity_id).unwrap_or_default();
            oldest_last(&mut kin);
            roots.append(&mut kin);
            ordered.push(process);
        }
        // Whose parents are each other's lie; they are shown all the same.
        ordered.extend(children.into_values().flatten());
        ordered
    }
}

impl Found for Known {
    fn floor(&self) -> i64 {
        i64::MIN
    }

    fn take(&mut self, time: i64, event: &[u8]) {
        let Ok(event) = v1::Event::decode(event) else { return };
        let host = event.host.unwrap_or_default();
        if self.host.as_deref().is_some_and(|of| of != host.id.as_deref().unwrap_or_default()) {
            return;
        }
        let process = event.process.unwrap_or_default();
        let parent = process.parent.unwrap_or_default();
        let parent_id = parent.entity_id.unwrap_or_default();
        // Of one that began long ago, its children may be the only ones who tell.
        if let Some((latest, known)) = self.processes.get_mut(&parent_id) {
            known.pid = parent.pid.unwrap_or(known.pid);
            newer(&mut latest.name, 0, parent.name, &mut known.name);
            newer(&mut latest.executable, 0, parent.executable, &mut known.executable);
        }
        let id = process.entity_id.as_deref().unwrap_or_default();
        let Some((latest, known)) = self.processes.get_mut(id) else { return };
        let action = event.event.and_then(|meta| meta.action).unwrap_or_default();
        known.pid = process.pid.unwrap_or(known.pid);
        if let Some(name) = host.name.or(host.id) {
            known.host = name;
        }
        newer(&mut latest.name, time, process.name, &mut known.name);
        newer(&mut latest.executable, time, process.executable, &mut known.executable);
        newer(&mut latest.command, time, process.command_line, &mut known.command_line);
        newer(&mut latest.user, time, event.user.and_then(|user| user.id), &mut known.user_id);
        if !parent_id.is_empty() {
            known.parent_entity_id = parent_id;
        }
        known.start = process.start.as_ref().map(ns).or(known.start);
        if action == "end" {
            known.end = process.end.as_ref().map(ns).or(Some(time));
            known.exit_code = process.exit_code;
            known.signal = process.signal.unwrap_or_default();
        }
        if matches!(&*action, "connection_attempted" | "connection_accepted") {
            known.connections = known.connections.saturating_add(1);
        }
    }
}

/// Takes a text that was told later than the one that is known.
fn newer(latest: &mut i64, time: i64, told: Option<String>, known: &mut String) {
    if let Some(told) = told
        && time >= *latest
    {
        *latest = time;
        *known = told;
    }
}

fn ns(time: &prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanos.into())
}
