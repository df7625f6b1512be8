use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Ids};

/// What an [`Exec`] says of itself.
pub mod flags {
    /// The executable has no name any more.
    pub const DELETED: u32 = 1;
    /// The executable hangs in no tree: memfd_create(2) and its like.
    pub const DETACHED: u32 = 1 << 1;
    /// The path of the executable is deeper than the walk goes: its top is missing.
    pub const EXE_CUT: u32 = 1 << 2;
    /// The working directory is deeper than the walk goes: its top is missing.
    pub const CWD_CUT: u32 = 1 << 3;
    /// There is a controlling terminal.
    pub const TTY: u32 = 1 << 4;
    /// A thread of the kernel's own.
    pub const KTHREAD: u32 = 1 << 5;
    /// The script's name is longer than what was kept.
    pub const SCRIPT_CUT: u32 = 1 << 6;
    /// All its threads have ended: a zombie.
    pub const DEAD: u32 = 1 << 7;
}

/// What a process runs; the variable parts follow in the order of their lengths.
///
/// Paths are name by name from the leaf up, each ended by a NUL: userspace turns them round.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Exec {
    /// True length of the arguments in bytes, each with its NUL.
    pub args_bytes: u64,
    /// Number of arguments (`bprm->argc`).
    pub argc: u32,
    /// See [`flags`].
    pub flags: u32,
    /// Thread group id of `real_parent`.
    pub real_parent: u32,
    /// Id in the process's own PID namespace.
    pub vpid: u32,
    /// Process id of the session leader, 0 where unknown.
    pub session: u32,
    /// Major number of the controlling terminal.
    pub tty_major: u32,
    /// Minor number of the controlling terminal.
    pub tty_minor: u32,
    /// Inode number of the PID namespace, 0 where unknown.
    pub pid_ns: u32,
    /// Inode number of the mount namespace, 0 where unknown.
    pub mnt_ns: u32,
    /// Inode number of the network namespace, 0 where unknown.
    pub net_ns: u32,
    /// The ids after the exec.
    pub ids: Ids,
    /// The new `comm`.
    pub comm: Comm,
    /// Bytes of the executable's path.
    pub exe_len: u32,
    /// Bytes of the working directory's path.
    pub cwd_len: u32,
    /// Bytes of the `#!` script's path as given, 0 where it was no script.
    pub script_len: u32,
    /// Bytes of the first arguments.
    pub head_len: u32,
    /// Bytes of the last arguments, where something between was left out.
    pub tail_len: u32,
    /// Keeps the layout free of holes.
    pub reserved: u32,
}
