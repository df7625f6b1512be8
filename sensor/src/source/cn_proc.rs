//! Observations of the netlink process connector, and of sockets as the kernel lists them.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use super::Source;
use crate::action::Action;
use crate::clock;
use crate::cn_proc::CnProc;
use crate::kernel::Request;
use crate::ledger::Cause;
use crate::observation::Observation;
use crate::sock_diag::{self, SockDiag};

/// How often sockets are looked at.
const LOOK_NS: u64 = 5_000_000_000;

/// The connector, and the list of sockets if that is wanted.
pub(super) struct Baseline {
    processes: CnProc,
    sockets: Option<SockDiag>,
    next_look: u64,
}

impl Baseline {
    pub(super) fn open(request: &Request) -> Result<Self, String> {
        let sockets = sock_diag::open_or_go_without(request.network.as_ref());
        let processes = CnProc::start().map_err(|error| error.to_string())?;
        Ok(Self { processes, sockets, next_look: 0 })
    }
}

impl Source for Baseline {
    fn drain(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> bool {
        let mut any = false;
        self.processes.drain(&mut |seen| {
            any = true;
            on(seen);
        });
        any
    }

    fn losses(&mut self, lose: &mut dyn FnMut(Cause, Action, u64)) -> bool {
        let lost = self.processes.lost();
        lose(Cause::NetlinkOverrun, Action::Unknown, lost.overrun);
        lose(Cause::DecodeRefused, Action::Unknown, lost.refused);
        let queue = lost.queue_full;
        for (action, events) in [
            (Action::Fork, queue.fork),
            (Action::Exec, queue.exec),
            (Action::End, queue.end),
            (Action::UidChange, queue.user),
            (Action::GidChange, queue.group),
        ] {
            lose(Cause::QueueFull, action, events);
        }
        if let Some(sockets) = &mut self.sockets {
            lose(Cause::Shed, Action::ExistingConnection, sockets.take_beyond());
        }
        true
    }

    fn snapshot(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        self.processes.snapshot(on)
    }

    fn sockets(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        self.next_look = clock::boot_ns() + LOOK_NS;
        sock_diag::look_or_give_up(&mut self.sockets, on);
        Ok(())
    }

    fn overdue(&mut self, last: bool, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        if last || clock::boot_ns() >= self.next_look { self.sockets(on) } else { Ok(()) }
    }

    fn detach(&mut self) {
        self.processes.stop();
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.processes.as_fd()
    }

    fn describe(&self) -> String {
        let sockets = if self.sockets.is_some() { "; sockets as they are every 5 s" } else { "" };
        format!("cn_proc (fork, exec, exit, ids; the rest from /proc{sockets})")
    }
}
