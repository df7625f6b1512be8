//! `watch` gets ready, sees something, stops when asked, and its books balance.

use anyhow::{Result, ensure};
use wanglou_testkit::Watch;

use crate::report::Verdict;

pub(crate) fn run(backend: &str) -> Result<Verdict> {
    let watch = Watch::builder().backend(backend).start()?;
    let after = watch.age();
    let programs = watch.programs()?.len();
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "ended with {}: {:?}", capture.status, capture.stderr);
    let audit = capture.audit()?;
    let known = audit.seen.get("existing_process").copied().unwrap_or_default();
    ensure!(known > 0, "found no existing process, not even itself");
    let after = after.as_millis();
    Ok(Verdict::Passed(format!("after {after} ms, {programs} programs, {known} processes found")))
}
