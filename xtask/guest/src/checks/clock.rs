//! The host's clock jumps by a day, there and back: events have the time that it says, in the order in which they
//! happened, and the books do not notice. Only where the clock is nobody else's.

use std::{env, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use serde_json::Value;
use wanglou_testkit::{Watch, event, storm};

use crate::report::Verdict;

/// Set by the init of a guest.
pub(crate) const GUEST: &str = "WANGLOU_GUEST";
const DAY: i64 = 86_400;
const STORM: u64 = 50;
/// The sensor looks at the clock in every round.
const NOTICED: Duration = Duration::from_millis(500);

pub(crate) fn run(backend: &str) -> Result<Verdict> {
    if env::var_os(GUEST).is_none() {
        return Ok(Verdict::Absent("this host's clock is not ours".to_owned()));
    }
    let watch = Watch::builder().backend(backend).start()?;
    let before = storm::run(STORM, 1)?;
    jump(DAY)?;
    let during = storm::run(STORM, 1)?;
    jump(-DAY)?;
    let after = storm::run(STORM, 1)?;
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    let capture = watch.stop()?;
    let audit = capture.audit()?;
    ensure!(audit.dropped_total() == 0, "dropped: {:?}", audit.dropped);

    let mut told = [0; 3];
    for line in capture.lines()? {
        let line = line?;
        let Some(n) = [&before, &during, &after].iter().position(|it| is_of(&line, &it.workers))
        else {
            continue;
        };
        let time = event::time_ns(&line, "@timestamp").context("no time")?;
        let seconds = i64::try_from(time / 1_000_000_000)?;
        let expected = if n == 1 { now + DAY } else { now };
        let off = (seconds - expected).abs();
        ensure!(off < 600, "off by {off} s in part {n}: {line}");
        told[n] += 1;
    }
    ensure!(told.iter().all(|told| *told >= STORM), "told of: {told:?}");
    Ok(Verdict::Passed(String::new()))
}

fn is_of(line: &Value, workers: &[u32]) -> bool {
    let parent = event::number(line, "process.parent.pid");
    event::action(line) == "exec"
        && parent.is_some_and(|pid| workers.iter().any(|it| u64::from(*it) == pid))
}

/// Waits before and after, as what is not read when the clock jumps has the time of after.
fn jump(seconds: i64) -> Result<()> {
    thread::sleep(NOTICED);
    let now = clock_gettime(ClockId::Realtime);
    let then = Timespec { tv_sec: now.tv_sec + seconds, tv_nsec: now.tv_nsec };
    clock_settime(ClockId::Realtime, then).context("cannot set the clock")?;
    thread::sleep(NOTICED);
    Ok(())
}
