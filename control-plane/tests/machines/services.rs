//! systemd, as far as the page needs it. The real one has to be the first process, which here it could only be in a namespace of
//! processes; there it would start a sensor that the kernel's process numbers mean nothing to, and on a machine that has a
//! systemd its cgroups would be another's. So `systemctl` is a program that asks this one (`systemctl.pl`), which starts what the installed
//! unit says (`unit.rs`), as the user, in the folders and with the variables that it says, and waits until it is ready as systemd
//! does. What only concerns links in `/etc` is done by the installed `systemctl`. Not done is the unit's sandbox.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use wanglou_fleet_testkit::process::Process;

use crate::machine::{Namespaces, said};
use crate::unit::Unit;

/// Where `systemctl` asks.
const SOCKET: &str = "/run/systemd/standin";
/// systemd's own, for a start and for an end.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Those of a machine; they end with this.
pub(crate) struct Services {
    manager: Arc<Mutex<Manager>>,
    socket: PathBuf,
}

struct Manager {
    machine: String,
    on: Namespaces,
    logs: PathBuf,
    running: HashMap<String, Process>,
}

impl Services {
    pub(crate) fn start(on: Namespaces, logs: &Path, machine: &str) -> Result<Self> {
        let program = on.path("/usr/bin/systemctl");
        fs::write(&program, include_str!("systemctl.pl"))?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        let socket = on.path(SOCKET);
        let listener = UnixListener::bind(&socket).context("nobody can ask for services")?;
        let (machine, logs, running) = (machine.to_owned(), logs.to_owned(), HashMap::new());
        let manager = Arc::new(Mutex::new(Manager { machine, on, logs, running }));
        let serving = Arc::clone(&manager);
        thread::spawn(move || {
            for asked in listener.incoming() {
                match asked.map_err(Into::into).and_then(|it| answer(it, &serving)) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => eprintln!("systemctl is not answered: {error:#}"),
                }
            }
        });
        Ok(Self { manager, socket })
    }

    /// What has become of them.
    pub(crate) fn complaint(&self) -> String {
        let mut manager = lock(&self.manager);
        manager.running.values_mut().map(Process::complaint).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        lock(&self.manager).running.clear();
        if let Ok(mut end) = UnixStream::connect(&self.socket) {
            // It may have ended by itself.
            let _ = end.write_all(b"end\n");
        }
    }
}

fn lock(manager: &Mutex<Manager>) -> MutexGuard<'_, Manager> {
    manager.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there may be more questions.
fn answer(mut asked: UnixStream, manager: &Mutex<Manager>) -> Result<bool> {
    let mut line = String::new();
    BufReader::new(&asked).read_line(&mut line)?;
    if line.trim() == "end" {
        return Ok(false);
    }
    let words: Vec<_> = line.split_whitespace().collect();
    match lock(manager).does(&words) {
        Ok(()) => asked.write_all(b"0\n")?,
        Err(error) => asked.write_all(format!("1\n{error:#}\n").as_bytes())?,
    }
    Ok(true)
}

impl Manager {
    fn does(&mut self, words: &[&str]) -> Result<()> {
        let waits = !words.contains(&"--no-block");
        let plain: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
        let [verb, name] = plain[..] else { bail!("it is not known what that means: {words:?}") };
        let unit = Unit::installed(name, &self.machine, self.on)?;
        let runs = self.running.get_mut(&unit.name).is_some_and(Process::is_running);
        match *verb {
            "start" if runs => Ok(()),
            "start" => self.start(&unit, waits),
            "stop" => self.stop(&unit),
            "restart" => {
                self.stop(&unit)?;
                self.start(&unit, waits)
            }
            "try-restart" if !runs => Ok(()),
            "try-restart" => self.does(&["restart", name]),
            "is-active" => {
                ensure!(runs, "inactive");
                Ok(())
            }
            _ => bail!("nothing of this page has asked for {verb} so far"),
        }
    }

    fn stop(&mut self, unit: &Unit) -> Result<()> {
        if let Some(mut process) = self.running.remove(&unit.name) {
            process.terminate(PATIENCE)?;
        }
        Ok(())
    }

    fn start(&mut self, unit: &Unit, waits: bool) -> Result<()> {
        for (folder, mode) in unit.folders() {
            let mut make = self.on.command("install");
            make.args(["--directory", "--mode", &mode]);
            make.args(unit.user().map(|user| format!("--owner={user}")));
            said(make.arg(folder)).with_context(|| format!("a folder of {}", unit.name))?;
        }
        let variables = unit.variables(self.on)?;
        let words = unit.words("ExecStart", &variables)?;
        let umask = unit.value("UMask").unwrap_or_else(|| "0022".to_owned());
        let mut command = self.on.command("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
        if let Some(user) = unit.user() {
            // Who becomes somebody else has to be told again to end with the test.
            command.args(["setpriv", "--init-groups", "--pdeathsig=KILL"]);
            command.args([format!("--reuid={user}"), format!("--regid={user}")]);
        }
        let (notify, ready) = self.listen(unit)?;
        command.args(words).envs(variables).env("NOTIFY_SOCKET", notify);
        command.stdout(std::process::Stdio::null());
        let log = self.logs.join(format!("{}-{}.log", self.machine, unit.name));
        let process = Process::start(command, &log)?;
        let process = self.running.entry(unit.name.clone()).insert_entry(process).into_mut();
        let started = Instant::now();
        while waits && ready.try_recv().is_err() {
            let may_wait = process.is_running() && started.elapsed() < PATIENCE;
            ensure!(may_wait, "{} is not ready: {}", unit.name, process.complaint());
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Where the service says that it is ready, and who hears of that.
    fn listen(&self, unit: &Unit) -> Result<(String, Receiver<()>)> {
        ensure!(
            unit.value("Type").as_deref() == Some("notify"),
            "{} is of another type",
            unit.name
        );
        let name = format!("/run/systemd/notify-{}", unit.name);
        let path = self.on.path(&name);
        // That of its last life.
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        let (say, ready) = mpsc::channel();
        thread::spawn(move || {
            let mut told = [0; 4096];
            while let Ok(many) = socket.recv(&mut told) {
                if told[..many].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    // Whoever has not waited does not hear it.
                    let _ = say.send(());
                }
            }
        });
        Ok((name, ready))
    }
}
