//! A network of two: this one, and one of its own behind a cable that can be pulled. All of it is gone with the process
//! that holds the other end, and that ends with us.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::port::Port;
use crate::process::Process;

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Of the end that is far away.
const FAR: &str = "far";

/// The cable; it is cut for good when this is dropped.
#[derive(Debug)]
pub struct Cable {
    /// Keeps the other network.
    holder: Process,
    here: Ipv4Addr,
    /// Of whoever listens at this end.
    port: Port,
}

impl Cable {
    /// Lays one, with its log in a folder.
    ///
    /// # Errors
    ///
    /// If we may not: it needs root.
    pub fn new(folder: &Path) -> Result<Self> {
        static LAID: AtomicU8 = AtomicU8::new(0);
        let n = LAID.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).stdout(Stdio::null());
        let holder = Process::start(command, &folder.join(format!("cable-{n}.log")))?;
        // Of 198.18.0.0/15, which is for tests of networks (RFC 2544): four addresses for each cable.
        let [third, _] = u16::try_from(process::id() % 0xffff)?.to_le_bytes();
        let address = |last| Ipv4Addr::new(198, 18, third, n % 64 * 4 + last);
        let cable = Self { holder, here: address(1), port: Port::free()? };
        let ours = fs::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", cable.holder.id());
        let started = Instant::now();
        while fs::read_link(&theirs).is_ok_and(|it| it == ours) {
            ensure!(started.elapsed() < PATIENCE, "there is no other network");
            sleep(POLL);
        }
        let (near, holder) = (format!("wl{}-{n}", process::id()), cable.holder.id().to_string());
        ip(&["link", "add", &near, "type", "veth", "peer", "name", FAR, "netns", &holder])?;
        ip(&["address", "add", &format!("{}/30", address(1)), "dev", &near])?;
        ip(&["link", "set", &near, "up"])?;
        cable.there(&["address", "add", &format!("{}/30", address(2)), "dev", FAR])?;
        cable.there(&["link", "set", "lo", "up"])?;
        cable.plug()?;
        Ok(cable)
    }

    /// Where somebody at this end listens, so that those at the other reach it.
    pub fn address(&self) -> SocketAddr {
        (self.here, self.port.number()).into()
    }

    /// Has a program run at the other end; nothing else about it is another.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").arg(program);
        command
    }

    /// Pulls it: nobody is told.
    ///
    /// # Errors
    ///
    /// If the other end is gone.
    pub fn pull(&self) -> Result<()> {
        self.there(&["link", "set", FAR, "down"])
    }

    /// Plugs it in again.
    ///
    /// # Errors
    ///
    /// If the other end is gone.
    pub fn plug(&self) -> Result<()> {
        self.there(&["link", "set", FAR, "up"])
    }

    fn there(&self, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(Path::new("ip"));
        command.args(arguments);
        done(command)
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    done(command)
}

fn done(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", told.trim());
    Ok(())
}
