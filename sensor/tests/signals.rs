//! SIGINT and SIGTERM end a run properly: what happened before is told, the books are closed.

use anyhow::{Result, ensure};
use std::{process::Command, thread, time::Duration};
use wanglou_testkit::{Watch, bins, lock, root_or_skip, storm};

#[test]
fn sigint_drains() -> Result<()> {
    drains("ebpf", libc::SIGINT)
}

#[test]
fn sigterm_drains() -> Result<()> {
    drains("ebpf", libc::SIGTERM)
}

#[test]
fn cn_proc_drains_too() -> Result<()> {
    drains("cn_proc", libc::SIGTERM)
}

#[test]
fn even_in_a_storm() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().start()?;
    let storm = storm::start(10_000, 2)?;
    thread::sleep(Duration::from_millis(500));
    let capture = watch.stop()?;
    storm.finish()?;
    ensure!(capture.status.success(), "the sensor ended with {}", capture.status);
    capture.audit()?;
    Ok(())
}

fn drains(backend: &str, signal: i32) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let watch = Watch::builder().backend(backend).start()?;
    let mut actor = Command::new(bins::testkit("actor")?);
    // Long enough for one who has to read /proc.
    let mut child = actor.args(["noop", "last"]).env("ACTOR_LINGER_MS", "150").spawn()?;
    child.wait()?;
    // At once: nothing has had the time to be written.
    let capture = watch.stop_by(signal)?;
    ensure!(capture.status.code() == Some(0), "the sensor ended with {}", capture.status);
    capture.audit()?;
    capture.stream()?.life(child.id())?.ran(1)
}
