//! When the sensor is gone, however it went, its probes are gone.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use wanglou_testkit::{Watch, lock, root_or_skip, sys};

#[test]
fn nothing_is_left_after_a_proper_end() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let watch = Watch::builder().backend("ebpf").start()?;
    let programs = programs(&watch)?;
    watch.stop()?;
    are_gone(&programs)
}

#[test]
fn nothing_is_left_after_a_kill() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let watch = Watch::builder().backend("ebpf").start()?;
    let programs = programs(&watch)?;
    ensure!(watch.stop_by(libc::SIGKILL)?.status.code().is_none(), "it survived a SIGKILL");
    are_gone(&programs)
}

fn programs(watch: &Watch) -> Result<Vec<u32>> {
    let programs = watch.programs()?;
    ensure!(programs.len() >= 3, "only {programs:?} attached: fork, exec and exit are three");
    for &id in &programs {
        ensure!(sys::program_exists(id)?, "program {id} is held but not there");
    }
    Ok(programs)
}

/// The kernel frees programs a moment after the last descriptor is closed.
fn are_gone(programs: &[u32]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = programs.to_vec();
        left.retain(|&id| !matches!(sys::program_exists(id), Ok(false)));
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "programs {left:?} are still there");
        thread::sleep(Duration::from_millis(50));
    }
}
