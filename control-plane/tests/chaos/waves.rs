//! Processes and connections, wave upon wave, and when each of them was.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tempfile::TempDir;
use wanglou_testkit::bins;

/// Each of them has a program, or an address, of its own.
pub(crate) const PROGRAM: &str = "wave-";
pub(crate) const NETWORK: [u8; 2] = [127, 77];
/// Of one wave.
const PROCESSES: std::ops::Range<u32> = 10..80;
const CONNECTIONS: std::ops::Range<u32> = 5..35;
/// Workers of a storm.
const WORKERS: u32 = 2;
/// Between two waves, if not at once.
const MOST_MS: u64 = 900;

/// Something that has happened once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Deed {
    /// Of a wave, by one of its storm's workers, counted from 0.
    Exec(u32, u32, u32),
    /// Of a wave, from a port.
    Attempt(u32, u16),
    Accept(u32, u16),
}

impl Deed {
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Exec(..) => "exec",
            Self::Attempt(..) => "connection_attempted",
            Self::Accept(..) => "connection_accepted",
        }
    }
}

/// What was, each between two moments, ns since 1970.
pub(crate) type Truth = BTreeMap<Deed, (u64, u64)>;

/// Makes one of a number, and says what was.
type Wave = Box<dyn Fn(u32, &mut Rng, &mut Truth) -> Result<()> + Send>;

/// Goes on until it is told that it is enough.
pub(crate) struct Waves {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Truth>>>,
    folder: TempDir,
}

impl Waves {
    pub(crate) fn begin(seed: u64) -> Result<Self> {
        let (enough, folder) = (Arc::new(AtomicBool::new(false)), tempfile::tempdir()?);
        let storm = folder.path().join("storm");
        fs::copy(bins::testkit("storm")?, &storm)?;
        let on = |seed, wave: Wave| {
            let enough = Arc::clone(&enough);
            thread::spawn(move || go_on(&enough, &mut Rng::with_seed(seed), &wave))
        };
        let threads = vec![
            on(seed, Box::new(move |n, random, truth| blow(&storm, n, random, truth))),
            on(seed.wrapping_add(1), Box::new(connect)),
        ];
        Ok(Self { enough, threads, folder })
    }

    /// Where the programs of the waves are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Has the waves that have begun end, and says what was.
    pub(crate) fn end(self) -> Result<Truth> {
        self.enough.store(true, Ordering::Relaxed);
        let mut truth = Truth::new();
        for thread in self.threads {
            let of_one = thread.join().map_err(|_| anyhow::anyhow!("a wave has panicked"))?;
            truth.append(&mut of_one?);
        }
        Ok(truth)
    }
}

fn go_on(enough: &AtomicBool, random: &mut Rng, wave: &Wave) -> Result<Truth> {
    let mut truth = Truth::new();
    for n in 1.. {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        wave(n, random, &mut truth).with_context(|| format!("wave {n}"))?;
        if random.u8(0..4) > 0 {
            thread::sleep(Duration::from_millis(random.u64(0..MOST_MS)));
        }
    }
    Ok(truth)
}

fn blow(storm: &Path, wave: u32, random: &mut Rng, truth: &mut Truth) -> Result<()> {
    let program = storm.with_file_name(format!("{PROGRAM}{wave}"));
    fs::hard_link(storm, &program)?;
    let total = random.u32(PROCESSES);
    let mut command = Command::new(&program);
    command.args([total.to_string(), WORKERS.to_string()]).stdout(Stdio::null());
    let began = now();
    ensure!(command.status()?.success(), "the storm has failed");
    let ended = now();
    fs::remove_file(&program)?;
    for worker in 0..WORKERS {
        let share = total / WORKERS + u32::from(worker < total % WORKERS);
        truth.extend((0..share).map(|n| (Deed::Exec(wave, worker, n), (began, ended))));
    }
    Ok(())
}

fn connect(wave: u32, random: &mut Rng, truth: &mut Truth) -> Result<()> {
    let ([a, b], [.., c, d]) = (NETWORK, wave.to_be_bytes());
    let listener = TcpListener::bind((Ipv4Addr::new(a, b, c, d), 0))?;
    let address = listener.local_addr()?;
    let total = random.u32(CONNECTIONS);
    let taking = thread::spawn(move || (0..total).all(|_| listener.accept().is_ok()));
    for _ in 0..total {
        let began = now();
        let stream = TcpStream::connect(address)?;
        let port = stream.local_addr()?.port();
        drop(stream);
        let span = (began, now());
        let is_new = truth.insert(Deed::Attempt(wave, port), span).is_none();
        ensure!(is_new, "port {port} twice in one wave");
        truth.insert(Deed::Accept(wave, port), span);
    }
    ensure!(taking.join().is_ok_and(|all| all), "a connection was not taken");
    // They have been taken by now, whenever that was.
    let last = now();
    for (_, span) in truth.range_mut(Deed::Accept(wave, 0)..=Deed::Accept(wave, u16::MAX)) {
        span.1 = last;
    }
    Ok(())
}

/// ns since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
