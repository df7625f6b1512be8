//! `wanglou-sensor watch`, running.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{bins, capture::Capture, memory::Sampler, proc, scratch::Scratch, sys};

/// Long enough for a guest without hardware help that boots and loads at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// The sensor, ready and watching. Killed when dropped.
#[derive(Debug)]
pub struct Watch {
    child: Child,
    started: Instant,
    output: std::path::PathBuf,
    stderr: Arc<Stderr>,
    reader: Option<JoinHandle<()>>,
    sampler: Option<Sampler>,
    scratch: Option<Scratch>,
}

/// How the sensor is to be started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    args: Vec<String>,
}

impl Watch {
    /// As JSON, whatever else is set.
    pub fn builder() -> Builder {
        Builder { args: ["watch", "--output", "json"].map(str::to_owned).to_vec() }
    }

    /// The sensor's pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
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
    pub fn memory(&self) -> crate::memory::Memory {
        self.sampler.as_ref().map(Sampler::so_far).unwrap_or_default()
    }

    /// Interrupts it, waits for the drain and gives what it left.
    pub fn stop(self) -> Result<Capture> {
        self.stop_by(libc::SIGINT)
    }

    /// As `stop`, by a signal of choice.
    pub fn stop_by(mut self, signal: i32) -> Result<Capture> {
        let memory = self.memory();
        sys::kill(self.pid(), signal)?;
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = sys::wait_for(self.pid())? {
                break ended;
            }
            if Instant::now() > deadline {
                bail!("the sensor still runs {PATIENCE:?} after signal {signal}");
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

    /// Starts the sensor and waits until it says that it is ready.
    pub fn start(self) -> Result<Watch> {
        let sensor = bins::sensor()?;
        let scratch = Scratch::new("watch")?;
        let output = scratch.join("stdout");
        let mut child = Command::new(&sensor)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
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
        let watch = Watch { child, started, output, stderr, reader, sampler, scratch };
        if !watch.stderr.wait_for("ready", PATIENCE) {
            bail!("`watch {}` is not ready: {:?}", self.args.join(" "), watch.stderr.lines());
        }
        Ok(watch)
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
