//! A process with its ancestors and its descendants, as far as they are stored: first who they are, one generation after
//! another, then what is known of each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::expr::InList;
use datafusion_expr::{Expr, Operator};
use prost::Message as _;
use wanglou_api::event::v1;

use super::filter::{Conditions, FilterError, balanced};
use super::matcher::Matcher;
use super::scan::{Found, Scan};
use super::{Engine, QueryError};
use crate::partition::Kind;

/// Generations upwards and downwards, at most.
const GENERATIONS: usize = 64;
/// Processes of a tree, at most.
const MOST: usize = 10_000;
/// Events that tell of processes that begin, run and end.
const OF_PROCESSES: [&str; 6] =
    ["existing_process", "fork", "exec", "end", "uid_change", "gid_change"];
/// Who is whose kin.
const OF_KIN: &[&str] = &[
    "@timestamp",
    "host.id",
    "process.entity_id",
    "process.parent.entity_id",
    "wanglou.ancestors",
];
/// What is told of a process.
const OF_ONE: &[&str] = &[
    "@timestamp",
    "event.action",
    "host",
    "process.entity_id",
    "process.pid",
    "process.name",
    "process.executable",
    "process.command_line",
    "process.start",
    "process.end",
    "process.exit_code",
    "process.signal",
    "process.parent",
    "user.id",
];

/// Whose tree is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeQuery {
    /// `process.entity_id`.
    pub entity_id: String,
    /// From here on, ns since 1970.
    pub since: i64,
    /// Before this, ns since 1970.
    pub until: i64,
    /// So many at most: those nearest to it.
    pub max_processes: usize,
}

/// Processes, parents before their children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// None, if nothing is stored of the one that was asked for.
    pub processes: Vec<Process>,
    /// There are more.
    pub truncated: bool,
}

/// What is known of a process. What is not known is empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// `process.entity_id`.
    pub entity_id: String,
    /// That of who created it.
    pub parent_entity_id: String,
    /// `host.name`, or `host.id`.
    pub host: String,
    /// In the initial PID namespace.
    pub pid: u32,
    /// As it was called last.
    pub name: String,
    /// What it executed last.
    pub executable: String,
    /// With which arguments.
    pub command_line: String,
    /// Whose it was last.
    pub user_id: String,
    /// When it began, ns since 1970.
    pub start: Option<i64>,
    /// When it ended, ns since 1970.
    pub end: Option<i64>,
    /// How it ended, if it did so by itself.
    pub exit_code: Option<i32>,
    /// What ended it: `SIGKILL`.
    pub signal: String,
    /// That it opened or took.
    pub connections: u32,
}

impl Process {
    /// More than an id that others have named.
    fn is_known(&self) -> bool {
        self.pid > 0 || !self.name.is_empty()
    }
}

impl Engine {
    /// The tree around a process, as far as it is stored at this moment.
    pub async fn tree(&self, query: &TreeQuery) -> Result<Tree, QueryError> {
        let (query, store) = (query.clone(), self.lake.object_store().clone());
        let of_processes = OF_PROCESSES.map(Kind::of).to_vec();
        self.run(async move |snapshot, guard| {
            let scan = |matcher, kinds, fields| Scan {
                store: store.clone(),
                matcher: Arc::new(matcher),
                times: (query.since, query.until),
                kinds,
                fields,
                guard: guard.clone(),
            };
            let mut kin = Kin::new(&query);
            for _ in 0..GENERATIONS {
                let Some(matcher) = kin.next()? else { break };
                scan(matcher, of_processes.clone(), OF_KIN).snapshot(snapshot, &mut kin).await?;
            }
            kin.is_cut |= !kin.is_done();
            let mut known = Known::of(&kin);
            let each = one_of("process.entity_id", &kin.ids)?;
            scan(each, Vec::new(), OF_ONE).snapshot(snapshot, &mut known).await?;
            Ok(Tree { processes: known.finish(), truncated: kin.is_cut })
        })
        .await
    }
}

/// Who belongs to the tree.
struct Kin {
    asked: String,
    most: usize,
    /// In the order in which they were found.
    ids: Vec<String>,
    seen: HashSet<String>,
    /// Ancestors of which no event was looked for yet.
    above: Vec<String>,
    /// Processes whose children were not looked for yet.
    below: Vec<String>,
    /// Those of this generation.
    ancestors: HashSet<String>,
    parents: HashSet<String>,
    /// Of the one that was asked for: an id says of which host it is, and others may lie.
    host: Option<String>,
    is_cut: bool,
}

impl Kin {
    fn new(query: &TreeQuery) -> Self {
        let asked = query.entity_id.clone();
        Self {
            most: query.max_processes.clamp(1, MOST),
            ids: vec![asked.clone()],
            seen: [asked.clone()].into(),
            above: vec![asked.clone()],
            below: vec![asked.clone()],
            ancestors: HashSet::new(),
            parents: HashSet::new(),
            host: None,
            is_cut: false,
            asked,
        }
    }

    /// Whoever is to be looked for next; nobody if all are known.
    fn next(&mut self) -> Result<Option<Matcher>, FilterError> {
        if self.is_done() {
            return Ok(None);
        }
        let (above, below) = (std::mem::take(&mut self.above), std::mem::take(&mut self.below));
        let mut conditions = Conditions::default();
        let sides = [("process.entity_id", &above), ("process.parent.entity_id", &below)];
        let sides = sides.into_iter().filter(|(_, ids)| !ids.is_empty());
        let sides = sides.map(|(field, ids)| Ok(any(conditions.field(field)?, ids)));
        let sides = sides.collect::<Result<_, FilterError>>()?;
        conditions.all.extend(balanced(sides, Operator::Or));
        self.ancestors = above.into_iter().collect();
        self.parents = below.into_iter().collect();
        Matcher::new(conditions).map(Some)
    }

    /// Nobody is left to be looked for.
    fn is_done(&self) -> bool {
        self.above.is_empty() && self.below.is_empty()
    }

    fn add(&mut self, id: &str) -> bool {
        if self.seen.contains(id) {
            return false;
        }
        if self.ids.len() >= self.most {
            self.is_cut = true;
            return false;
        }
        self.seen.insert(id.to_owned());
        self.ids.push(id.to_owned());
        true
    }
}

impl Found for Kin {
    fn floor(&self) -> i64 {
        i64::MIN
    }

    fn take(&mut self, _: i64, event: &[u8]) {
        let Ok(event) = v1::Event::decode(event) else { return };
        let host = event.host.and_then(|host| host.id).unwrap_or_default();
        let process = event.process.unwrap_or_default();
        let Some(id) = process.entity_id else { return };
        let parent = process.parent.and_then(|parent| parent.entity_id);
        if self.host.is_none() && id == self.asked {
            self.host = Some(host.clone());
        }
        if self.host.as_ref().is_some_and(|of| *of != host) {
            return;
        }
        if self.ancestors.contains(&id) {
            let listed = event.wanglou.map(|it| it.ancestors).unwrap_or_default();
            for ancestor in parent.iter().chain(&listed) {
                if self.add(ancestor) {
                    self.above.push(ancestor.clone());
                }
            }
        }
        if parent.is_some_and(|parent| self.parents.contains(&parent)) && self.add(&id) {
            self.below.push(id);
        }
    }
}

/// What is known of those of a tree.
struct Known {
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
    fn of(kin: &Kin) -> Self {
        let process = |id: &String| {
            let process = Process { entity_id: id.clone(), ..Process::default() };
            (id.clone(), (Latest::default(), process))
        };
        Self { processes: kin.ids.iter().map(process).collect(), host: kin.host.clone() }
    }

    /// Parents before their children, each after those that are older.
    fn finish(mut self) -> Vec<Process> {
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

fn one_of(field: &str, ids: &[String]) -> Result<Matcher, FilterError> {
    let mut conditions = Conditions::default();
    let expr = any(conditions.field(field)?, ids);
    conditions.all.push(expr);
    Matcher::new(conditions)
}

fn any(field: Expr, ids: &[String]) -> Expr {
    let ids = ids.iter().map(|id| Expr::Literal(ScalarValue::from(id.as_str()), None));
    Expr::InList(InList::new(Box::new(field), ids.collect(), false))
}
