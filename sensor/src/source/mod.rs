//! Where observations come from: one contract, one file for each way.

mod cn_proc;
mod ebpf;
mod sweep;

pub use ebpf::action;

use std::io;
use std::os::fd::BorrowedFd;

use thiserror::Error;

use wanglou_sensor_common::GROUPS;

use crate::action::{Action, Category};
use crate::books::Books;
use crate::kernel::Request;
use crate::ledger::Cause;
use crate::log::ids;
use crate::observation::Observation;

/// A way to see what processes do.
pub trait Source {
    /// Hands the next waiting observations to `on`, a small batch of them; `false` if there were
    /// none.
    fn drain(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> bool;

    /// Tells of the events lost since this was last asked; `false` if some are looked for another time.
    fn losses(&mut self, lose: &mut dyn FnMut(Cause, Action, u64)) -> bool;

    /// Shows every process as it is now.
    fn snapshot(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()>;

    /// Shows the sockets that were there before the observing began.
    fn sockets(&mut self, _on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        Ok(())
    }

    /// Shows what has been waiting for long for something to be known of it; at the end, and only
    /// then, whatever there is to be found.
    fn overdue(&mut self, _last: bool, _on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        Ok(())
    }

    /// Asks for less, so that it costs less: what is worth less than the level of its group (`Stream::worth`) is
    /// counted and not told of.
    fn shed(&mut self, _levels: [u32; GROUPS]) {}

    /// Asks for [`wake`](Self::wake) to be readable as soon as anything is seen; `false` where that cannot be.
    fn wake_at_once(&mut self) -> bool {
        false
    }

    /// Ends the observing; what waits is still to be drained.
    fn detach(&mut self);

    /// Readable when something waits that should not wait for the next round.
    fn wake(&self) -> BorrowedFd<'_>;

    /// What a supervisor needs of the probes.
    fn handles(&self) -> Option<Handles<'_>> {
        None
    }

    /// Whether it reads in /proc what only the owner of a process may.
    fn reads_others(&self) -> bool {
        true
    }

    /// Its probes by name, if it has any, and what serves instead of those that are not attached.
    fn probes(&self) -> Vec<(&'static str, Option<&'static str>)> {
        Vec::new()
    }

    /// Passes the source's own diagnostics on.
    fn flush_log(&mut self) {}

    /// For the line that says that we are ready.
    fn describe(&self) -> String;
}

/// What probes count and cost can be read by whoever has these, and outlives us.
#[derive(Debug)]
pub struct Handles<'a> {
    /// The map of counters.
    pub counters: BorrowedFd<'a>,
    /// CPUs that it has rows for.
    pub cpus: u32,
    /// The programs, and what they are about.
    pub programs: Vec<(Category, BorrowedFd<'a>)>,
}

/// Which way to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Backend {
    /// Probes where the kernel allows them, else the process connector.
    Auto,
    /// Probes in the kernel.
    Ebpf,
    /// The netlink process connector.
    CnProc,
}

/// Why there is no source.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The probes, and they were asked for.
    #[error("cannot watch by eBPF: {0} (`wanglou-sensor doctor` tells more)")]
    Ebpf(String),
    /// The process connector, and it was asked for.
    #[error("cannot watch by cn_proc: {0} (`wanglou-sensor doctor` tells more)")]
    CnProc(String),
    /// Neither.
    #[error("cannot watch: eBPF: {ebpf}; cn_proc: {cn_proc} (`wanglou-sensor doctor` tells more)")]
    Neither {
        /// Why not by probes.
        ebpf: String,
        /// Why not by the connector.
        cn_proc: String,
    },
}

/// Begins to observe; says in a line why the second choice was taken.
pub fn open(
    backend: Backend,
    request: &Request,
    books: &Books,
) -> Result<Box<dyn Source>, SourceError> {
    let by_ebpf = || {
        ebpf::Ebpf::open(request, books.clone()).map(|source| Box::new(source) as Box<dyn Source>)
    };
    let by_cn_proc =
        || cn_proc::Baseline::open(request).map(|source| Box::new(source) as Box<dyn Source>);
    match backend {
        Backend::Ebpf => by_ebpf().map_err(SourceError::Ebpf),
        Backend::CnProc => by_cn_proc().map_err(SourceError::CnProc),
        Backend::Auto => by_ebpf().or_else(|ebpf| {
            let source = by_cn_proc()
                .map_err(|cn_proc| SourceError::Neither { ebpf: ebpf.clone(), cn_proc })?;
            tracing::warn!(
                id = ids::SECOND_CHOICE.code,
                "watching by cn_proc, as eBPF cannot serve: {ebpf}"
            );
            Ok(source)
        }),
    }
}
