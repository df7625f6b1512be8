//! Against the kernel itself, where it lets us.

use std::process::Command;
use std::time::{Duration, Instant};

use super::CnProc;
use crate::observation::Action;

fn start() -> Option<CnProc> {
    CnProc::start().inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

/// What was seen of a process, in order, until its end.
fn seen_of(cn_proc: &mut CnProc, pid: u32) -> Vec<String> {
    let mut seen = Vec::new();
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until && seen.last().is_none_or(|last: &String| !last.contains("end")) {
        cn_proc.drain(&mut |observation| {
            if observation.pid == pid {
                seen.push(match &observation.action {
                    Action::Fork { creator } => {
                        format!("fork by {}", creator.map_or(0, |(pid, _)| pid))
                    }
                    Action::Exec(image) => {
                        let path = image.executable.unwrap_or_default();
                        format!("exec {}", String::from_utf8_lossy(path))
                    }
                    Action::End(end) => format!("end {:?}", end.status),
                    Action::Credentials { .. } => "ids".into(),
                    Action::Existing(_) => "existing".into(),
                    Action::Connection(_) => "connection".into(),
                    Action::Cgroup => "cgroup".into(),
                });
            }
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    seen
}

#[test]
fn a_process_is_forked_executed_and_ended_once() {
    let Some(mut cn_proc) = start() else { return };
    let mut child = Command::new("sleep").arg("0.3").spawn().expect("a child");
    let seen = seen_of(&mut cn_proc, child.id());
    child.wait().expect("its status");
    let executable = std::fs::canonicalize("/bin/sleep").expect("a file");
    let fork = format!("fork by {}", std::process::id());
    let exec = format!("exec {}", executable.display());
    assert_eq!(seen, [fork, exec, "end Some(0)".into()]);
}

#[test]
fn what_was_seen_before_the_stop_can_be_drained_after_it() {
    let Some(mut cn_proc) = start() else { return };
    let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().expect("a child");
    child.wait().expect("its status");
    cn_proc.stop();
    let seen = seen_of(&mut cn_proc, child.id());
    assert_eq!(seen.first(), Some(&format!("fork by {}", std::process::id())));
    assert_eq!(seen.last(), Some(&format!("end Some({})", 3 << 8)));
    assert_eq!(cn_proc.lost().overrun, 0);
}

#[test]
fn a_snapshot_shows_this_process() {
    let Some(mut cn_proc) = start() else { return };
    let mut found = 0;
    let me = std::process::id();
    cn_proc.snapshot(&mut |seen| found += u32::from(seen.pid == me)).expect("/proc");
    assert_eq!(found, 1);
}
