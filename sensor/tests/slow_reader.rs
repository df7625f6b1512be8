//! A reader that pauses: what does not fit meanwhile is counted, and nothing else goes missing.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{Watch, ledger, lock, root_or_skip, storm};

/// Ten times what pipe, queue and this ring hold.
const PROCESSES: u64 = 5_000;
const RING_BYTES: u64 = 64 << 10;

#[test]
fn a_pause_of_the_reader_is_accounted_for() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut watch =
        Watch::builder().backend("ebpf").ring_bytes(RING_BYTES).start_into(Stdio::piped())?;
    let output = watch.stdout().context("stdout was piped")?;
    watch.wait_until_ready()?;
    storm::start(PROCESSES, 2)?.finish()?;

    let reader = thread::spawn(move || -> Result<ledger::Audit> {
        let mut audit = ledger::Audit::default();
        for line in BufReader::new(output).lines() {
            audit.line(&serde_json::from_str(&line?)?)?;
        }
        audit.close()?;
        Ok(audit)
    });
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "it ends with {}", capture.status);
    let audit = reader.join().expect("no panic")?;
    ensure!(
        audit.dropped_total() > 0,
        "nothing was lost: the pause was too short to show anything"
    );
    ensure!(!audit.gaps.is_empty(), "no gap tells of the {} lost", audit.dropped_total());
    let known = audit.produced.get("exec").copied().unwrap_or_default();
    ensure!(known >= PROCESSES, "only {known} of {PROCESSES} execs are in the books");
    Ok(())
}
