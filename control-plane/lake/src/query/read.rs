use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::thread;

use datafusion_common::ScalarValue;
use datafusion_expr::expr::InList;
use datafusion_expr::{Expr, Operator};
use prost::Message as _;
use wanglou_api::event::v1;

use super::filter::{Conditions, FilterError, balanced};
use super::matcher::Matcher;
use super::newest::Newest;
use super::scan::{Found, Scan};
use super::{Engine, QueryError};
use crate::partition::Kind;
use crate::{Lake, Snapshot};

/// Bytes that the deepest condition takes several times.
const STACK: usize = 16 << 20;

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Ids of hosts, as their certificates have them: any of these; none for all.
    pub hosts: Vec<String>,
    /// `event.action`: any of these; none for all.
    pub actions: Vec<String>,
    /// Whose process, or whose parent, has this `entity_id`, or this id, if it is a number; empty for all.
    pub process: String,
    /// From here on, ns since 1970.
    pub since: i64,
    /// Before this, ns since 1970.
    pub until: i64,
    /// A condition in SQL; empty for none.
    pub filter: String,
    /// So many at most, of those the last.
    pub max_events: usize,
}

/// Events in the order of their times. Whoever takes one gets it as it was told.
#[derive(Debug)]
pub struct Events {
    messages: std::vec::IntoIter<Vec<u8>>,
    /// There are more: before these.
    pub truncated: bool,
    /// Landing objects that were not read, as compaction is behind: the newest events may be missing.
    pub left_out: u64,
}

impl Query {
    /// What events have to be, apart from their times and hosts: those are for whoever takes events to know.
    pub fn matcher(&self) -> Result<Matcher, FilterError> {
        self.of_boots(&BTreeSet::new())
    }

    /// The same of some boots; of all, if there are none.
    fn of_boots(&self, boots: &BTreeSet<String>) -> Result<Matcher, FilterError> {
        // Whoever reads and plans a condition calls itself for each level of it.
        let planned = thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, || self.planned(boots)).ok()?.join().ok()
        });
        planned.unwrap_or_else(|| Err(FilterError("there was no thread to read it".to_owned())))
    }

    fn planned(&self, boots: &BTreeSet<String>) -> Result<Matcher, FilterError> {
        let mut conditions = Conditions::default();
        if !boots.is_empty() {
            let boot = conditions.field("host.boot.id")?;
            conditions.all.push(any(boot, boots.iter()));
        }
        if !self.actions.is_empty() {
            let action = conditions.field("event.action")?;
            conditions.all.push(any(action, self.actions.iter()));
        }
        if !self.process.is_empty() {
            let (fields, value) = match self.process.parse::<u32>() {
                Ok(pid) => (["process.pid", "process.parent.pid"], Expr::Literal(pid.into(), None)),
                Err(_) => (["process.entity_id", "process.parent.entity_id"], text(&self.process)),
            };
            let of = fields.map(|field| conditions.field(field));
            let of = of.into_iter().map(|field| field.map(|field| field.eq(value.clone())));
            let of = of.collect::<Result<_, _>>()?;
            conditions.all.extend(balanced(of, Operator::Or));
        }
        if !self.filter.trim().is_empty() {
            conditions.parse(&self.filter)?;
        }
        Matcher::new(conditions)
    }
}

fn any<'v>(field: Expr, values: impl Iterator<Item = &'v String>) -> Expr {
    let values = values.map(|value| text(value)).collect();
    Expr::InList(InList::new(Box::new(field), values, false))
}

fn text(text: &str) -> Expr {
    Expr::Literal(ScalarValue::from(text), None)
}

impl Engine {
    /// The last events that are asked for, of all that are stored at this moment.
    pub async fn read(&self, query: &Query) -> Result<Events, QueryError> {
        // What cannot be understood is said before anything is read.
        let all_hosts = Arc::new(query.matcher()?);
        let (lake, query) = (self.lake.clone(), query.clone());
        let most = query.max_events.min(self.limits.most_events);
        let most_bytes = self.limits.most_bytes;
        self.run(async move |snapshot, guard| {
            let mut newest = Newest::new(most, most_bytes);
            let boots = boots(&lake, snapshot, &query.hosts).await?;
            let matcher = match boots.is_empty() {
                true => all_hosts.clone(),
                false => Arc::new(query.of_boots(&boots)?),
            };
            // Of hosts that nobody knows, there is nothing.
            if query.hosts.is_empty() || !boots.is_empty() {
                let (store, guard) = (lake.object_store().clone(), guard.clone());
                let (times, kinds) = ((query.since, query.until), kinds(&query.actions));
                let ids = Vec::new();
                let scan = Scan { store, matcher, times, kinds, ids, fields: &[], guard };
                scan.snapshot(snapshot, &mut newest).await?;
            }
            let (messages, truncated) = newest.finish();
            let messages = messages.into_iter();
            Ok(Events { messages, truncated, left_out: snapshot.left_out })
        })
        .await
    }
}

/// Boots of hosts, by the certificates with which they have told of them. What an event says of its host, another one could
/// say as well; of a boot only the host itself knows.
async fn boots(
    lake: &Lake,
    snapshot: &Snapshot,
    hosts: &[String],
) -> Result<BTreeSet<String>, crate::Error> {
    if hosts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let hosts: HashSet<_> = hosts.iter().map(String::as_str).collect();
    let state = lake.refresh().await?;
    let stored = state.runs.keys().map(|run| (&*run.host, &*run.boot));
    let boots = stored.chain(snapshot.boots()).filter(|(host, _)| hosts.contains(host));
    Ok(boots.map(|(_, boot)| boot.to_owned()).collect())
}

fn kinds(actions: &[String]) -> Vec<Kind> {
    let mut kinds: Vec<_> = actions.iter().map(|action| Kind::of(action)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

impl Found for Newest {
    fn floor(&self) -> i64 {
        Self::floor(self)
    }

    fn take(&mut self, time: i64, event: &[u8]) {
        Self::take(self, time, event);
    }
}

impl Iterator for Events {
    type Item = v1::Event;

    fn next(&mut self) -> Option<v1::Event> {
        // A message that was made of columns is one.
        self.messages.find_map(|message| v1::Event::decode(&*message).ok())
    }
}
