//! Hosts by the thousand: the parent's half. The other half is the program `swarm`, in several processes, as one has
//! 20,000 descriptors at most.

mod protocol;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
pub use protocol::{Answer, Ask, Behaviour, Report, Setup};
use tokio::time::sleep;

use crate::bins;
use crate::process::{Process, Usage};
use crate::replica::Fleet;
use crate::truth::{self, Event, Record, Truth};

/// Hosts of one process, at most: a socket each, and some descriptors to spare.
pub const PER_PROCESS: usize = 19_500;
const POLL: Duration = Duration::from_millis(50);

/// Hosts of a fleet, numbered from 0; at first, all are away. They end when this is dropped.
#[derive(Debug)]
pub struct Swarm {
    parts: Vec<Part>,
}

/// The hosts of one process.
#[derive(Debug)]
struct Part {
    process: Process,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    hosts: Range<usize>,
    truth: PathBuf,
    is_dead: bool,
}

/// The id of a host, as its certificate has it.
pub fn host_id(number: usize) -> String {
    format!("host-{number:06}")
}

impl Swarm {
    /// So many hosts, which call any of these endpoints, `host:port`, in as few processes as can hold them.
    ///
    /// # Errors
    ///
    /// If the program cannot be built or started.
    pub fn start(fleet: &Fleet, hosts: usize, endpoints: &[String]) -> Result<Self> {
        Self::start_with(fleet, hosts, PER_PROCESS, endpoints, |_| ())
    }

    /// The same, with so many in a process, and more that is changed about them.
    ///
    /// # Errors
    ///
    /// If the program cannot be built or started.
    pub fn start_with(
        fleet: &Fleet,
        hosts: usize,
        per_process: usize,
        endpoints: &[String],
        change: impl Fn(&mut Setup),
    ) -> Result<Self> {
        let folder = fleet.folder().to_owned();
        let starts = (0..hosts).step_by(per_process);
        let parts = starts.map(|first| {
            let mut setup = Setup {
                fleet: fleet.name.clone(),
                authority: folder.clone(),
                stop_keys: vec![fleet.stop_key.public.clone()],
                operator_keys: vec![fleet.operator_key.public.clone()],
                endpoints: endpoints.to_vec(),
                truth: folder.join(format!("truth-{first}.json")),
                obeys_after_milliseconds: 0,
            };
            change(&mut setup);
            Part::start(
                first..hosts.min(first + per_process),
                setup,
                &folder.join(format!("swarm-{first}.log")),
            )
        });
        Ok(Self { parts: parts.collect::<Result<_>>()? })
    }

    /// Has hosts behave so, from now on. At most so many begin in a second, together.
    ///
    /// # Errors
    ///
    /// If a process has ended.
    pub fn behave(
        &mut self,
        hosts: Range<usize>,
        behaviour: Behaviour,
        per_second: u32,
    ) -> Result<()> {
        let meant = |part: &Part| hosts.start.max(part.hosts.start)..hosts.end.min(part.hosts.end);
        let parts = self.living().filter(|part| !meant(part).is_empty()).count();
        let per_second = per_second.div_ceil(u32::try_from(parts.max(1))?);
        for part in self.living() {
            let meant = meant(part);
            if !meant.is_empty() {
                part.ask(&Ask::Behave { hosts: meant, behaviour, per_second })?;
            }
        }
        Ok(())
    }

    /// Tells all hosts of other endpoints, for their next calls.
    ///
    /// # Errors
    ///
    /// If a process has ended.
    pub fn endpoints(&mut self, addresses: &[String]) -> Result<()> {
        for part in self.living() {
            part.ask(&Ask::Endpoints { addresses: addresses.to_vec() })?;
        }
        Ok(())
    }

    /// How they are, together.
    ///
    /// # Errors
    ///
    /// If a process has ended.
    pub fn report(&mut self) -> Result<Report> {
        let mut sum = Report::default();
        for part in self.living() {
            let Answer::Report(report) = part.ask(&Ask::Report)? else {
                bail!("swarm does not answer with a report")
            };
            sum.add(report);
        }
        Ok(sum)
    }

    /// Waits until so many are welcome, or no more than so many: `is_enough` says.
    ///
    /// # Errors
    ///
    /// With how they are, if it takes longer than `patience`.
    pub async fn until(
        &mut self,
        patience: Duration,
        is_enough: impl Fn(&Report) -> bool,
    ) -> Result<Report> {
        let started = Instant::now();
        loop {
            let report = self.report()?;
            if is_enough(&report) {
                return Ok(report);
            }
            if started.elapsed() > patience {
                bail!("hosts are not as expected within {patience:?}: {report:?}");
            }
            sleep(POLL).await;
        }
    }

    /// What was, until now.
    ///
    /// # Errors
    ///
    /// If a process has ended.
    pub fn truth(&mut self) -> Result<Truth> {
        // A report comes after all that was before it has been written.
        self.report()?;
        Truth::read(&self.parts.iter().map(|part| &part.truth).collect::<Vec<_>>())
    }

    /// What each process has cost.
    ///
    /// # Errors
    ///
    /// If one has ended.
    pub fn usage(&self) -> Result<Vec<Usage>> {
        let living = self.parts.iter().filter(|part| !part.is_dead);
        living.map(|part| part.process.usage()).collect()
    }

    /// Ends a process for good, with all of its hosts at once: their sockets are closed without a word.
    ///
    /// # Errors
    ///
    /// If it has ended before.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        let part = &mut self.parts[n];
        // All that was before is written then, and nothing is lost that has not been.
        part.ask(&Ask::Report)?;
        let at = truth::now();
        part.process.kill()?;
        part.is_dead = true;
        let mut file = File::options().append(true).open(&part.truth)?;
        for number in part.hosts.clone() {
            let record = Record { at, host: host_id(number), event: Event::Cut };
            writeln!(file, "{}", serde_json::to_string(&record)?)?;
        }
        Ok(())
    }

    fn living(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().filter(|part| !part.is_dead)
    }
}

impl Part {
    fn start(hosts: Range<usize>, setup: Setup, log: &Path) -> Result<Self> {
        let mut command = Command::new(bins::testkit("swarm")?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command, log)?;
        let (asks, answers) = process.pipes().context("swarm has no pipes")?;
        let (answers, truth) = (BufReader::new(answers), setup.truth.clone());
        let mut part = Self { process, asks, answers, hosts, truth, is_dead: false };
        part.ask(&Ask::Begin(setup))?;
        Ok(part)
    }

    fn ask(&mut self, ask: &Ask) -> Result<Answer> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        let mut answer = String::new();
        let done = self.asks.write_all(&line).and_then(|()| self.answers.read_line(&mut answer));
        if !matches!(done, Ok(1..)) {
            bail!("swarm does not answer: {}", self.process.complaint());
        }
        match serde_json::from_str(&answer)? {
            Answer::Failed { why } => bail!("swarm: {why}"),
            answer => Ok(answer),
        }
    }
}
