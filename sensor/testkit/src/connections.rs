//! Many short connections, as fast as the machine makes them.

use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::{bins, scratch::Scratch};

/// How to make them.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections in all.
    pub total: u64,
    /// Processes that take them from one listening socket.
    pub servers: u64,
    /// Processes that open them.
    pub clients: u64,
    /// Servers do not ask who calls.
    pub null: bool,
    /// Packets are received on another CPU than the one that sends them.
    pub spread: bool,
}

/// What a process said of one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Said {
    /// The process.
    pub pid: u32,
    /// The client's port.
    pub port: u16,
    /// Payload bytes that the process sent.
    pub sent: u64,
    /// Payload bytes that it received.
    pub received: u64,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// What the processes said of their connections, clients and servers alike.
    pub said: Counts,
    /// From the first connection to the last.
    pub wall_ns: u64,
}

/// How often each was said: ports come round again.
pub type Counts = HashMap<Said, u32>;

impl Load {
    /// Makes them and waits for the end.
    pub fn run(self) -> Result<Done> {
        let scratch = Scratch::new("connections")?;
        let path = bins::testkit("connections")?;
        let how = if self.null { "null" } else { "address" };
        let output = Command::new(&path)
            .arg(scratch.path())
            .args([self.total, self.servers, self.clients].map(|number| number.to_string()))
            .arg(how)
            .args(self.spread.then_some("spread"))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        ensure!(output.status.success(), "the connections ended with {}", output.status);
        let wall_ns = String::from_utf8(output.stdout)?.trim().parse()?;
        Ok(Done { said: read(&scratch)?, wall_ns })
    }
}

fn read(scratch: &Scratch) -> Result<Counts> {
    let mut counts = Counts::new();
    for file in fs::read_dir(scratch.path())? {
        let file = file?;
        let pid = file.file_name().to_string_lossy().parse()?;
        for line in fs::read_to_string(file.path())?.lines() {
            let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            let [port, sent, received] = numbers[..] else {
                anyhow::bail!("a line of {} numbers", numbers.len())
            };
            let said = Said { pid, port: port.try_into()?, sent, received };
            *counts.entry(said).or_default() += 1;
        }
    }
    Ok(counts)
}
