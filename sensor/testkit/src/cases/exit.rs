//! Ways to end.

use std::{
    process::Stdio,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};

use super::{
    Case, Expect, Stage,
    expect::{absent, same},
};
use crate::event::{number, time_ns};

pub(super) const CASES: &[Case] = &[
    Case::any("exit_0", |stage| exits(stage, 0)),
    Case::any("exit_3", |stage| exits(stage, 3)),
    Case::any("exit_255", |stage| exits(stage, 255)),
    Case::any("killed", |stage| dies(stage, libc::SIGKILL, "SIGKILL")),
    Case::any("segfault", |stage| dies(stage, libc::SIGSEGV, "SIGSEGV")),
    Case::any("terminated", |stage| dies(stage, libc::SIGTERM, "SIGTERM")),
    Case::any("unwaited", unwaited),
    Case::any("leader_leaves", leader_leaves),
    Case::any("threads_leave", |stage| many_threads(stage, "threads-leave", 0)),
    Case::any("threads_exit", |stage| many_threads(stage, "threads-exit", 5)),
];

fn exits(stage: &Stage, code: i32) -> Result<Expect> {
    let pid = stage.run(stage.role("exit").arg(code.to_string()))?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let end = life.one("end")?;
        same(end, "process.exit_code", code)?;
        absent(end, "process.signal")?;
        ensure!(time_ns(end, "process.end").is_some(), "no process.end");
        if probes {
            let (cpu, rss) = (number(end, "process.cpu_ns"), number(end, "process.max_rss_bytes"));
            // No program runs in no time, in less than some pages, or for 10 s without being asked.
            ensure!((1000..10_000_000_000).contains(&cpu.context("no cpu_ns")?), "cpu_ns {cpu:?}");
            ensure!((100_000..1 << 30).contains(&rss.context("no max_rss_bytes")?), "rss {rss:?}");
        }
        Ok(())
    }))
}

fn dies(stage: &Stage, signal: i32, name: &'static str) -> Result<Expect> {
    let pid = stage.run(stage.role("die").arg(signal.to_string()))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        same(life.one("end")?, "process.signal", name)?;
        absent(life.one("end")?, "process.exit_code")
    }))
}

/// Its end is its end, not the moment in which its parent cares to know.
fn unwaited(stage: &Stage) -> Result<Expect> {
    let mut child = stage.role("exit").arg("7").stdout(Stdio::null()).spawn()?;
    thread::sleep(Duration::from_millis(600));
    let waited = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    child.wait()?;
    let pid = child.id();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let end = life.one("end")?;
        same(end, "process.exit_code", 7)?;
        let ended = Duration::from_nanos(time_ns(end, "process.end").context("no process.end")?);
        ensure!(ended < waited, "ended {:?} after it was over", ended.saturating_sub(waited));
        Ok(())
    }))
}

fn leader_leaves(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("leader-leaves").arg("9"))?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        // The netlink event has the code of a thread, which need not be that of the process.
        if probes { same(life.one("end")?, "process.exit_code", 9) } else { Ok(()) }
    }))
}

/// However the threads race, a process ends once.
fn many_threads(stage: &Stage, role: &'static str, code: i32) -> Result<Expect> {
    let run = |_| stage.run(stage.role(role).arg("16"));
    let pids: Vec<u32> = (0..20).map(run).collect::<Result<_>>()?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        for pid in pids {
            let life = stream.life(pid)?;
            life.ran(1)?;
            if probes {
                same(life.one("end")?, "process.exit_code", code)?;
            }
        }
        Ok(())
    }))
}
