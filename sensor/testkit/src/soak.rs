//! Many namespaces that make processes for long, and how much memory the service has meanwhile.

use std::{
    fmt::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{bins, proc, service::Service};

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What to make, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// Namespaces, each with its own PIDs, mounts and network.
    pub namespaces: u32,
    /// Processes that each makes in a second.
    pub per_second: u32,
    /// For so long.
    pub time: Duration,
}

/// Resident memory at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Since the beginning.
    pub at: Duration,
    /// Of the supervisor, kB.
    pub supervisor_kb: u64,
    /// Of the worker, kB.
    pub worker_kb: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Course {
    /// In the order of time.
    pub points: Vec<Point>,
    /// Processes that were made.
    pub spawned: u64,
}

impl Soak {
    /// Makes them while a service watches; `tell` hears of each point.
    pub fn run(
        &self,
        service: &Service,
        mut tell: impl FnMut(&Point) -> Result<()>,
    ) -> Result<Course> {
        let seconds = self.time.as_secs().to_string();
        let nest = bins::testkit("nest")?;
        let mut nests: Vec<Child> = (0..self.namespaces)
            .map(|_| {
                let mut command = Command::new(&nest);
                command.args([&self.per_second.to_string(), &seconds]).stdout(Stdio::piped());
                Ok(command.spawn()?)
            })
            .collect::<Result<_>>()?;
        let (start, mut points) = (Instant::now(), Vec::new());
        while start.elapsed() < self.time {
            thread::sleep(EVERY);
            let point = Point {
                at: start.elapsed(),
                supervisor_kb: resident_kb(service.pid())?,
                worker_kb: resident_kb(service.worker()?)?,
            };
            tell(&point)?;
            points.push(point);
        }
        let mut spawned = 0;
        for nest in nests.drain(..) {
            let output = nest.wait_with_output()?;
            ensure!(output.status.success(), "a namespace ended with {}", output.status);
            let made: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
            spawned += made;
        }
        Ok(Course { points, spawned })
    }
}

impl Point {
    /// Of both.
    pub fn both_kb(&self) -> u64 {
        self.supervisor_kb + self.worker_kb
    }
}

impl Course {
    /// The most that both had together in a part of the time, from 0 to 1, kB.
    pub fn most_kb(&self, from: f64, to: f64) -> u64 {
        let end = self.points.last().map_or(0.0, |point| point.at.as_secs_f64());
        let is_in = |point: &&Point| (from * end..=to * end).contains(&point.at.as_secs_f64());
        self.points.iter().filter(is_in).map(Point::both_kb).max().unwrap_or_default()
    }

    /// A picture of it: time to the right, megabytes (of 1,000,000 bytes) up to `limit_mb`.
    pub fn svg(&self, limit_mb: f64) -> String {
        const W: f64 = 800.0;
        const H: f64 = 300.0;
        const LEFT: f64 = 50.0;
        const FOOT: f64 = 30.0;
        let end = self.points.last().map_or(1.0, |point| point.at.as_secs_f64());
        let top = limit_mb * 1.1;
        let x = |seconds: f64| LEFT + (W - LEFT) * seconds / end;
        let y = |mb: f64| (H - FOOT) * (1.0 - mb / top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {W} {H}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{W}\" height=\"{H}\" fill=\"white\"/>\n"
        );
        let lines = [("both", "#1f4e79"), ("worker", "#5b9bd5"), ("supervisor", "#a5a5a5")];
        for mb in (0..=top as u32).step_by(5) {
            let at = y(mb.into());
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{W}\" stroke=\"#ddd\"/>\
                 <text x=\"8\" y=\"{:.1}\">{mb} MB</text>",
                at + 4.0
            );
        }
        let at = y(limit_mb);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{W}\" stroke=\"#c00\"/>");
        for (n, (name, colour)) in lines.into_iter().enumerate() {
            let mut path = String::new();
            // One for every two pixels is enough: the one with the most.
            for chunk in self.points.chunks(self.points.len().div_ceil(W as usize / 2).max(1)) {
                let Some(point) = chunk.iter().max_by_key(|point| point.both_kb()) else {
                    continue;
                };
                let kb = [point.both_kb(), point.worker_kb, point.supervisor_kb][n];
                let mb = kb as f64 * 1024.0 / 1e6;
                let begin = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{begin}{:.1} {:.1}", x(point.at.as_secs_f64()), y(mb));
            }
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n\
                 <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
                LEFT + 100.0 * n as f64,
                H - 8.0
            );
        }
        let minutes = end / 60.0;
        let _ = writeln!(
            svg,
            "<text x=\"{W}\" y=\"{}\" text-anchor=\"end\">{minutes:.0} minutes</text>\n</svg>",
            H - 8.0
        );
        svg
    }
}

fn resident_kb(pid: u32) -> Result<u64> {
    proc::status_kb(pid, "VmRSS:").with_context(|| format!("process {pid} is gone"))
}
