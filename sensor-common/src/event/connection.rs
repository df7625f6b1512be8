use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a [`Connection`] says of itself.
pub mod connection_flags {
    /// Opened from here; without it, taken.
    pub const EGRESS: u32 = 1;
    /// The handshake is done.
    pub const ESTABLISHED: u32 = 1 << 1;
    /// Nobody has been seen with it yet.
    pub const UNCLAIMED: u32 = 1 << 2;
    /// It was told of while nobody had been seen with it.
    pub const TOLD: u32 = 1 << 3;
    /// Its owner was learnt when it first did something with it.
    pub const FIRST_TOUCH: u32 = 1 << 4;
    /// Its owner is that of the listening socket: nobody was seen with it.
    pub const LISTENER: u32 = 1 << 5;
    /// This side closed first.
    pub const CLOSED_HERE: u32 = 1 << 6;
    /// The other side closed first.
    pub const CLOSED_THERE: u32 = 1 << 7;
    /// The other side's FIN has arrived.
    pub const FIN_RECEIVED: u32 = 1 << 8;
    /// Its beginning was missed: it was noticed later.
    pub const RECOVERED: u32 = 1 << 9;
    /// It listens.
    pub const LISTENS: u32 = 1 << 10;
    /// A rule drops it: no record says so.
    pub const DROPPED: u32 = 1 << 11;
    /// Its owner begins too many: counted, no record says so.
    pub const THROTTLED: u32 = 1 << 12;
}

/// The two ends of a socket; the zero address and port where there is no other end.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Tuple {
    /// Address here, in network order; of IPv4 the first four bytes.
    pub local: [u32; 4],
    /// Address there, in network order; of IPv4 the first four bytes.
    pub remote: [u32; 4],
    /// Port here.
    pub local_port: u16,
    /// Port there.
    pub remote_port: u16,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Keeps the layout free of holes.
    pub reserved: u16,
    /// Inode number of the network namespace, 0 where unknown.
    pub net_ns: u32,
    /// Keeps the layout free of holes.
    pub reserved_2: u32,
}

/// A socket of TCP at a turn of its life; the header names its owner.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Connection {
    /// Its ends.
    pub tuple: Tuple,
    /// Boot-clock time of connect(2) if this is an attempt, else of the end of the handshake; ns, 0
    /// where unknown.
    pub opened: u64,
    /// Boot-clock time at which one side closed its half, ns, 0 if none did.
    pub half_closed: u64,
    /// Payload bytes sent, each counted once.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Segments sent again.
    pub retransmits: u32,
    /// `sk_err`: why it failed, as an errno.
    pub error: u32,
    /// See [`connection_flags`].
    pub flags: u32,
    /// The state before this turn (include/net/tcp_states.h).
    pub old_state: u32,
}
