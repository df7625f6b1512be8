//! What a proxy's connections cost a sensor, and bpftrace on the same tracepoint.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wanglou_testkit::programs::Nginx;
use wanglou_testkit::{Watch, proc};

use super::bpftrace::{Bpftrace, CONNECTIONS};
use super::network::wrk_with;
use super::probes::{self, Statistics};
use super::process;

/// Connections that stay open at the front of the proxy; behind it each request opens one.
const FRONT: u64 = 256;
/// Long enough for the last events to be read.
const DRAIN: Duration = Duration::from_millis(500);

/// What the connections of one run cost a tracer.
struct Cost {
    name: &'static str,
    connections: u64,
    cpu: Duration,
    probes_ns: u64,
    delivered: u64,
    lost: u64,
    rss_kb: u64,
}

pub(super) fn run(seconds: u64) -> Result<()> {
    let _statistics = Statistics::enable()?;
    let backend = Nginx::serving()?;
    let proxy = Nginx::proxying(backend.port())?;
    let load = || wrk_with(proxy.port(), FRONT, seconds).map(drop);
    println!("\n## Proxy: wrk to nginx to nginx, a connection behind it for each request\n");
    println!(
        "| tracer | connections | CPU each, us | in the kernel each, us | events | lost | VmHWM, MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for cost in [sensor(&load)?, bpftrace(&load)?] {
        let each = |ns: u128| ns as f64 / 1e3 / cost.connections as f64;
        println!(
            "| {} | {} | {:.1} | {:.1} | {} | {} | {:.1} |",
            cost.name,
            cost.connections,
            each(cost.cpu.as_nanos()),
            each(cost.probes_ns.into()),
            cost.delivered,
            cost.lost,
            cost.rss_kb as f64 / 1024.0
        );
    }
    Ok(())
}

fn sensor(load: &dyn Fn() -> Result<()>) -> Result<Cost> {
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let programs = watch.programs()?;
    let mut cost = under("wanglou-sensor, eBPF", watch.pid(), &programs, load)?;
    let audit = watch.stop()?.audit()?;
    cost.delivered = audit.seen.values().sum();
    cost.lost = audit.dropped_total();
    Ok(cost)
}

fn bpftrace(load: &dyn Fn() -> Result<()>) -> Result<Cost> {
    let bpftrace = Bpftrace::start(CONNECTIONS)?;
    let programs = proc::programs_held(bpftrace.pid())?;
    let mut cost = under("bpftrace", bpftrace.pid(), &programs, load)?;
    let ended = bpftrace.stop()?;
    (cost.delivered, cost.lost) = (ended.delivered, ended.lost);
    Ok(cost)
}

fn under(
    name: &'static str,
    pid: u32,
    programs: &[u32],
    load: &dyn Fn() -> Result<()>,
) -> Result<Cost> {
    let (cpu, runs, opened) = (process::cpu(pid)?, probes::runs(programs)?, opened()?);
    load()?;
    thread::sleep(DRAIN);
    Ok(Cost {
        name,
        connections: self::opened()? - opened,
        cpu: process::cpu(pid)?.saturating_sub(cpu),
        probes_ns: (probes::runs(programs)? - runs).ns,
        delivered: 0,
        lost: 0,
        rss_kb: proc::status_kb(pid, "VmHWM:").unwrap_or_default(),
    })
}

/// Connections that this host has opened since it was started, as the kernel counts them: `ActiveOpens`
/// (RFC 4022).
fn opened() -> Result<u64> {
    const SNMP: &str = "/proc/net/snmp";
    let text = fs::read_to_string(SNMP).with_context(|| format!("cannot read {SNMP}"))?;
    let mut tcp = text.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = tcp.next().zip(tcp.next()).context("no Tcp in it")?;
    let column =
        names.split(' ').position(|name| name == "ActiveOpens").context("no such column")?;
    values.split(' ').nth(column).context("no value")?.parse().context("no number")
}
