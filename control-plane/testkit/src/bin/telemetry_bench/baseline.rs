//! The plain way: lines of JSON through gzip.

use std::io::Write as _;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::time::{ClockId, clock_gettime};
use wanglou_api::event::Json as _;

use crate::BATCH;
use crate::events::Host;

/// What it costs.
pub(crate) struct Baseline {
    /// CPU time an event.
    pub(crate) micros: f64,
    /// Bytes an event.
    pub(crate) bytes: f64,
}

/// The same events; to make them does not count.
pub(crate) fn measure(hosts: usize, of_each: usize) -> Result<Baseline> {
    let (mut bytes, mut cpu, mut count) = (0, 0.0, 0);
    for number in 0..hosts {
        let mut host = Host::new(number);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        for _ in 0..of_each / BATCH {
            let events = host.next(BATCH);
            let began = cpu_micros();
            let mut lines = Vec::with_capacity(BATCH * 1_024);
            for event in &events {
                event.write_json(&mut lines);
                lines.push(b'\n');
            }
            gzip.write_all(&lines)?;
            cpu += cpu_micros() - began;
            count += BATCH;
        }
        let began = cpu_micros();
        bytes += gzip.finish()?.len();
        cpu += cpu_micros() - began;
    }
    Ok(Baseline { micros: cpu / count as f64, bytes: bytes as f64 / count as f64 })
}

/// Of this thread.
fn cpu_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
