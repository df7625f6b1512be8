//! A change of user is told with who it became, and how soon tells which hook saw it.

use anyhow::{Context as _, Result, bail, ensure};
use wanglou_testkit::{Watch, event, text};

use crate::held;
use crate::report::Verdict;

pub(crate) fn run(backend: &str) -> Result<Verdict> {
    let watch = Watch::builder().backend(backend).start()?;
    let mut child = held::becomes_other_user()?.spawn()?;
    let pid = child.id();
    ensure!(child.wait()?.success(), "the child could not change its user");
    let capture = watch.stop()?;
    let events = capture.filter(|line| event::pid(line) == Some(pid))?;
    let one = |action: &str| events.iter().find(|line| event::action(line) == action);

    let Some(change) = one("uid_change") else {
        bail!("no uid_change among {:?}", events.iter().map(event::action).collect::<Vec<_>>())
    };
    let became = text(change, "user.changes.id");
    ensure!(became == Some(&held::OTHER_USER.to_string()), "changed to {became:?}");
    let end = one("end").context("no end")?;
    let early = time_of_day(end)? - time_of_day(change)?;
    let how = if early.rem_euclid(86_400.0) > held::PAUSE.as_secs_f64() / 2.0 {
        "at once"
    } else {
        "at the process's next event"
    };
    Ok(Verdict::Passed(how.to_owned()))
}

/// Seconds since midnight, from `2026-01-01T23:59:59.123456789Z`.
fn time_of_day(line: &serde_json::Value) -> Result<f64> {
    let stamp = text(line, "@timestamp").context("no @timestamp")?;
    let clock = stamp.split(['T', 'Z']).nth(1).context("no time in @timestamp")?;
    let mut seconds = 0.0;
    for part in clock.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>()?;
    }
    Ok(seconds)
}
