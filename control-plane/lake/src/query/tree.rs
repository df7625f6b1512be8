//! A process with its ancestors and its descendants, as far as they are stored: first who they are, one generation after
//! another, then what is known of each.

mod kin;
mod known;

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::expr::InList;

use super::filter::{Conditions, FilterError};
use super::matcher::Matcher;
use super::scan::Scan;
use super::{Engine, QueryError};
use crate::partition::Kind;
use kin::Kin;
use known::Known;

/// Generations upwards and downwards, at most.
const GENERATIONS: usize = 64;
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
            let scan = |matcher, kinds, ids, fields| Scan {
                store: store.clone(),
                matcher: Arc::new(matcher),
                times: (query.since, query.until),
                kinds,
                ids,
                fields,
                guard: guard.clone(),
            };
            let mut kin = Kin::new(&query);
            for _ in 0..GENERATIONS {
                let Some(matcher) = kin.next()? else { break };
                let scan = scan(matcher, of_processes.clone(), Vec::new(), OF_KIN);
                scan.snapshot(snapshot, &mut kin).await?;
            }
            kin.is_cut |= !kin.is_done();
            let mut known = Known::of(&kin);
            let each = one_of("process.entity_id", &kin.ids)?;
            let scan = scan(each, Vec::new(), kin.ids.clone(), OF_ONE);
            scan.snapshot(snapshot, &mut known).await?;
            Ok(Tree { processes: known.finish(), truncated: kin.is_cut })
        })
        .await
    }
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
