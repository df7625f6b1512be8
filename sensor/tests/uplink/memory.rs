use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::{fleet::Fleet, lock, proc, root_or_skip, storm};

use crate::start;

/// Bytes of all processes of a sensor, TLS, the uplink and the mapped ring in them.
const LIMIT: u64 = 15_000_000;
const EVERY: Duration = Duration::from_millis(50);

/// In storms, between them, and while what they made is told. Program and ring are mapped by more than one process, or
/// more than once: their pages are there once, and count once.
#[test]
fn a_sensor_with_an_uplink_takes_no_more_than_its_share() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let service = start(&fleet, &replica, &[])?;
    let processes = [service.pid(), service.worker()?];
    let is_over = AtomicBool::new(false);
    let samples = thread::scope(|scope| -> Result<_> {
        let sampler = scope.spawn(|| {
            let mut samples = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let of = |kb: fn(u32) -> Option<u64>| -> Option<u64> {
                    processes.iter().map(|&pid| Some(kb(pid)? * 1024)).sum()
                };
                let resident = of(|pid| proc::status_kb(pid, "VmRSS:"));
                samples.extend(of(proc::proportional_kb).zip(resident));
                thread::sleep(EVERY);
            }
            samples
        });
        let stormed = (0..3).try_for_each(|_| {
            storm::run(8_000, 2)?;
            thread::sleep(Duration::from_secs(3));
            anyhow::Ok(())
        });
        is_over.store(true, Ordering::Relaxed);
        let samples = sampler.join().ok().context("the sampler has panicked")?;
        stormed.map(|()| samples)
    })?;
    service.stop()?;

    let (mut proportional, mut resident): (Vec<u64>, Vec<u64>) = samples.into_iter().unzip();
    proportional.sort_unstable();
    resident.sort_unstable();
    let told = |of: &[u64]| Some((*of.get(of.len() / 2)?, *of.last()?));
    let (median, most) = told(&proportional).context("no sample was taken")?;
    println!("{} samples: {median} bytes on the median, {most} at most", proportional.len());
    println!("with shared pages counted for each: {:?}", told(&resident));
    ensure!(proportional.len() > 100, "only {} samples", proportional.len());
    ensure!(most <= LIMIT, "{most} bytes are resident at most");
    Ok(())
}
