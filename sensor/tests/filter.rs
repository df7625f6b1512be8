//! Rules that say which connections are told of, and limits to how many.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    Watch,
    connections::Load,
    event::{action, pid},
    lock, number, root_or_skip, rules,
};

#[test]
fn rules_decide_what_is_told() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    rules::decide("ebpf")
}

/// Half of a busy process is not told of, and all of that stands in the books: of a connection both the
/// beginning and the end, or neither.
#[test]
fn who_begins_too_many_is_throttled() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let limits = ["--process-limit", "20", "--cgroup-limit", "0"];
    let mut watch = Watch::builder().backend("ebpf").arg("--include-loopback");
    for flag in limits {
        watch = watch.arg(flag);
    }
    let watch = watch.start()?;
    let load = Load { total: 4_000, servers: 1, clients: 2, null: false, spread: false };
    let said = load.run()?.said;
    let capture = watch.stop()?;
    let audit = capture.audit()?;
    let throttled = |action: &str| audit.dropped_by("throttled", action);
    ensure!(audit.dropped.keys().eq(["throttled"]), "dropped: {:?}", audit.dropped);
    let told = |action: &str| audit.seen.get(action).copied().unwrap_or_default();
    for action in ["connection_attempted", "connection_accepted"] {
        let (told, throttled) = (told(action), throttled(action));
        // Two stretches of time may meet, and nobody is counted at first.
        let most = 2 * (200 + 200) * 2;
        ensure!(told <= most, "{told} {action} told of, expected at most {most}");
        ensure!(told + throttled >= load.total, "{action}: {told} told, {throttled} throttled");
    }

    let mut open: BTreeMap<(u32, u64), i64> = BTreeMap::new();
    for line in capture.lines()? {
        let event = line?;
        let Some(pid) = pid(&event).filter(|pid| said.keys().any(|said| said.pid == *pid)) else {
            continue;
        };
        let change = match action(&event) {
            "connection_attempted" | "connection_accepted" => 1,
            "disconnect_received" => -1,
            _ => continue,
        };
        let port = number(&event, "source.port").context("no port")?;
        *open.entry((pid, port)).or_default() += change;
    }
    ensure!(!open.is_empty(), "nothing was told of");
    open.retain(|_, balance| *balance != 0);
    ensure!(open.is_empty(), "one end without the other: {open:?}");
    ensure!(!audit.gaps.is_empty(), "no gap tells of it");
    Ok(())
}
