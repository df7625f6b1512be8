//! Which part of the CPU time of a load goes to the probes, by sampling where the CPUs are. Wall time
//! on a shared machine moves by a third from minute to minute; this does not.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use wanglou_testkit::scratch::Scratch;
use wanglou_testkit::{Watch, sys};

use crate::shell;

/// Samples a second on each CPU.
const FREQUENCY: &str = "4000";
/// perf's own time to begin.
const HEAD_START: Duration = Duration::from_millis(500);
/// Functions through which the kernel runs our programs.
const RUNNERS: [&str; 4] =
    ["bpf_trace_run", "bpf_prog_", "__bpf_trace_", "__cgroup_bpf_run_filter"];
/// The sensor's threads by name.
const SENSOR: [&str; 2] = ["wanglou-sensor", "output"];

/// Samples while the sensor watches a load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shares {
    /// Samples in which a CPU worked on anything but the sensor.
    load: u64,
    /// Of these, in which it was in a probe, or on the way to it and back.
    probes: u64,
    /// Samples of the sensor itself.
    sensor: u64,
}

impl Shares {
    /// Runs the load under the sensor and under perf.
    pub(super) fn of(load: impl FnOnce() -> Result<f64>) -> Result<Self> {
        let scratch = Scratch::new("perf")?;
        let data = scratch.join("data");
        let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
        let mut perf = Command::new("perf")
            .args(["record", "-a", "-e", "cpu-clock", "-F", FREQUENCY, "-g", "-o"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start perf: apt-get install linux-perf")?;
        thread::sleep(HEAD_START);
        let done = load();
        sys::kill(perf.id(), Signal::INT.as_raw())?;
        perf.wait()?;
        watch.stop()?;
        done?;
        let mut script = Command::new("perf");
        script.arg("script").arg("-i").arg(&data).args(["-F", "comm,ip,sym"]);
        let shares = Self::read(&shell::read(script.stderr(Stdio::null()))?);
        ensure!(shares.load > 0, "perf has no samples");
        Ok(shares)
    }

    /// From what `perf script` prints: a name, then a line a frame, then an empty one.
    fn read(script: &str) -> Self {
        let mut shares = Self::default();
        for sample in script.split("\n\n") {
            let mut lines = sample.lines().filter(|line| !line.is_empty());
            let Some(comm) = lines.next().map(str::trim) else { continue };
            if comm.starts_with("swapper") {
                continue;
            }
            if SENSOR.contains(&comm) {
                shares.sensor += 1;
                continue;
            }
            let symbol = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
            let mut frames = lines.filter_map(symbol);
            shares.load += 1;
            let is_probe = frames.any(|frame| RUNNERS.iter().any(|it| frame.starts_with(it)));
            shares.probes += u64::from(is_probe);
        }
        shares
    }

    /// One line for people.
    pub(super) fn describe(self) -> String {
        let part = |samples: u64| 100.0 * samples as f64 / self.load as f64;
        format!(
            "of the CPU time of the load, probes take {:.1} %; the sensor adds {:.1} % ({} samples)",
            part(self.probes),
            part(self.sensor),
            self.load
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_sorted_by_whose_they_are() {
        let script = "nginx \n  ffff tcp_sendmsg\n  ffff do_syscall\n\nnginx \n  ffff bpf_trace_run3\n\n\
                      swapper \n  ffff halt\n\noutput \n  ffff write\n\n";
        let shares = Shares::read(script);
        assert_eq!((shares.load, shares.probes, shares.sensor), (2, 1, 1));
    }
}
