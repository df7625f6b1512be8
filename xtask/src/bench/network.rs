//! `bench network`: what connections, requests and bulk data cost while the sensor watches, and what
//! the kernel says that each probe takes.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use wanglou_testkit::connections::Load;
use wanglou_testkit::programs::Nginx;
use wanglou_testkit::{Watch, proc};

use super::pairs::{self, Better};
use super::probes::{self, Statistics};
use super::process;
use super::proxy;
use super::sampled::Shares;
use crate::{debian, shell};

/// Arguments of `bench network`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many times with and without
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// How many seconds requests and bulk data take each time
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many connections each time
    #[arg(long, default_value_t = 20_000)]
    connections: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    debian::ensure(
        &["nginx-light", "wrk", "iperf3", "linux-perf", "bpftool", "bpftrace"],
        "measuring the network",
    )?;
    let load = Load { total: args.connections, ..CONNECTIONS };

    let nginx = Nginx::serving()?;
    let connections = || Ok(load.run()?.wall_ns as f64 / load.total as f64);
    let requests = || wrk(nginx.port(), args.seconds);
    let bulk = || iperf3(args.seconds);
    let loads: [(&str, &str, Better, Measure<'_>); 3] = [
        ("Connect, accept, exchange, close", "ns a connection", Better::Lower, &connections),
        ("Requests: wrk to nginx", "requests a second", Better::Higher, &requests),
        ("Bulk data: iperf3", "Mbit/s", Better::Higher, &bulk),
    ];
    for (name, unit, better, load) in loads {
        println!("## {name}\n");
        println!("{}\n", Shares::of(load)?.describe());
        pairs::compare(args.pairs, unit, better, load)?;
    }
    programs(load, &nginx, args.seconds)?;
    proxy::run(args.seconds)
}

type Measure<'a> = &'a dyn Fn() -> Result<f64>;

const CONNECTIONS: Load =
    Load { total: 20_000, servers: 2, clients: 2, null: false, spread: false };

fn wrk(port: u16, seconds: u64) -> Result<f64> {
    wrk_with(port, 32, seconds)
}

/// Requests a second over so many connections.
pub(super) fn wrk_with(port: u16, connections: u64, seconds: u64) -> Result<f64> {
    let url = format!("http://127.0.0.1:{port}/");
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), &url]);
    let printed = shell::read(&mut command)?;
    let line = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.context("wrk names no Requests/sec")?.trim().parse().context("wrk printed no number")
}

fn iperf3(seconds: u64) -> Result<f64> {
    const PORT: &str = "52010";
    let mut server: Child = Command::new("iperf3")
        .args(["-s", "-1", "-B", "127.0.0.1", "-p", PORT])
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start iperf3")?;
    thread::sleep(Duration::from_millis(300));
    let mut client = Command::new("iperf3");
    client.args(["-c", "127.0.0.1", "-p", PORT, "-J", "-t", &seconds.to_string()]);
    let printed = shell::read(&mut client);
    server.wait()?;
    let report: Value = serde_json::from_str(&printed?)?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.context("iperf3 names no bits_per_second")? / 1e6)
}

/// What each program takes, with the kernel's statistics on, which make each run some 50 ns dearer,
/// and what the sensor itself takes.
fn programs(load: Load, nginx: &Nginx, seconds: u64) -> Result<()> {
    let _statistics = Statistics::enable()?;
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let before = process::cpu(watch.pid())?;
    load.run()?;
    thread::sleep(Duration::from_millis(500));
    let cpu = process::cpu(watch.pid())?.saturating_sub(before);
    println!("## Programs, over {} connections\n", load.total);
    table(&watch)?;
    println!(
        "\nsensor: {:.2} us of CPU a connection\n",
        cpu.as_secs_f64() * 1e6 / load.total as f64
    );
    let ids = watch.programs()?;
    let (cpu, runs) = (process::cpu(watch.pid())?, probes::runs(&ids)?);
    let rate = wrk(nginx.port(), seconds)?;
    let requests = rate * seconds as f64;
    let runs = probes::runs(&ids)? - runs;
    let cpu = process::cpu(watch.pid())?.saturating_sub(cpu);
    println!(
        "over requests on connections that stay: {:.1} runs and {:.0} ns of probes, {:.0} ns of sensor \
         each",
        runs.count as f64 / requests,
        runs.ns as f64 / requests,
        cpu.as_nanos() as f64 / requests
    );
    println!("resident: {} kB at most", proc::status_kb(watch.pid(), "VmHWM:").unwrap_or_default());
    watch.stop()?;
    Ok(())
}

fn table(watch: &Watch) -> Result<()> {
    println!("| program | runs | ns each |\n| --- | --- | --- |");
    for id in watch.programs()? {
        let (name, runs) = probes::named(id)?;
        if runs.count > 0 {
            println!("| {name} | {} | {} |", runs.count, runs.ns / runs.count);
        }
    }
    Ok(())
}
