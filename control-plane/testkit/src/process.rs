//! Processes that end with whoever started them, and what they cost.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// Between two looks at whether something has ended.
const POLL: Duration = Duration::from_millis(5);
/// Of its output, how much is shown when it fails: bytes.
const TAIL: usize = 4096;

/// A process of ours, whose standard error is in a file. It is killed when this is dropped, and by the kernel
/// when we are killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// Bytes in memory now, and at most so far.
    pub resident: u64,
    /// Bytes in memory at the worst moment so far.
    pub peak: u64,
    /// Open files and sockets.
    pub descriptors: usize,
}

impl Process {
    /// Starts it, with its standard error appended to `log`.
    ///
    /// # Errors
    ///
    /// If there is no such program, or no such folder for the log.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.stderr(file);
        let child = spawn(command).with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input and output, where they are pipes.
    pub fn pipes(&mut self) -> Option<(std::process::ChildStdin, std::process::ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it as a power failure would.
    ///
    /// # Errors
    ///
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        // One that has ended by itself is as good.
        let _ = self.child.kill();
        self.child.wait().context("cannot wait for a process")?;
        Ok(())
    }

    /// Has it stand still, with all its sockets open.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Has it go on.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).with_context(|| format!("cannot signal process {id:?}"))
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// With the end of its log, if it is still there after `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        if self.is_running() {
            self.signal(Signal::TERM)?;
        }
        self.wait(patience)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    ///
    /// With the end of its log, if it is still there after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > patience {
                bail!("it does not end within {patience:?}: {}", self.complaint());
            }
            thread::sleep(POLL);
        }
    }

    /// All that it has written to its standard error.
    ///
    /// # Errors
    ///
    /// If its log is gone.
    pub fn told(&self) -> Result<String> {
        let bytes = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How it ended, if it has, and the last lines of its log: for a message of a failure.
    pub fn complaint(&mut self) -> String {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => match status.signal() {
                Some(signal) => format!("it was ended by signal {signal}"),
                None => format!("it ended with {:?}", status.code()),
            },
            _ => "it runs".to_owned(),
        };
        let told = self.told().unwrap_or_default();
        let start = told.len().saturating_sub(TAIL);
        let tail = told.get(told.ceil_char_boundary(start)..).unwrap_or_default();
        format!("{state}; {} ends with:\n{tail}", self.log.display())
    }

    /// What it has cost so far.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn usage(&self) -> Result<Usage> {
        usage(self.id()).with_context(|| format!("process {} is gone", self.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// What a process has cost so far, by its id.
///
/// # Errors
///
/// If there is none.
pub fn usage(id: u32) -> Result<Usage> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let stat = fs::read_to_string(folder.join("stat"))?;
    // proc_pid_stat(5): the name is in parentheses and may hold anything; utime and stime are the 12th and 13th
    // after it.
    let (_, rest) = stat.rsplit_once(") ").context("no name in stat")?;
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    let status = fs::read_to_string(folder.join("status"))?;
    let kilobytes = |field: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let bytes = |field| kilobytes(field).map(|it| it << 10).context("it has no memory any more");
    Ok(Usage {
        cpu,
        resident: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
        descriptors: fs::read_dir(folder.join("fd"))?.count(),
    })
}

/// A command, and where its process goes.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts it from a thread that lives as long as we do: to the kernel, the parent whose death ends a process is
/// the thread that made it, and a test's thread may be gone long before the test.
fn spawn(mut command: Command) -> io::Result<Child> {
    static PARENT: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let ended = || io::Error::other("the thread that starts processes has ended");
    let follow = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec, it makes one system call, and allocates nothing.
    unsafe { command.pre_exec(follow) };
    let parent = PARENT.get_or_init(|| {
        let (give, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, done) in orders {
                // Whoever asked is there until it has an answer.
                let _ = done.send(command.spawn());
            }
        });
        give
    });
    let (done, child) = mpsc::channel();
    parent.send((command, done)).map_err(|_| ended())?;
    child.recv().map_err(|_| ended())?
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str, log: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        Process::start(command, log).expect("a shell")
    }

    #[test]
    fn a_process_is_stopped_resumed_and_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut process = shell("echo hello >&2; exec sleep 60", &log);
        while process.told().expect("a log").is_empty() {
            thread::sleep(POLL);
        }
        process.stop().expect("it stands");
        assert!(process.wait(Duration::from_millis(50)).is_err());
        process.resume().expect("it goes on");
        let usage = process.usage().expect("it is there");
        assert!(usage.resident > 0 && usage.peak >= usage.resident && usage.descriptors >= 3);
        let status = process.terminate(Duration::from_secs(60)).expect("it ends");
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
        assert!(
            process.complaint().contains("signal 15") && process.complaint().ends_with("hello\n")
        );
    }

    #[test]
    fn it_outlives_the_thread_that_wanted_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let path = log.clone();
        let started = thread::spawn(move || shell("exec sleep 60", &path)).join();
        let mut process = started.expect("a process");
        assert!(process.wait(Duration::from_millis(100)).is_err(), "it runs");
        process.kill().expect("it is ended");
        assert!(!process.is_running());
    }
}
