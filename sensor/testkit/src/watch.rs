//! `wanglou-sensor watch`, running.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    bins,
    capture::Capture,
    memory::{Memory, Sampler},
    proc,
    scratch::Scratch,
    sys,
};

/// Long enough for a guest without hardware help that boots and loads at the same time.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(5);

/// The sensor, ready and watching. Killed when dropped.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    started: Instant,
    output: PathBuf,
    stderr: Arc<Stderr>,
    reader: Option<JoinHandle<()>>,
    sampler: Option<Sampler>,
    scratch: Option<Scratch>,
}

/// How the sensor is to be started.
#[derive(Clone, Debug)]
pub struct Builder {
    output: &'static str,
    args: Vec<String>,
}

impl Watch {
    /// With JSON for output and everything else as it comes.
    pub fn builder() -> Builder {
        Builder { output: "json", args: Vec::new() }
    }

    /// The sensor's pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, where that was to be a pipe, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its word.
    pub fn wait_until_ready(&self) -> Result<()> {
        if !self.stderr.wait_for("ready", PATIENCE) {
            bail!("the sensor is not ready: {:?}", self.stderr.lines());
        }
        Ok(())
    }

    /// Since it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it has written so far, which may end in half a line.
    pub fn written(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.output)?).into_owned())
    }

    /// Waits until an event that is wanted has been written.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut reader = BufReader::new(File::open(&self.output)?);
        let mut line = String::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            reader.read_line(&mut line)?;
            if !line.ends_with('\n') {
                thread::sleep(POLL);
                continue;
            }
            let event: Value = serde_json::from_str(&line)?;
            if wanted(&event) {
                return Ok(event);
            }
            line.clear();
        }
        bail!("no {what} within {PATIENCE:?}")
    }

    /// The BPF programs it holds attached.
    pub fn programs(&self) -> Result<Vec<u32>> {
        Ok(proc::programs_held(self.pid())?)
    }

    /// Its resident memory so far.
    pub fn memory(&self) -> Memory {
        self.sampler.as_ref().map(Sampler::so_far).unwrap_or_default()
    }

    /// Interrupts it, waits for the drain and gives what it left.
    pub fn stop(self) -> Result<Capture> {
        self.stop_by(libc::SIGINT)
    }

    /// As `stop`, by a signal of choice.
    pub fn stop_by(self, signal: i32) -> Result<Capture> {
        sys::kill(self.pid(), signal)?;
        self.ended()
    }

    /// Waits for its end, for which it must have a reason.
    pub fn ended(mut self) -> Result<Capture> {
        let memory = self.memory();
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = sys::wait_for(self.pid())? {
                break ended;
            }
            if Instant::now() > deadline {
                bail!("the sensor still runs after {PATIENCE:?}");
            }
            thread::sleep(POLL);
        };
        drop(self.sampler.take());
        let reader = self.reader.take().context("stopped twice")?;
        if reader.join().is_err() {
            bail!("the reader of stderr panicked");
        }
        Ok(Capture {
            output: self.output.clone(),
            stderr: self.stderr.lines(),
            status: ExitStatus::from_raw(ended.status),
            cpu: ended.cpu,
            memory,
            _scratch: self.scratch.take().context("stopped twice")?,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // After `stop` the pid may already be another's: only one who holds the scratch is running.
        if self.scratch.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Builder {
    /// `--backend`.
    pub fn backend(self, backend: &str) -> Self {
        self.arg("--backend").arg(backend)
    }

    /// `--ring-bytes`.
    pub fn ring_bytes(self, bytes: u64) -> Self {
        self.arg("--ring-bytes").arg(&bytes.to_string())
    }

    /// One more argument.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// `--output`.
    pub fn output(mut self, output: &'static str) -> Self {
        self.output = output;
        self
    }

    /// Starts the sensor, with its output kept, and waits until it says that it is ready.
    pub fn start(self) -> Result<Watch> {
        let scratch = Scratch::new("watch")?;
        let stdout = File::create(scratch.join("stdout"))?;
        let watch = self.start_in(scratch, stdout.into())?;
        watch.wait_until_ready()?;
        Ok(watch)
    }

    /// Starts the sensor with its output going elsewhere, and does not wait.
    pub fn start_into(self, stdout: Stdio) -> Result<Watch> {
        self.start_in(Scratch::new("watch")?, stdout)
    }

    fn start_in(self, scratch: Scratch, stdout: Stdio) -> Result<Watch> {
        let sensor = bins::sensor()?;
        let output = scratch.join("stdout");
        let mut child = Command::new(&sensor)
            .args(["watch", "--output", self.output])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", sensor.display()))?;
        let started = Instant::now();
        let sampler = Some(Sampler::start(child.id()));
        let stderr = Arc::new(Stderr::default());
        let pipe = child.stderr.take().context("stderr was piped")?;
        let reader = Some(thread::spawn({
            let stderr = stderr.clone();
            move || stderr.read(BufReader::new(pipe))
        }));
        let scratch = Some(scratch);
        Ok(Watch { child, started, output, stderr, reader, sampler, scratch })
    }
}

/// The lines of stderr so far.
#[derive(Debug, Default)]
struct Stderr {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Stderr {
    fn read(&self, pipe: impl BufRead) {
        for line in pipe.lines().map_while(Result::ok) {
            self.state.lock().expect("no panic while held").0.push(line);
            self.changed.notify_all();
        }
        self.state.lock().expect("no panic while held").1 = true;
        self.changed.notify_all();
    }

    /// Whether a line that contains the word came before the end and in time.
    fn wait_for(&self, word: &str, patience: Duration) -> bool {
        let found = |lines: &[String]| lines.iter().any(|line| line.contains(word));
        let state = self.state.lock().expect("no panic while held");
        let waiting = |state: &mut (Vec<String>, bool)| !found(&state.0) && !state.1;
        let waited = self.changed.wait_timeout_while(state, patience, waiting);
        found(&waited.expect("no panic while held").0.0)
    }

    fn lines(&self) -> Vec<String> {
        self.state.lock().expect("no panic while held").0.clone()
    }
}
