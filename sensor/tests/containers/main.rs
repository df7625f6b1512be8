//! Real containers: every event is told of the one that it happened in.

mod daemonset;
mod docker;
mod engine;
mod image;
mod named;
mod placed;
mod podman;
mod storm;

use std::collections::HashMap;

use serde_json::Value;
use wanglou_testkit::{containers, event, root_or_skip, text};

/// Whether containers can be had here; says why not.
fn programs() -> Option<containers::Programs> {
    programs_of(&[])
}

/// The same with these programs.
fn programs_of(wanted: &[&str]) -> Option<containers::Programs> {
    if root_or_skip() { containers::programs_of(wanted) } else { None }
}

/// An id as runtimes make them.
fn id(n: usize) -> String {
    format!("{n:02x}").repeat(32)
}

fn container(event: &Value) -> Option<&str> {
    text(event, "container.id")
}

/// The last argument of what was executed.
fn tag(event: &Value) -> Option<&str> {
    event::field(event, "process.args")?.as_array()?.last()?.as_str()
}

/// Which container whoever executed something with a tag is in, by its identity.
fn tagged<'e>(
    events: impl Iterator<Item = &'e Value>,
    tags: &HashMap<String, String>,
) -> HashMap<&'e str, String> {
    events
        .filter(|event| event::action(event) == "exec")
        .filter_map(|event| Some((event::entity(event)?, tags.get(tag(event)?)?.clone())))
        .collect()
}
