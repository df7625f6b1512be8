//! `bench syscall`: a trivial system call must not cost more while the sensor watches.

use std::process::Command;

use anyhow::{Context as _, Result};
use wanglou_testkit::bins;

use super::pairs::{self, Better};
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

pub(super) fn run(args: &Args) -> Result<()> {
    pairs::compare(args.pairs, "ns", Better::Lower, || nanoseconds(args.calls)).map(drop)
}

fn nanoseconds(calls: u64) -> Result<f64> {
    let mut command = Command::new(bins::testkit("syscall_loop")?);
    let printed = shell::read(command.arg(calls.to_string()))?;
    printed.trim().parse().context("syscall_loop printed no number")
}
