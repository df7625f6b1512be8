//! What is given up when not all can be told of, in which order, and that it is all in the books.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    bins,
    cgroup::Cgroup,
    event::action,
    ledger, lock, root_or_skip,
    service::{Service, balanced},
    storm,
};

/// A cgroup that forks without end has its share, and others are told of as if it were not there.
#[test]
fn who_forks_without_end_is_throttled() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let group = Cgroup::make("bomb")?;
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "process.cgroup_limit=150",
        "budget.cpu_percent=10000",
    ])?;
    let bomb = storm::start_as(4_000, 2, |command| group.enter(command))?;
    let others = 20;
    let player = bins::testkit("storm")?;
    for n in 0..others {
        let status = Command::new(&player).args(["noop", "other", &n.to_string()]).status()?;
        ensure!(status.success(), "an innocent one failed: {status}");
    }
    let made = bomb.finish()?.spawned;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let (dropped, unknown) = balanced(&lines)?;
    let causes: Vec<_> = dropped.keys().map(String::as_str).collect();
    ensure!(causes == ["throttled"] && unknown == 0, "{dropped:?}, {unknown} unknown");
    let is_other = |line: &&Value| {
        action(line) == "exec" && line["process"]["args"][2].as_str() == Some("other")
    };
    let told_of_others = lines.iter().filter(is_other).count();
    let told = lines.iter().filter(|line| action(line) == "exec").count() as u64;
    let throttled = ledger::total(&dropped["throttled"]);
    // Two stretches of ten seconds may meet, and nobody is counted at first; three events each.
    let most = 2 * (1_500 + 1_500) / 3 + 200;
    ensure!(told <= most, "{told} execs told of, expected at most {most}");
    ensure!(throttled >= (made - most) * 3, "{throttled} throttled of {made} processes");
    ensure!(told_of_others == others, "{told_of_others} of {others} others");
    Ok(())
}

/// The longer the sensor costs too much, the more it gives up, and it says so.
#[test]
fn it_gives_up_by_degrees_before_it_rests() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "process.cgroup_limit=0",
        "budget.cpu_percent=2",
        "budget.samples=12",
    ])?;
    let storm = storm::start(60_000, 2)?;
    for what in ["listening sockets are given up", "all of the network is given up"] {
        service.wait_for(what, 1)?;
    }
    service.wait_for("all but exec and end is given up", 1)?;
    storm.finish()?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let (dropped, _) = balanced(&lines)?;
    let lost = dropped.get("shed").map(|lost| lost.keys().cloned().collect::<Vec<_>>());
    ensure!(
        lost.as_deref().is_some_and(|lost| lost.iter().all(|it| it != "exec" && it != "end")),
        "given up: {dropped:?}"
    );
    Ok(())
}
