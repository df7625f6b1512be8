//! `syscall_loop <n>`: makes a trivial system call n times and prints the ns that each took.

use std::{env, time::Instant};

use anyhow::{Context, Result};
use wanglou_testkit::sys;

fn main() -> Result<()> {
    let wanted = env::args().nth(1).context("usage: syscall_loop <n>")?;
    let n: u64 = wanted.parse().context("<n> is not a number")?;
    let start = Instant::now();
    for _ in 0..n {
        std::hint::black_box(sys::getppid_raw());
    }
    println!("{:.2}", start.elapsed().as_nanos() as f64 / n.max(1) as f64);
    Ok(())
}
