//! `bench syscall`: a trivial system call must not cost more while the sensor watches.

use std::process::Command;

use anyhow::{Context as _, Result};
use wanglou_testkit::{Watch, bins};

use super::table::median;
use crate::shell;

/// Arguments of `bench syscall`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many times with and without
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// How many system calls each time
    #[arg(long, default_value_t = 5_000_000)]
    calls: u64,
}

/// Pairs, so that each ratio is between neighbours in time.
pub(super) fn run(args: &Args) -> Result<()> {
    println!("| pair | ns without | ns with | ratio |\n| --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for pair in 1..=args.pairs {
        // Which comes first alternates: a machine that grows slower must not look like a cost.
        let (without, with) = if pair % 2 == 0 {
            let with = watched(args.calls)?;
            (nanoseconds(args.calls)?, with)
        } else {
            (nanoseconds(args.calls)?, watched(args.calls)?)
        };
        println!("| {pair} | {without:.1} | {with:.1} | {:.3} |", with / without);
        ratios.push(with / without);
    }
    println!("\nmedian ratio {:.3}", median(&ratios));
    Ok(())
}

fn watched(calls: u64) -> Result<f64> {
    let watch = Watch::builder().backend("ebpf").start()?;
    let ns = nanoseconds(calls)?;
    watch.stop()?;
    Ok(ns)
}

fn nanoseconds(calls: u64) -> Result<f64> {
    let mut command = Command::new(bins::testkit("syscall_loop")?);
    let printed = shell::read(command.arg(calls.to_string()))?;
    printed.trim().parse().context("syscall_loop printed no number")
}
