//! `storm <total> <workers>`: makes `total` processes as fast as `workers` can, each of which execs
//! this file as `noop <worker> <i>` and exits at once. Prints one line of JSON:
//! `{"spawned": n, "wall_ns": n, "path": "…", "workers": [pid, …]}`.

use std::{
    env,
    ffi::{CStr, CString},
    os::unix::ffi::OsStringExt,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use wanglou_testkit::sys::{self, Argv};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let first = args.next().context("usage: storm <total> <workers>")?;
    if first == "noop" {
        sys::exit_group(0);
    }
    let total: u64 = first.parse().context("<total> is not a number")?;
    let workers: u64 = args.next().context("usage: storm <total> <workers>")?.parse()?;
    let path = CString::new(env::current_exe()?.into_os_string().into_vec())?;

    let start = Instant::now();
    let mut pids = Vec::new();
    for worker in 0..workers {
        // What does not divide goes to the first ones.
        let share = total / workers + u64::from(worker < total % workers);
        match sys::fork()? {
            Some(pid) => pids.push(pid),
            None => sys::exit_group(i32::from(work(&path, worker, share).is_err())),
        }
    }
    while let Some(worker) = sys::wait_any()? {
        ensure!(worker.status == 0, "worker {} failed: {}", worker.pid, worker.status);
    }
    let wall_ns = start.elapsed().as_nanos() as u64;
    let path = path.to_string_lossy();
    println!("{}", json!({"spawned": total, "wall_ns": wall_ns, "path": path, "workers": pids}));
    Ok(())
}

fn work(path: &CStr, worker: u64, share: u64) -> Result<()> {
    for i in 0..share {
        let args = ["noop".into(), worker.to_string(), i.to_string()].map(String::into_bytes);
        let argv = Argv::new([path.to_bytes().to_vec()].into_iter().chain(args))?;
        let pid = sys::posix_spawn(path, &argv)?;
        let ended = sys::wait_any()?.context("no child to wait for")?;
        ensure!(ended.pid == pid && ended.status == 0, "a child failed");
    }
    Ok(())
}
