//! The real binary, with an operator's certificate, and replicas for it to ask.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::pki::Pki;
use crate::script::{Replica, Script};

/// What tests have in common.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) pki: Pki,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Pki::new(folder.path(), "blue");
        Self { folder, pki }
    }

    pub(crate) fn replica(&self, script: Script) -> Replica {
        Replica::start(&self.pki.credentials("blue", "replica/one"), script)
    }

    /// The binary as the operator Ann of the fleet blue.
    pub(crate) fn command(&self, endpoints: &[String], args: &[&str]) -> Command {
        let (certificate, key) = self.pki.issue("blue", "operator/ann");
        let mut command = self.bare(args);
        command.env("WANGLOU_ENDPOINT", endpoints.join(","));
        command.env("WANGLOU_CERTIFICATE", certificate).env("WANGLOU_KEY", key);
        command.env("WANGLOU_AUTHORITIES", self.pki.authorities());
        command
    }

    /// Without any settings.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wanglou"));
        command.env_clear().env("HOME", self.folder.path()).args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, replica: &Replica, args: &[&str]) -> Ran {
        run(&mut self.command(&[replica.endpoint()], args))
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Waits for something that has to come, and not for long.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The binary on a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    reader: Option<std::thread::JoinHandle<()>>,
    shown: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    master: std::fs::File,
}

impl Terminal {
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("UTF-8"))
            .expect("its other end");
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).expect("a size");
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().expect("a descriptor")));
        command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("it runs");
        // Else the terminal has another user when the program ends, and reads never do.
        drop((command, slave));
        let master = std::fs::File::from(master);
        let shown = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut from, to) = (master.try_clone().expect("a descriptor"), shown.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().expect("nobody has panicked").extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, reader: Some(reader), shown, master }
    }

    /// All that was ever written.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody has panicked")).into_owned()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        eventually(text, || self.shown().contains(text));
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("it listens");
    }

    /// Ctrl-C, and what was written until the end.
    pub(crate) fn interrupt(mut self) -> (Option<i32>, String) {
        interrupt(&self.child);
        self.end()
    }

    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it ends");
        }
        (status.code(), self.shown())
    }
}

pub(crate) fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is there");
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
