//! Runs the checks, in qemu or beside us, and listens to what they print.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::kernel::Machine;
use super::report::Report;

/// Emulated, a guest needs some minutes for everything; one that needs more is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(900);
/// How much of a guest's console is shown when something is wrong.
const TAIL: usize = 60;

/// An emulated machine (no KVM: most build machines are virtual themselves).
pub(super) fn qemu(machine: &Machine, image: &Path, initramfs: &Path, parameters: &str) -> Command {
    let mut qemu = Command::new(machine.qemu.0);
    qemu.args(machine.arguments);
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"])
        .args(["-no-reboot", "-append"])
        .arg(format!("console={} panic=-1 loglevel=4 {parameters}", machine.console))
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs);
    qemu
}

/// Runs it to its end or to the time limit.
pub(super) fn run(kernel: &str, mut command: Command) -> Result<Report> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let stdout = child.stdout.take().context("the guest has no console")?;
    let lines = lines_of(stdout);
    let mut guest = Guest(child);

    let mut report = Report::new(kernel);
    let mut group = String::new();
    let mut tail = VecDeque::new();
    let started = Instant::now();
    let ending = loop {
        let left = TIME_LIMIT.saturating_sub(started.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => {
                if let Some(check) = report.line(&line) {
                    // The table at the end has the rest.
                    if check.failed() {
                        eprintln!("xtask: {kernel}: {check}");
                    } else if check.group != group {
                        group.clone_from(&check.group);
                        eprintln!("xtask: {kernel}: {group} ...");
                    }
                } else {
                    tail.push_back(line);
                    if tail.len() > TAIL {
                        tail.pop_front();
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => break "the guest went down",
            Err(RecvTimeoutError::Timeout) => break "the time limit was reached",
        }
    };
    guest.end();
    report.finish(ending, started.elapsed());
    if report.tally().failed > 0 {
        eprintln!("xtask: {kernel}: the end of the console:");
        for line in tail {
            eprintln!("    {line}");
        }
    }
    Ok(report)
}

/// Reads on a thread of its own, so that waiting for a line can have a limit.
fn lines_of(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if send.send(text).is_err() {
                return;
            }
        }
    });
    receive
}

/// Never outlives us.
struct Guest(Child);

impl Guest {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}
