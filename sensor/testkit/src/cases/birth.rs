//! Ways to come into the world, and whose child one is.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    Case, Expect, Stage,
    expect::{same, same_path, whole_args},
};
use crate::event::field;

pub(super) const CASES: &[Case] = &[
    Case::any("fork_only", fork_only),
    Case::any("vfork", vfork),
    Case::any("posix_spawn", posix_spawn),
    Case::any("orphan", orphan),
    Case::probes("clone_parent", clone_parent),
    Case::any("same_pid", same_pid),
    Case::probes("small_pid_max", small_pid_max),
];

fn fork_only(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("fork", &[])?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pids["child"])?;
        life.ran(0)?;
        let end = life.one("end")?;
        // It goes on with its parent's program.
        same_path(end, "process.executable", &actor)?;
        born_of(&life.events, pids["role"], stream.life(pids["role"])?.entity)
    }))
}

fn vfork(stage: &Stage) -> Result<Expect> {
    made_by_role(stage, "vfork")
}

fn posix_spawn(stage: &Stage) -> Result<Expect> {
    made_by_role(stage, "posix-spawn")
}

fn made_by_role(stage: &Stage, role: &'static str) -> Result<Expect> {
    let pids = stage.keep(role, &["made"])?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pids["child"])?;
        life.ran(1)?;
        whole_args(life.one("exec")?, &[actor.as_os_str(), "noop".as_ref(), "made".as_ref()])?;
        same_path(life.one("exec")?, "process.parent.executable", &actor)?;
        born_of(&life.events, pids["role"], stream.life(pids["role"])?.entity)
    }))
}

/// The parent is gone before the exec: who created it stays true, whose child it is has changed.
fn orphan(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("orphan", &["left"])?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        let life = stream.life(pids["child"])?;
        life.ran(1)?;
        born_of(&life.events, pids["role"], stream.life(pids["role"])?.entity)?;
        if probes {
            same(life.one("exec")?, "process.real_parent.pid", pids["keeper"])?;
        }
        Ok(())
    }))
}

fn clone_parent(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("clone-parent", &["sibling"])?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pids["child"])?;
        life.ran(1)?;
        born_of(&life.events, pids["role"], stream.life(pids["role"])?.entity)?;
        same(life.one("fork")?, "process.real_parent.pid", pids["keeper"])
    }))
}

fn born_of(events: &[&Value], pid: u32, entity: Option<&str>) -> Result<()> {
    for event in events {
        same(event, "process.parent.pid", pid)?;
        same(event, "process.parent.entity_id", entity)?;
        // Not every event tells of its ancestors; the nearest is the parent.
        if let Some(ancestors) = field(event, "wanglou.ancestors") {
            let nearest = ancestors.get(0).and_then(Value::as_str);
            ensure!(nearest == entity, "wanglou.ancestors is {ancestors}, parent {entity:?}");
        }
    }
    Ok(())
}

fn same_pid(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("same-pid", &[])?;
    ensure!(pids["child"] == pids["again"], "the pid did not come back");
    two_lives(stage, &pids, "first".into(), "second".into())
}

fn small_pid_max(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("small-pid-max", &[])?;
    two_lives(stage, &pids, pids["first"].to_string(), pids["second"].to_string())
}

fn two_lives(
    stage: &Stage,
    pids: &HashMap<String, u32>,
    first: String,
    second: String,
) -> Result<Expect> {
    let (actor, pid) = (stage.actor(), pids["child"]);
    Ok(Box::new(move |stream| {
        let mut lives = stream.lives(pid);
        // Others may have had it before the limit was lowered.
        let ours = |args: &Value| args.get(0).and_then(Value::as_str) == actor.to_str();
        lives.retain(|life| {
            life.of("exec").iter().any(|exec| field(exec, "process.args").is_some_and(ours))
        });
        ensure!(lives.len() >= 2, "{} lives of pid {pid}, expected two", lives.len());
        let two = &lives[lives.len() - 2..];
        for (life, arg) in two.iter().zip([&first, &second]) {
            life.ran(1)?;
            whole_args(life.one("exec")?, &[actor.as_os_str(), "noop".as_ref(), arg.as_ref()])?;
        }
        Ok(())
    }))
}
