//! Who this host is.

use std::fs;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Why the host has no name that could be told.
#[derive(Debug, Error)]
#[error("cannot read {path}: {source}: {next}")]
pub struct HostError {
    path: &'static str,
    source: std::io::Error,
    next: &'static str,
}

/// The host, this boot of it and this run of the worker.
#[derive(Clone, Debug)]
pub struct Host {
    /// machine-id(5); where there is none, one that is made of the host's name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The kernel's random number of this boot.
    pub boot_id: String,
    /// Boot-clock time of the worker's start, ns.
    pub run_id: String,
}

impl Host {
    /// Reads who we are; `started` is the boot-clock time of the start, ns.
    pub fn read(started: u64) -> Result<Self, HostError> {
        const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
        let boot_id = fs::read_to_string(BOOT_ID).map_err(|source| HostError {
            path: BOOT_ID,
            source,
            next: "mount /proc",
        })?;
        Ok(Self {
            id: id(),
            name: name(),
            boot_id: boot_id.trim().to_owned(),
            run_id: started.to_string(),
        })
    }
}

/// [`Host::id`].
pub fn id() -> String {
    machine_id().unwrap_or_else(|| made_of(&name()))
}

fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn machine_id() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// Images and initramfs have no machine-id: the same host still has the same id at every start.
fn made_of(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
