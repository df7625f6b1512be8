//! bpftrace on the same tracepoints, printing what we print, as far as it can.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use wanglou_testkit::{scratch::Scratch, sys};

/// Arguments are read from the new image's memory, as ours are: at `execve`'s own tracepoints they
/// could be had more easily, but those make every system call of the host dearer.
pub(super) const PROCESSES: &str = r#"
BEGIN { printf("ready\n"); }
tracepoint:sched:sched_process_fork { printf("fork %d %d\n", args->parent_pid, args->child_pid); }
tracepoint:sched:sched_process_exec {
  $mm = ((struct task_struct *)curtask)->mm;
  printf("exec %d %r\n", pid, buf(uptr($mm->arg_start), $mm->arg_end - $mm->arg_start));
}
tracepoint:sched:sched_process_exit {
  printf("exit %d %d\n", pid, ((struct task_struct *)curtask)->exit_code);
}
"#;
/// It has no owners, no bytes and no names of errors; what it has is a line for each change of state.
pub(super) const CONNECTIONS: &str = r#"
BEGIN { printf("ready\n"); }
tracepoint:sock:inet_sock_set_state {
  printf("state %d %s %d %d %s:%d %s:%d\n", pid, comm, args->oldstate, args->newstate,
    ntop(args->family, args->saddr), args->sport, ntop(args->family, args->daddr), args->dport);
}
"#;
/// What its lines begin with that stand for an event.
const KINDS: [&[u8]; 4] = [b"fork ", b"exec ", b"exit ", b"state "];
/// It finds tracepoints in tracefs, which not every host has mounted: mounted for it alone.
const START: &str = "test -d /sys/kernel/tracing/events || test -d /sys/kernel/debug/tracing/events \
    || mount -t tracefs tracefs /sys/kernel/tracing; exec bpftrace \"$1\"";
const SIGINT: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub(super) struct Bpftrace {
    child: Child,
    scratch: Scratch,
}

/// What it left behind.
pub(super) struct Ended {
    pub(super) cpu: Duration,
    pub(super) delivered: u64,
    pub(super) lost: u64,
}

impl Bpftrace {
    /// Starts it and waits until its probes are attached.
    pub(super) fn start(program: &str) -> Result<Self> {
        let scratch = Scratch::new("bpftrace")?;
        fs::write(scratch.join("program"), program)?;
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", START, "sh"])
            .arg(scratch.join("program"))
            // As much of the arguments as its stack has room for.
            .env("BPFTRACE_STRLEN", "200")
            .stdin(Stdio::null())
            .stdout(File::create(scratch.join("stdout"))?)
            .stderr(File::create(scratch.join("stderr"))?)
            .spawn()
            .context("cannot start unshare")?;
        let mut bpftrace = Self { child, scratch };
        bpftrace.wait_until_ready()?;
        Ok(bpftrace)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && self.child.try_wait()?.is_none() {
            let output = fs::read(self.scratch.join("stdout"))?;
            if output.split(|&byte| byte == b'\n').any(|line| line == b"ready") {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        let complaint = fs::read_to_string(self.scratch.join("stderr"))?;
        bail!("bpftrace does not get ready: {}", complaint.trim());
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Interrupts it and counts what it printed.
    pub(super) fn stop(self) -> Result<Ended> {
        sys::kill(self.pid(), SIGINT)?;
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = sys::wait_for(self.pid())? {
                break ended;
            }
            ensure!(Instant::now() < deadline, "bpftrace does not stop");
            thread::sleep(POLL);
        };
        let (mut delivered, mut lost) = (0, 0);
        for file in ["stdout", "stderr"] {
            for line in BufReader::new(File::open(self.scratch.join(file))?).split(b'\n') {
                let line = line?;
                delivered += u64::from(KINDS.iter().any(|kind| line.starts_with(kind)));
                lost += lost_events(&String::from_utf8_lossy(&line)).unwrap_or_default();
            }
        }
        Ok(Ended { cpu: ended.cpu, delivered, lost })
    }
}

/// Reads `Lost 123 events`.
fn lost_events(line: &str) -> Option<u64> {
    line.strip_prefix("Lost ")?.split(' ').next()?.parse().ok()
}

impl Drop for Bpftrace {
    fn drop(&mut self) {
        // Reaped already where all went well: then this fails, as it should.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
