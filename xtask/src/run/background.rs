//! Programs that run beside the one that this process becomes, and end with it.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};

const POLL: Duration = Duration::from_millis(50);

/// A program whose output is in a file. Nobody waits for it: it is told to end when this process has ended, whatever
/// that has become.
pub(super) struct Background {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts it, with `<name>.log` in the folder. It has a process group of its own, so that Ctrl-C ends the one in
    /// the foreground first.
    pub(super) fn start(name: &'static str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).process_group(0);
        let follow = || Ok(set_parent_process_death_signal(Some(Signal::TERM))?);
        // SAFETY: between fork and exec, it makes one system call, and allocates nothing.
        unsafe { command.pre_exec(follow) };
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until it listens.
    pub(super) fn until_it_listens(&mut self, at: SocketAddr, patience: Duration) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect_timeout(&at, POLL).is_err() {
            self.still_there()?;
            if started.elapsed() > patience {
                bail!("{} does not listen at {at}: see {}", self.name, self.log.display());
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Fails if it has ended.
    pub(super) fn still_there(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended ({status}): see {}", self.name, self.log.display()),
        }
    }

    /// Ends it now.
    pub(super) fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
