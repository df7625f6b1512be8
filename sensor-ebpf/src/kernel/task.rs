//! Tasks and what hangs on them.

use wanglou_sensor_common::ABSENT;
use wanglou_sensor_common::event::{Comm, Ids};

use super::path::Location;
use super::{Cgroup, Pointer, probe, probe_member};
use crate::maps::setting;

/// Inode number of the initial PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const INIT_PID_NS: u32 = 0xEFFF_FFFC;
/// `PF_KTHREAD`, include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;
/// `SIGNAL_GROUP_EXIT`, include/linux/sched/signal.h.
const SIGNAL_GROUP_EXIT: u32 = 4;
/// Index of the session leader in `signal_struct.pids` (`PIDTYPE_SID`, include/linux/pid_types.h).
const PIDTYPE_SID: u32 = 3;

/// `struct task_struct`.
#[derive(Clone, Copy)]
pub struct Task(pub Pointer);

impl Task {
    #[inline(always)]
    pub fn pid(self) -> u32 {
        load!(self.0, task_pid as u32).unwrap_or(0)
    }

    #[inline(always)]
    pub fn tgid(self) -> u32 {
        load!(self.0, task_tgid as u32).unwrap_or(0)
    }

    #[inline(always)]
    pub fn group_leader(self) -> Task {
        Task(follow!(self.0, task_group_leader).unwrap_or(self.0))
    }

    /// Thread group id of the task whose child it is now.
    #[inline(always)]
    pub fn real_parent(self) -> u32 {
        follow!(self.0, task_real_parent).map_or(0, |parent| Task(parent).tgid())
    }

    #[inline(always)]
    pub fn start_boottime(self) -> u64 {
        load!(self.0, task_start_boottime as u64).unwrap_or(0)
    }

    #[inline(always)]
    pub fn comm(self) -> Comm {
        let words = load!(self.0, task_comm as [u64; 2]).unwrap_or([0; 2]);
        // SAFETY: both are sixteen plain bytes.
        unsafe { core::mem::transmute::<[u64; 2], Comm>(words) }
    }

    #[inline(always)]
    pub fn is_kthread(self) -> bool {
        load!(self.0, task_flags as u32).is_some_and(|flags| flags & PF_KTHREAD != 0)
    }

    #[inline(always)]
    pub fn ids(self) -> Ids {
        follow!(self.0, task_cred).map_or(Ids::default(), |cred| Ids {
            uid: load!(cred, cred_uid as u32).unwrap_or(0),
            euid: load!(cred, cred_euid as u32).unwrap_or(0),
            gid: load!(cred, cred_gid as u32).unwrap_or(0),
            egid: load!(cred, cred_egid as u32).unwrap_or(0),
        })
    }

    /// cgroup id: of cgroup2, or of the v1 hierarchy that names containers.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        let Some(css_set) = follow!(self.0, task_cgroups) else { return 0 };
        let subsys = setting!(cgroup_subsys);
        let cgroup = if subsys == ABSENT {
            follow!(css_set, css_set_dfl_cgrp)
        } else {
            let first = offset!(css_set_subsys);
            if first == ABSENT {
                return 0;
            }
            let place = first as usize + subsys as usize * size_of::<Pointer>();
            // SAFETY: as in `load!`.
            let css = unsafe { css_set.byte_add(place).cast::<Pointer>().read_volatile() };
            if css.is_null() {
                return 0;
            }
            follow!(css, css_cgroup)
        };
        cgroup.map_or(0, |cgroup| Cgroup(cgroup).id())
    }

    /// Id in the task's own PID namespace, and that namespace's inode number.
    #[inline(always)]
    pub fn own_pid(self) -> (u32, u32) {
        let initial = (self.tgid(), INIT_PID_NS);
        let Some(pid) = follow!(self.0, task_thread_pid) else { return initial };
        let level = load!(pid, pid_level as u32).unwrap_or(0);
        let numbers = offset!(pid_numbers);
        if level == 0 || numbers == ABSENT {
            return initial;
        }
        // `struct upid { int nr; struct pid_namespace *ns; }`: 16 bytes on every 64-bit kernel.
        let upid = pid as u64 + u64::from(numbers) + u64::from(level) * 16;
        let ns: u64 = probe(upid + 8);
        (probe(upid), probe_member(ns, offset!(pid_namespace_inum)))
    }

    /// Inode numbers of the mount and the network namespace.
    #[inline(always)]
    pub fn namespaces(self) -> (u32, u32) {
        let Some(proxy) = follow!(self.0, task_nsproxy) else { return (0, 0) };
        let mnt = follow!(proxy, nsproxy_mnt_ns)
            .and_then(|ns| load!(ns, mnt_namespace_inum as u32))
            .unwrap_or(0);
        let net =
            follow!(proxy, nsproxy_net_ns).and_then(|ns| load!(ns, net_inum as u32)).unwrap_or(0);
        (mnt, net)
    }

    #[inline(always)]
    pub fn mm(self) -> Option<Mm> {
        follow!(self.0, task_mm).map(Mm)
    }

    /// Root and working directory.
    #[inline(always)]
    pub fn root_and_pwd(self) -> Option<(Location, Location)> {
        let fs = follow!(self.0, task_fs)?;
        let root = Location {
            dentry: load!(fs, fs_root_dentry as u64)?,
            mnt: load!(fs, fs_root_mnt as u64)?,
        };
        let pwd = Location {
            dentry: load!(fs, fs_pwd_dentry as u64)?,
            mnt: load!(fs, fs_pwd_mnt as u64)?,
        };
        Some((root, pwd))
    }

    #[inline(always)]
    pub fn signal(self) -> Option<Signal> {
        follow!(self.0, task_signal).map(Signal)
    }

    #[inline(always)]
    fn exit_code(self) -> u32 {
        load!(self.0, task_exit_code as u32).unwrap_or(0)
    }

    #[inline(always)]
    fn sum_exec_runtime(self) -> u64 {
        load!(self.0, task_sum_exec_runtime as u64).unwrap_or(0)
    }
}

/// `struct mm_struct`.
#[derive(Clone, Copy)]
pub struct Mm(Pointer);

impl Mm {
    /// First address of the arguments, and their length.
    #[inline(always)]
    pub fn args(self) -> (u64, u64) {
        let start = load!(self.0, mm_arg_start as u64).unwrap_or(0);
        let end = load!(self.0, mm_arg_end as u64).unwrap_or(0);
        (start, end.saturating_sub(start))
    }

    #[inline(always)]
    pub fn exe(self) -> Option<Location> {
        let file = follow!(self.0, mm_exe_file)?;
        Some(Location {
            dentry: load!(file, file_dentry as u64)?,
            mnt: load!(file, file_mnt as u64)?,
        })
    }
}

/// `struct signal_struct`: what the threads of a process share.
#[derive(Clone, Copy)]
pub struct Signal(Pointer);

impl Signal {
    /// No thread is left that has not begun to exit.
    #[inline(always)]
    pub fn is_dead(self) -> bool {
        load!(self.0, signal_live as u32).unwrap_or(0) == 0
    }

    /// What wait(2) will say of the process that `task` is the last thread of.
    #[inline(always)]
    pub fn status(self, task: Task) -> u32 {
        let flags = load!(self.0, signal_flags as u32).unwrap_or(0);
        if flags & SIGNAL_GROUP_EXIT != 0 {
            load!(self.0, signal_group_exit_code as u32).unwrap_or(0)
        } else {
            task.group_leader().exit_code()
        }
    }

    /// CPU time, ns: `sum_sched_runtime` lacks the last thread, and a leader that ended earlier.
    #[inline(always)]
    pub fn cpu_ns(self, task: Task) -> u64 {
        let ended = load!(self.0, signal_sum_sched_runtime as u64).unwrap_or(0);
        let leader = task.group_leader();
        let leader = if leader.pid() == task.pid() { 0 } else { leader.sum_exec_runtime() };
        ended + task.sum_exec_runtime() + leader
    }

    #[inline(always)]
    pub fn max_rss_pages(self) -> u64 {
        load!(self.0, signal_maxrss as u64).unwrap_or(0)
    }

    /// Process id of the session leader in the initial namespace.
    #[inline(always)]
    pub fn session(self) -> u32 {
        let pids = offset!(signal_pids);
        let numbers = offset!(pid_numbers);
        if pids == ABSENT || numbers == ABSENT {
            return 0;
        }
        let place = pids as usize + PIDTYPE_SID as usize * size_of::<Pointer>();
        // SAFETY: as in `load!`.
        let pid = unsafe { self.0.byte_add(place).cast::<Pointer>().read_volatile() };
        if pid.is_null() {
            return 0;
        }
        // SAFETY: as in `load!`.
        unsafe { pid.byte_add(numbers as usize).cast::<u32>().read_volatile() }
    }

    /// Major and minor number of the controlling terminal.
    #[inline(always)]
    pub fn tty(self) -> Option<(u32, u32)> {
        let tty = follow!(self.0, signal_tty)?;
        let driver = follow!(tty, tty_driver)?;
        let first = load!(driver, tty_driver_minor_start as u32)?;
        Some((load!(driver, tty_driver_major as u32)?, first + load!(tty, tty_index as u32)?))
    }
}

/// `struct linux_binprm`: what an exec works with.
#[derive(Clone, Copy)]
pub struct Binprm(pub Pointer);

impl Binprm {
    #[inline(always)]
    pub fn argc(self) -> u32 {
        load!(self.0, bprm_argc as u32).unwrap_or(0)
    }

    /// Address of the script's path as it was given, 0 if the file was none.
    #[inline(always)]
    pub fn script(self) -> u64 {
        let filename = load!(self.0, bprm_filename as u64).unwrap_or(0);
        let interp = load!(self.0, bprm_interp as u64).unwrap_or(0);
        if filename == interp { 0 } else { filename }
    }
}

/// The ids in the `struct cred` at an address.
#[inline(always)]
pub fn ids_at(cred: u64) -> Ids {
    Ids {
        uid: probe_member(cred, offset!(cred_uid)),
        euid: probe_member(cred, offset!(cred_euid)),
        gid: probe_member(cred, offset!(cred_gid)),
        egid: probe_member(cred, offset!(cred_egid)),
    }
}
