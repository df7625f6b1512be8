//! What a source saw, before it is given an identity: the one shape in which the probes, the
//! netlink connector and /proc all report, so that everything after them is written once.
//!
//! An `Option` that is `None` says "this path cannot know", never "zero".

use std::net::SocketAddr;

/// The kernel hands start times to userspace in ticks of `USER_HZ`, 10 ms on every architecture
/// that we build for (`nsec_to_clock_t`, kernel/time/time.c).
pub const NS_PER_TICK: u64 = 10_000_000;

/// Who knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A probe in the kernel.
    Ebpf,
    /// The netlink process connector.
    CnProc,
    /// A read of /proc.
    Procfs,
    /// The kernel's list of sockets.
    SockDiag,
}

/// A process: its thread group id and when it started, which together survive PID reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Thread group id in the initial PID namespace.
    pub pid: u32,
    /// Start time since boot, in ticks of `USER_HZ`.
    pub start_ticks: u64,
}

/// One thing seen.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Boot-clock time, ns.
    pub time: u64,
    /// Who knew.
    pub provider: Provider,
    /// Thread group id in the initial PID namespace.
    pub pid: u32,
    /// Boot-clock start time of the process, ns; /proc knows it to a tick.
    pub start: Option<u64>,
    /// Its state as seen at that moment.
    pub state: State<'a>,
    /// What happened.
    pub action: Action<'a>,
    /// It was gone before everything that this path can read was read.
    pub incomplete: bool,
}

impl Observation<'_> {
    /// The end of a process of which nothing is known but that it is over by now.
    pub fn lost_end(pid: u32, start: Option<u64>, now: u64) -> Self {
        Self {
            time: now,
            provider: Provider::Procfs,
            pid,
            start,
            state: State::default(),
            action: Action::End(End::default()),
            incomplete: false,
        }
    }
}

/// What is known of a process whatever happened to it.
#[derive(Clone, Debug, Default)]
pub struct State<'a> {
    /// The kernel's `comm`, without its NUL.
    pub name: Option<&'a [u8]>,
    /// Real and effective user id.
    pub user: Option<Ids>,
    /// Real and effective group id.
    pub group: Option<Ids>,
    /// cgroup id (kernfs inode number).
    pub cgroup: Option<u64>,
    /// The path of that cgroup in its hierarchy, where it was read on the way.
    pub cgroup_path: Option<&'a [u8]>,
    /// Process id in its own PID namespace.
    pub vpid: Option<u32>,
    /// Thread group id of `real_parent`: whose child it is now.
    pub real_parent: Option<u32>,
}

/// A real and an effective id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Real id.
    pub real: u32,
    /// Effective id.
    pub effective: u32,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Action<'a> {
    /// It was created; `creator` is the process that called fork.
    Fork {
        /// Thread group id and boot-clock start time (ns) of the creator.
        creator: Option<(u32, Option<u64>)>,
    },
    /// It executed a file.
    Exec(Image<'a>),
    /// It was there already.
    Existing(Image<'a>),
    /// Its last thread ended.
    End(End),
    /// Its ids changed to those in `State`; `old` where the path knows what they were.
    Credentials {
        /// User and group ids before.
        old: Option<(Ids, Ids)>,
    },
    /// A socket of its came to a turn of its life.
    Connection(Connection),
    /// It made the cgroup that `State` has: nothing that is told of by itself.
    Cgroup,
}

/// What a process is running.
#[derive(Clone, Debug, Default)]
pub struct Image<'a> {
    /// Path of the executable in the process's own root.
    pub executable: Option<&'a [u8]>,
    /// The executable was unlinked.
    pub deleted: bool,
    /// The executable is an anonymous file of `memfd_create(2)`.
    pub memfd: bool,
    /// The path of the `#!` script as it was given.
    pub script: Option<&'a [u8]>,
    /// Arguments.
    pub args: Option<Args<'a>>,
    /// Working directory in the process's own root.
    pub working_directory: Option<&'a [u8]>,
    /// Controlling terminal, major and minor; `Some(None)`: it has none.
    pub tty: Option<Option<(u32, u32)>>,
    /// Process id of the session leader.
    pub session: Option<u32>,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Which paths are not whole.
    pub cut: Cut,
    /// A thread of the kernel's own.
    pub kernel_thread: bool,
    /// Found when it had ended already: a zombie.
    pub ended: bool,
}

/// Which paths are not whole, as they are deeper or longer than the probe goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// `executable` lacks its top.
    pub executable: bool,
    /// `working_directory` lacks its top.
    pub working_directory: bool,
    /// `script` lacks its end.
    pub script: bool,
}

/// Arguments as they lie in memory: each ended by a NUL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Args<'a> {
    /// The first bytes, or all.
    pub head: &'a [u8],
    /// The last bytes, where something between was left out.
    pub tail: &'a [u8],
    /// True length in bytes.
    pub bytes: u64,
    /// True number of arguments, where the path knows it.
    pub count: Option<u64>,
}

/// Inode numbers of namespaces, as in /proc/PID/ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// PID namespace.
    pub pid: Option<u32>,
    /// Mount namespace.
    pub mnt: Option<u32>,
    /// Network namespace.
    pub net: Option<u32>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// wait(2) status: exit code in bits 8-15, signal in bits 0-6.
    pub status: Option<u32>,
    /// CPU time of all its threads, ns.
    pub cpu_ns: Option<u64>,
    /// Peak resident set, bytes.
    pub max_rss_bytes: Option<u64>,
}

/// A TCP socket at a turn of its life.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Which turn.
    pub turn: Turn,
    /// Opened from here; otherwise taken.
    pub egress: bool,
    /// Address and port here.
    pub local: SocketAddr,
    /// Address and port there; of a listening socket, zeros.
    pub remote: SocketAddr,
    /// Inode number of the network namespace that the addresses belong to.
    pub net_ns: Option<u32>,
    /// Boot-clock time of connect(2) if this is an attempt, else of the end of the handshake, ns.
    pub opened: Option<u64>,
    /// How the process that owns it is known to.
    pub owner: Owner,
    /// The errno that it failed with.
    pub error: Option<u32>,
    /// Its beginning was missed, and noticed later.
    pub recovered: bool,
}

/// A turn in the life of a socket.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// It was there before us.
    Existing,
    /// It listens.
    Listen,
    /// It was opened from here, or could not be.
    Attempt {
        /// The handshake is done.
        established: bool,
    },
    /// It was taken.
    Accept,
    /// It is over.
    Disconnect(Disconnect),
    /// Not a connection: what was said over UDP.
    Flow(Flow),
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disconnect {
    /// Payload bytes sent, each counted once.
    pub sent: Option<u64>,
    /// Payload bytes received.
    pub received: Option<u64>,
    /// Segments sent again.
    pub retransmits: Option<u32>,
    /// Neither side was rude, as far as it could be seen.
    pub orderly: Option<bool>,
    /// Which side closed its half first, and when: boot-clock ns.
    pub half_closed: Option<(Side, u64)>,
}

/// What was said over UDP since this was last told.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Boot-clock time of the last datagram, ns.
    pub last: u64,
    /// Payload bytes and datagrams sent.
    pub sent: (u64, u64),
    /// Payload bytes and datagrams received.
    pub received: (u64, u64),
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This host.
    Here,
    /// The other end.
    There,
}

/// How the owner of a socket is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It was seen to open or to take it.
    Seen,
    /// It was the first that was seen to use it.
    FirstTouch,
    /// It listens where the connection came in.
    Listener,
}
