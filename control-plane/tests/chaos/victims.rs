//! Those to whom it happens: a sensor, two replicas over one lake, etcd, and the disks of both ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::sleep;
use wanglou_fleet_testkit::process::Process;
use wanglou_fleet_testkit::{Replica, Scene, sensor};
use wanglou_testkit::{disk::SmallDisk, proc, service::READY};

use crate::account::Kill;
use crate::plan::{Act, Part};
use crate::programs::Programs;
use crate::waves::now;

const SOON: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// Bytes of the lake's disk and of the spool's: more than comes while the other one takes nothing.
const SINK: u64 = 256 << 20;
const SPOOL: u64 = 96 << 20;
/// Bytes of a segment that has nothing in it.
const EMPTY: u64 = 8;

/// How often whom.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Killed {
    pub(crate) workers: u32,
    pub(crate) supervisors: u32,
    pub(crate) replicas: u32,
}

pub(crate) struct Victims {
    pub(crate) scene: Scene,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) killed: Killed,
    /// Workers that have said that they are ready.
    pub(crate) begun: usize,
    sensor: Process,
    programs: Programs,
    endpoints: String,
    sink: SmallDisk,
    spool: SmallDisk,
    is_sink_full: bool,
    is_spool_full: bool,
    is_etcd_stopped: bool,
}

impl Victims {
    /// All of them, well.
    pub(crate) async fn start() -> Result<Self> {
        let (scene, sink, spool) =
            (Scene::one().await?, SmallDisk::new(SINK)?, SmallDisk::new(SPOOL)?);
        let settings = [
            ("lake.location", json!(sink.join("lake"))),
            ("lake.flush_milliseconds", json!(100)),
            ("lake.compact_seconds", json!(2)),
            ("fleet.lease_seconds", json!(10)),
        ];
        let programs = Programs::install(scene.fleet.folder())?;
        let mut replicas = Vec::new();
        for (id, program) in ["one", "two"].into_iter().zip(&programs.replicas) {
            let mut replica = scene.replica(id, &settings).await?;
            // The first start has made its settings.
            replica.program = program.path().to_owned();
            replica.restart().await?;
            replicas.push(replica);
        }
        let endpoints = replicas.iter().map(Replica::address).collect::<Vec<_>>().join(",");
        let sensor = start_sensor(&programs, &scene, &endpoints, &spool)?;
        let mut victims = Self {
            scene,
            replicas,
            kills: Vec::new(),
            killed: Killed::default(),
            begun: 0,
            sensor,
            programs,
            endpoints,
            sink,
            spool,
            is_sink_full: false,
            is_spool_full: false,
            is_etcd_stopped: false,
        };
        let start = Instant::now();
        while victims.begun == 0 {
            ensure!(start.elapsed() < SOON, "it does not work: {}", victims.sensor.complaint());
            victims.look()?;
            sleep(POLL).await;
        }
        Ok(victims)
    }

    /// What is done again and again: a full disk stays full, and it is seen when somebody watches again.
    pub(crate) fn look(&mut self) -> Result<()> {
        for (disk, is_full) in [(&self.sink, self.is_sink_full), (&self.spool, self.is_spool_full)]
        {
            if is_full {
                fill(&filler(disk))?;
            }
        }
        let begun = self.sensor.told()?.matches(READY).count();
        if begun > self.begun {
            self.begun = begun;
            let waiting = self.kills.iter_mut().filter(|kill| kill.watched_again.is_none());
            waiting.for_each(|kill| kill.watched_again = Some(now()));
        }
        Ok(())
    }

    pub(crate) async fn act(&mut self, act: Act, random: &mut Rng) -> Result<()> {
        match act {
            Act::KillWorker => self.kill_worker(),
            // What is in its memory alone goes with a supervisor: that is said, and not looked for here.
            Act::Break(Part::Supervisor) if self.does_spool_fail()? => self.kill_worker(),
            Act::Break(Part::Supervisor) => self.kill_supervisor(),
            Act::Mend(Part::Supervisor) => {
                if !self.sensor.is_running() {
                    self.sensor = self.start_sensor()?;
                }
                Ok(())
            }
            Act::Break(Part::Replica(n)) => {
                self.killed.replicas += u32::from(self.replicas[n].process.is_running());
                self.replicas[n].process.kill()
            }
            Act::Mend(Part::Replica(n)) => {
                if !self.replicas[n].process.is_running() {
                    self.replicas[n].launch_again()?;
                }
                Ok(())
            }
            Act::Exchange(Part::Supervisor) => {
                self.end_sensor()?;
                self.note(true)?;
                self.programs.sensor.exchange()?;
                self.sensor = self.start_sensor()?;
                Ok(())
            }
            Act::Exchange(Part::Replica(n)) => {
                self.replicas[n].process.terminate(SOON)?;
                self.programs.replicas[n].exchange()?;
                self.replicas[n].restart().await
            }
            Act::Exchange(part) => bail!("{part:?} has no versions here"),
            Act::Break(Part::Etcd) => {
                self.is_etcd_stopped = random.bool();
                let etcd = self.scene.etcd.member(0);
                if self.is_etcd_stopped { etcd.stop() } else { etcd.kill() }
            }
            Act::Mend(Part::Etcd) if self.is_etcd_stopped => self.scene.etcd.member(0).resume(),
            Act::Mend(Part::Etcd) => self.scene.etcd.restart(0).await,
            Act::Break(Part::Sink) => {
                self.is_sink_full = true;
                fill(&filler(&self.sink))
            }
            Act::Mend(Part::Sink) => {
                self.is_sink_full = false;
                Ok(fs::remove_file(filler(&self.sink))?)
            }
            Act::Break(Part::Spool) => {
                self.is_spool_full = true;
                fill(&filler(&self.spool))
            }
            Act::Mend(Part::Spool) => {
                self.is_spool_full = false;
                Ok(fs::remove_file(filler(&self.spool))?)
            }
        }
    }

    fn start_sensor(&self) -> Result<Process> {
        start_sensor(&self.programs, &self.scene, &self.endpoints, &self.spool)
    }

    fn kill_worker(&mut self) -> Result<()> {
        let worker = proc::children(self.sensor.id()).first().copied();
        let Some(pid) = worker.and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return Ok(());
        };
        self.note(false)?;
        self.killed.workers += 1;
        // It may have been about to end.
        let _ = kill_process(pid, Signal::KILL);
        Ok(())
    }

    fn kill_supervisor(&mut self) -> Result<()> {
        if self.sensor.is_running() {
            self.note(true)?;
            self.killed.supervisors += 1;
            self.sensor.kill()?;
        }
        Ok(())
    }

    fn note(&mut self, is_with_supervisor: bool) -> Result<()> {
        let is_spool_full = self.does_spool_fail()?;
        self.kills.push(Kill { at: now(), is_with_supervisor, is_spool_full, watched_again: None });
        Ok(())
    }

    /// Until the sensor says that it writes again.
    fn does_spool_fail(&self) -> Result<bool> {
        let told = self.sensor.told()?;
        let said = |id| told.matches(id).count();
        Ok(self.is_spool_full || said("[WL4101]") > said("[WL4102]"))
    }

    /// Waits until replicas are ready, somebody watches, and nothing waits in the spool.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        for replica in &mut self.replicas {
            replica.ready().await?;
        }
        let start = Instant::now();
        let folder = self.spool.join("state/spool");
        while self.kills.iter().any(|kill| kill.watched_again.is_none()) || waits(&folder)? {
            let complaint = || format!("{:?}", fs::read_dir(&folder));
            ensure!(start.elapsed() < SOON, "{}: {}", complaint(), self.sensor.complaint());
            self.look()?;
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Tells the sensor to end, as its manager does.
    pub(crate) fn end_sensor(&mut self) -> Result<()> {
        let status = self.sensor.terminate(SOON)?;
        ensure!(status.success(), "it ended with {status}: {}", self.sensor.complaint());
        Ok(())
    }

    /// Waits until all that has come lies in partitions, and ends who could change that.
    pub(crate) async fn end_replicas(&mut self) -> Result<PathBuf> {
        let (start, lake) = (Instant::now(), self.sink.join("lake"));
        while ["landing", "staged"].iter().any(|folder| has_files(&lake.join(folder))) {
            ensure!(start.elapsed() < SOON, "not all is compacted");
            sleep(POLL).await;
        }
        for replica in &mut self.replicas {
            replica.terminate(SOON)?;
        }
        Ok(lake)
    }
}

fn start_sensor(
    programs: &Programs,
    scene: &Scene,
    endpoints: &str,
    disk: &SmallDisk,
) -> Result<Process> {
    let state = format!("sensor.state_directory={}", disk.join("state").display());
    let settings = [
        "network.include_loopback=true",
        "sensor.ring_bytes=16777216",
        // What it costs is looked at elsewhere, and with what a release has in memory.
        "budget.memory_bytes=1073741824",
        &state,
    ];
    sensor::start_this_here(programs.sensor.path(), &scene.fleet, endpoints, &settings)
}

fn filler(disk: &SmallDisk) -> PathBuf {
    disk.join("filler")
}

/// Takes what room there is.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::options().append(true).create(true).open(path)?;
    let full = io::copy(&mut io::repeat(0), &mut file);
    ensure!(full.is_err_and(|it| it.kind() == io::ErrorKind::StorageFull), "it is not full");
    Ok(())
}

/// Whether anything lies in a spool.
fn waits(folder: &Path) -> Result<bool> {
    let files = fs::read_dir(folder)?.flatten();
    let segments = files.filter(|file| file.path().extension().is_some_and(|it| it == "spool"));
    Ok(segments.filter_map(|file| file.metadata().ok()).any(|file| file.len() > EMPTY))
}

fn has_files(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.is_file() || has_files(&path))
}
