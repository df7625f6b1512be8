//! Connections that rules speak of, each by another of their conditions.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};

use crate::{
    Watch,
    cases::{LINGER, Stage},
    cgroup::Cgroup,
    event::{action, pid},
    number,
};

const NOBODY: u32 = 65_534;
/// Watches with rules, makes connections that each of them names and some that none does, and fails
/// unless just the right ones are told of.
pub fn decide(backend: &str) -> Result<()> {
    let stage = Stage::new(backend, LINGER)?;
    let (open, closed) = (serve()?, serve()?);
    let named = stage.path("named");
    // By another process: a copy that is open for writing while somebody forks cannot be run.
    ensure!(Command::new(stage.actor()).arg("copy").arg(&named).status()?.success(), "no copy");
    let group = Cgroup::make("rules")?;
    let mut early = Early::start(&named, open)?;

    let rules = [
        format!("keep uid={NOBODY} port={closed} address=127.0.7.0/24"),
        format!("drop port={closed} direction=egress"),
        "drop address=127.0.7.0/24".to_owned(),
        format!("drop uid={NOBODY}"),
        format!("drop cgroup={}", group.name),
        format!("drop executable={}", named.display()),
    ];
    let mut watch = Watch::builder().backend(backend).arg("--include-loopback");
    for rule in &rules {
        watch = watch.arg("--filter").arg(rule);
    }
    let watch = watch.start()?;

    let actor = stage.actor();
    let plain = || Command::new(&actor);
    let nobody = || {
        let mut command = plain();
        command.uid(NOBODY);
        command
    };
    let told = [
        ("what no rule names", call(plain(), [127, 0, 0, 1], open)?),
        ("what an earlier rule keeps", call(nobody(), [127, 0, 7, 1], closed)?),
    ];
    let dropped = [
        ("a port", call(plain(), [127, 0, 0, 1], closed)?),
        ("a range of addresses", call(plain(), [127, 0, 7, 1], open)?),
        ("a user", call(nobody(), [127, 0, 0, 1], open)?),
        ("a cgroup", call(group.enter(plain()), [127, 0, 0, 1], open)?),
        ("an executable", call(Command::new(&named), [127, 0, 0, 1], open)?),
    ];
    let (before, forked) = early.call()?;
    let capture = watch.stop()?;
    let audit = capture.audit()?;
    ensure!(audit.dropped_total() == 0, "dropped: {:?}", audit.dropped);

    let mut seen: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in capture.lines()? {
        let event = line?;
        let ours = [open, closed].map(|port| Some(u64::from(port)));
        if ours.contains(&number(&event, "destination.port"))
            && let Some(pid) = pid(&event)
        {
            seen.entry(pid).or_default().push(action(&event).to_owned());
        }
    }
    for (what, pid) in told {
        let actions = seen.get(&pid).cloned().unwrap_or_default();
        ensure!(actions == ["connection_attempted", "disconnect_received"], "{what}: {actions:?}");
    }
    let found = [("one that ran before", before), ("its child", forked)];
    for (what, pid) in dropped.into_iter().chain(found) {
        ensure!(!seen.contains_key(&pid), "told of {what}: {:?}", seen[&pid]);
    }
    // The other ends are ours, and no rule names us.
    let accepted = seen.get(&std::process::id()).map(Vec::len).unwrap_or_default();
    let made = told.len() + dropped.len() + found.len();
    ensure!(accepted == 2 * made, "{accepted} events of {made} connections taken");
    let known: BTreeSet<_> =
        told.map(|(_, pid)| pid).into_iter().chain([std::process::id()]).collect();
    ensure!(seen.keys().copied().collect::<BTreeSet<_>>() == known, "others: {seen:?}");
    Ok(())
}

/// A port where somebody takes connections and ends them at once.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    // It ends with the process: nobody can tell a listener to.
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
    Ok(port)
}

/// The actor opens a connection and ends with it; its pid.
fn call(mut actor: Command, ip: [u8; 4], port: u16) -> Result<u32> {
    let address = SocketAddr::from((ip, port)).to_string();
    let mut child = actor.args(["tcp-connect", "plain", &address, "0"]).spawn()?;
    let status = child.wait()?;
    ensure!(status.success(), "a call ended with {status}");
    Ok(child.id())
}

/// An actor that is there before the sensor, and calls when it is told to.
struct Early(Child);

impl Early {
    fn start(actor: &Path, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        let mut command = Command::new(actor);
        command.args(["tcp-later", &address]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn()?))
    }

    /// It calls, and so does a child of it that runs the same; their pids.
    fn call(&mut self) -> Result<(u32, u32)> {
        self.0.stdin.take().context("no input")?.write_all(b"now\n")?;
        let mut child = String::new();
        self.0.stdout.take().context("no output")?.read_to_string(&mut child)?;
        ensure!(self.0.wait()?.success(), "the early one failed");
        let child = child.trim().strip_prefix("child ").context("no child")?;
        Ok((self.0.id(), child.parse()?))
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
