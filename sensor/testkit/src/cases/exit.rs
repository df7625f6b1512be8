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
use crate::{
    event::{number, time_ns},
    proc, sys,
};

pub(super) const CASES: &[Case] = &[
    Case::any("exit_0", |stage| exits(stage, 0)),
    Case::any("exit_3", |stage| exits(stage, 3)),
    Case::any("exit_255", |stage| exits(stage, 255)),
    Case::any("killed", |stage| dies(stage, libc::SIGKILL, "SIGKILL")),
    Case::any("segfault", |stage| dies(stage, libc::SIGSEGV, "SIGSEGV")),
    Case::any("terminated", |stage| dies(stage, libc::SIGTERM, "SIGTERM")),
    Case::probes("resources", resources),
    Case::any("unwaited", unwaited),
    Case::any("leader_leaves", leader_leaves),
    Case::any("threads_leave", |stage| many_threads(stage, "threads-leave", 0)),
    Case::any("threads_exit", |stage| many_threads(stage, "threads-exit", 5)),
];

fn exits(stage: &Stage, code: i32) -> Result<Expect> {
    let pid = stage.run(stage.role("exit").arg(code.to_string()))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let end = life.one("end")?;
        same(end, "process.exit_code", code)?;
        absent(end, "process.signal")?;
        ensure!(time_ns(end, "process.end").is_some(), "no process.end");
        Ok(())
    }))
}

/// The leader works, then leaves; a thread works on, then ends the process: all their time counts.
fn resources(stage: &Stage) -> Result<Expect> {
    let child = stage.role("burn").arg("60").stdout(Stdio::null()).spawn()?;
    let pid = child.id();
    let used = loop {
        if let Some(ended) = sys::wait_for(pid)? {
            break ended;
        }
        thread::sleep(Duration::from_millis(5));
    };
    Ok(Box::new(move |stream| {
        let end = stream.life(pid)?.one("end")?;
        let cpu = number(end, "process.cpu_ns").context("no cpu_ns")?;
        let rss = number(end, "process.max_rss_bytes").context("no max_rss_bytes")?;
        // The kernel's own figure is brought up to date at every tick, of 10 ms at most.
        let difference = used.cpu.abs_diff(Duration::from_nanos(cpu));
        ensure!(difference < Duration::from_millis(20), "cpu_ns {cpu}, wait4 says {:?}", used.cpu);
        let (kb, true_kb) = (rss / 1024, used.max_rss_kb);
        ensure!(kb.abs_diff(true_kb) <= true_kb / 10, "max rss {kb} kB, wait4 says {true_kb}");
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
    while !proc::is_zombie(child.id())? {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(300));
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
