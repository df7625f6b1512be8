//! A proxy with thousands of connections: the books balance and memory stays where it was.

use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    Watch, lock, proc,
    programs::{Nginx, installed},
    root_or_skip,
};

/// Connections that stay open at a time, at each end of the proxy, as far as descriptors go.
const CONNECTIONS: u64 = 4000;
const SECONDS: u32 = 8;
/// Resident set at most.
const MEMORY_KB: u64 = 14 * 1024;

#[test]
fn a_busy_proxy_is_told_of_in_little_memory() -> Result<()> {
    if !root_or_skip() || !installed(&["nginx", "wrk"]) {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let backend = Nginx::serving()?;
    let proxy = Nginx::proxying(backend.port())?;
    // A worker of the proxy may have both ends of every connection.
    let connections = CONNECTIONS.min(proc::open_files_limit()? / 4);
    let mut wrk = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{SECONDS}s")])
        .arg(format!("http://127.0.0.1:{}/", proxy.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start wrk: apt-get install wrk")?;
    ensure!(wrk.wait()?.success(), "wrk failed");
    drop(proxy);
    drop(backend);
    // The last ends are not seen by whoever closes.
    thread::sleep(Duration::from_millis(500));
    let capture = watch.stop()?;

    let audit = capture.audit()?;
    let seen = |action: &str| audit.seen.get(action).copied().unwrap_or_default();
    let lost = |action: &str| audit.dropped_of(action);
    let begun: u64 = ["connection_attempted", "connection_accepted"]
        .iter()
        .map(|action| seen(action) + lost(action))
        .sum();
    let over = seen("disconnect_received") + lost("disconnect_received");
    ensure!(begun >= 4 * connections, "only {begun} beginnings");
    // An attempt of a connection that fails has no end of its own.
    ensure!(over <= begun && begun - over <= begun / 100, "{begun} began, {over} are over");
    let peak = capture.memory.peak_kb;
    ensure!(peak <= MEMORY_KB, "{peak} kB resident");
    println!(
        "{begun} beginnings, {over} ends, {} lost, {:.2} us of sensor CPU a connection's end, {peak} kB",
        audit.dropped_total(),
        capture.cpu.as_secs_f64() * 1e6 / begun as f64
    );
    Ok(())
}
