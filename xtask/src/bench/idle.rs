//! `bench idle`: what the service costs a host on which hardly anything happens.

use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::event::is_metric;
use wanglou_testkit::service::Service;

/// Arguments of `bench idle`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// For how long, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// After the beginning, which is dear and short.
const SETTLED: Duration = Duration::from_secs(5);

/// What a process has had so far.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu_ns: u64,
    sleeps: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let service = Service::start(&[])?;
    thread::sleep(SETTLED);
    let processes = [("supervisor", service.pid()), ("worker", service.worker()?)];
    let before = processes.map(|(_, pid)| used(pid));
    thread::sleep(Duration::from_secs(args.seconds));
    let after = processes.map(|(_, pid)| used(pid));
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "the service ended with {status}");

    let events = lines.iter().filter(|line| !is_metric(line)).count();
    println!("{events} events, those of the beginning among them\n");
    println!("| process | percent of a core | wake-ups a second |\n| --- | --- | --- |");
    let (seconds, mut all) = (args.seconds as f64, Used::default());
    let row = |name: &str, it: Used| {
        let percent = it.cpu_ns as f64 / 1e7 / seconds;
        println!("| {name} | {percent:.3} | {:.1} |", it.sleeps as f64 / seconds);
    };
    for (n, (name, _)) in processes.into_iter().enumerate() {
        let (before, after) = (before[n].as_ref(), after[n].as_ref());
        let (before, after) = before.ok().zip(after.ok()).context("a process is gone")?;
        let used =
            Used { cpu_ns: after.cpu_ns - before.cpu_ns, sleeps: after.sleeps - before.sleeps };
        (all.cpu_ns, all.sleeps) = (all.cpu_ns + used.cpu_ns, all.sleeps + used.sleeps);
        row(name, used);
    }
    row("both", all);
    Ok(())
}

/// Of all threads (`proc_pid_schedstat(5)`, `proc_pid_status(5)`).
fn used(pid: u32) -> Result<Used> {
    let mut used = Used::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        let time = fs::read_to_string(path.join("schedstat"))?;
        used.cpu_ns += time.split(' ').next().unwrap_or_default().parse::<u64>()?;
        let status = fs::read_to_string(path.join("status"))?;
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        used.sleeps += sleeps.context("no switches")?.trim().parse::<u64>()?;
    }
    Ok(used)
}
