//! When a process with several threads has ended.
//!
//! The kernel sends an exit for each thread, and the leader's may be the first: `exit_group` ends
//! them in any order, `pthread_exit` in `main` long before the others. A leader also "exits" when
//! another thread executes a file and takes its place. So the exit of a leader that had other
//! threads is believed only once /proc agrees; that of a single thread, which is the rule, at once.

use std::collections::{HashMap, HashSet};

/// An exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Boot-clock time, ns.
    pub(super) time: u64,
    /// As `wait(2)` tells it.
    pub(super) status: u32,
}

/// What is known of threads; processes are thread group ids.
#[derive(Default)]
pub(super) struct Threads {
    /// They have, or had, more than one.
    several: HashSet<u32>,
    /// Their leader has exited, and nothing says yet that the others have.
    leaderless: HashMap<u32, Exit>,
}

impl Threads {
    pub(super) fn has_several(&mut self, tgid: u32) {
        self.several.insert(tgid);
    }

    /// The process is another one from now on. Returns the end that was waited for.
    pub(super) fn forget(&mut self, tgid: u32) -> Option<Exit> {
        self.several.remove(&tgid);
        self.leaderless.remove(&tgid)
    }

    /// A thread has exited; returns the end of its process if it was the last.
    ///
    /// If the group was ended as a whole, all that still lived bear its status; a leader or another
    /// thread that had left before bears its own, usually 0. So the latest that isn't 0 counts.
    /// Before 5.17, `wait` told the leader's where no one ended the group: a last thread that calls
    /// the bare system call `exit` with another value is told wrongly here.
    pub(super) fn exited(
        &mut self,
        pid: u32,
        tgid: u32,
        exit: Exit,
        has_ended: impl FnOnce(u64) -> bool,
    ) -> Option<Exit> {
        if pid == tgid {
            if !self.several.contains(&tgid) {
                return Some(exit);
            }
            self.leaderless.insert(tgid, exit);
        }
        let end = self.leaderless.get_mut(&tgid)?;
        end.time = exit.time;
        if exit.status != 0 {
            end.status = exit.status;
        }
        has_ended(end.time).then(|| self.forget(tgid)).flatten()
    }

    /// Finds processes whose last exit was lost.
    pub(super) fn ended_unseen(
        &mut self,
        mut has_ended: impl FnMut(u32, u64) -> bool,
    ) -> Vec<(u32, Exit)> {
        let mut ended = Vec::new();
        self.leaderless.retain(|&tgid, exit| {
            let has_ended = has_ended(tgid, exit.time);
            if has_ended {
                self.several.remove(&tgid);
                ended.push((tgid, *exit));
            }
            !has_ended
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: fn(u64) -> bool = |_| true;
    const LIVES: fn(u64) -> bool = |_| false;

    fn exit(time: u64, status: u32) -> Exit {
        Exit { time, status }
    }

    #[test]
    fn a_single_thread_needs_no_second_look() {
        let mut threads = Threads::default();
        assert_eq!(threads.exited(5, 5, exit(1, 9), LIVES), Some(exit(1, 9)));
    }

    #[test]
    fn a_thread_is_no_process() {
        let mut threads = Threads::default();
        threads.has_several(5);
        assert_eq!(threads.exited(6, 5, exit(1, 0), ENDED), None);
    }

    #[test]
    fn a_leader_that_left_early_waits_for_the_last() {
        let mut threads = Threads::default();
        threads.has_several(5);
        assert_eq!(threads.exited(5, 5, exit(1, 0), LIVES), None);
        assert_eq!(threads.exited(6, 5, exit(2, 3 << 8), LIVES), None);
        assert_eq!(threads.exited(7, 5, exit(3, 0), ENDED), Some(exit(3, 3 << 8)));
        assert_eq!(threads.exited(8, 5, exit(4, 0), ENDED), None);
    }

    #[test]
    fn a_leader_that_was_replaced_has_not_ended() {
        let mut threads = Threads::default();
        threads.has_several(5);
        assert_eq!(threads.exited(5, 5, exit(1, 9), LIVES), None);
        assert_eq!(threads.forget(5), Some(exit(1, 9)));
        assert_eq!(threads.exited(5, 5, exit(2, 0), LIVES), Some(exit(2, 0)));
    }

    #[test]
    fn an_end_whose_last_exit_was_lost_is_found() {
        let mut threads = Threads::default();
        threads.has_several(5);
        threads.exited(5, 5, exit(1, 0), LIVES);
        assert_eq!(threads.ended_unseen(|_, _| false), []);
        assert_eq!(threads.ended_unseen(|_, _| true), [(5, exit(1, 0))]);
        assert_eq!(threads.ended_unseen(|_, _| true), []);
    }
}
