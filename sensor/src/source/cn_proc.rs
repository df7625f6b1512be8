//! Observations of the netlink process connector.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use super::Source;
use crate::action::Action;
use crate::cn_proc::CnProc;
use crate::ledger::Cause;
use crate::observation::Observation;

pub(super) fn open() -> Result<CnProc, String> {
    CnProc::start().map_err(|error| error.to_string())
}

impl Source for CnProc {
    fn drain(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> bool {
        let mut any = false;
        Self::drain(self, &mut |seen| {
            any = true;
            on(seen);
        });
        any
    }

    fn losses(&mut self, lose: &mut dyn FnMut(Cause, Action, u64)) {
        let lost = self.lost();
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
    }

    fn snapshot(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        Self::snapshot(self, on)
    }

    fn detach(&mut self) {
        self.stop();
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn describe(&self) -> String {
        "cn_proc (fork, exec, exit, ids; the rest from /proc)".to_owned()
    }
}
