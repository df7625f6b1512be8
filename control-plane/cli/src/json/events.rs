//! What is told of events: processes and books. Events themselves are written as their sensors write them.

use std::collections::BTreeMap;

use serde::Serialize;
use wanglou_api::fleet::v1 as fleet;

use super::{is_empty, moment, name};

/// As `wanglou.fleet.v1.TreeProcess`.
#[derive(Debug, Serialize)]
pub(crate) struct TreeProcess<'a> {
    entity_id: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    parent_entity_id: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    host: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    pid: u32,
    #[serde(skip_serializing_if = "is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    executable: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    command_line: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "is_empty")]
    signal: &'a str,
    connections: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl<'a> From<&'a fleet::TreeProcess> for TreeProcess<'a> {
    fn from(process: &'a fleet::TreeProcess) -> Self {
        Self {
            entity_id: &process.entity_id,
            parent_entity_id: &process.parent_entity_id,
            host: &process.host,
            pid: process.pid,
            name: &process.name,
            executable: &process.executable,
            command_line: &process.command_line,
            user_id: &process.user_id,
            start_time: moment(&process.start_time),
            end_time: moment(&process.end_time),
            exit_code: process.exit_code,
            signal: &process.signal,
            connections: process.connections,
        }
    }
}

type Counts = BTreeMap<String, u64>;

/// As `wanglou.fleet.v1.RunBalance`.
#[derive(Debug, Serialize)]
pub(crate) struct RunBalance<'a> {
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run<'a>>,
    state: String,
    produced: &'a Counts,
    stored: &'a Counts,
    lost: BTreeMap<&'a str, &'a Counts>,
    in_flight: &'a Counts,
    unexplained: &'a Counts,
    missing: Vec<Missing>,
    last_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_time: Option<String>,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Run<'a> {
    boot_id: &'a str,
    run_id: u64,
}

#[derive(Debug, Serialize)]
struct Missing {
    first_number: u64,
    last_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_time: Option<String>,
}

impl<'a> From<&'a fleet::RunBalance> for RunBalance<'a> {
    fn from(balance: &'a fleet::RunBalance) -> Self {
        let run = balance.run.as_ref();
        let missing = balance.missing.iter().map(|it| Missing {
            first_number: it.first_number,
            last_number: it.last_number,
            since_time: moment(&it.since_time),
            until_time: moment(&it.until_time),
        });
        Self {
            host: &balance.host,
            run: run.map(|it| Run { boot_id: &it.boot_id, run_id: it.run_id }),
            state: name(balance.state().as_str_name(), "STATE_"),
            produced: &balance.produced,
            stored: &balance.stored,
            lost: balance.lost.iter().map(|(cause, it)| (cause.as_str(), &it.counts)).collect(),
            in_flight: &balance.in_flight,
            unexplained: &balance.unexplained,
            missing: missing.collect(),
            last_number: balance.last_number,
            first_event_time: moment(&balance.first_event_time),
            last_event_time: moment(&balance.last_event_time),
            reason: &balance.reason,
        }
    }
}

/// The last object of `reconcile`: how many runs there are of each state.
#[derive(Debug, Serialize)]
pub(crate) struct Reconciled {
    /// Always: all runs have been told of.
    pub(crate) complete: bool,
    /// Over, and every event is somewhere.
    pub(crate) runs_balanced: u64,
    /// Going on, and every event is somewhere.
    pub(crate) runs_open: u64,
    /// Events are missing.
    pub(crate) runs_unbalanced: u64,
}
