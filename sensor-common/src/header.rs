use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Raised with every change of a layout in this crate; the worker refuses other versions.
pub const LAYOUT_VERSION: u16 = 4;

/// What every record in the ring begins with.
///
/// ```text
/// 0        2      4      8     12    16     24     32      40       48
/// | version | kind | len | cpu | pid | seq  | time | start | cgroup | body …
/// ```
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// [`LAYOUT_VERSION`].
    pub version: u16,
    /// A [`Kind`].
    pub kind: u16,
    /// Bytes of the whole record, header included.
    pub len: u32,
    /// CPU that the probe ran on.
    pub cpu: u32,
    /// Thread group id of the process that the record is about.
    pub pid: u32,
    /// Dense from 1 for each stream and CPU; a hole is a lost record.
    pub seq: u64,
    /// Boot-clock time, ns.
    pub time: u64,
    /// Boot-clock start time of the process (its group leader), ns.
    pub start: u64,
    /// cgroup id (kernfs node id), 0 where the kernel does not tell.
    pub cgroup: u64,
}

/// What a record's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// [`crate::event::Fork`].
    Fork = 1,
    /// [`crate::event::Exec`].
    Exec = 2,
    /// [`crate::event::Exit`].
    Exit = 3,
    /// [`crate::event::Credentials`].
    Credentials = 4,
    /// [`crate::event::Exec`] of a process that an iterator found, without arguments.
    Existing = 5,
    /// [`crate::event::Connection`]: a socket listens.
    Listen = 6,
    /// [`crate::event::Connection`]: a connection was opened from here, or could not be.
    Attempt = 7,
    /// [`crate::event::Connection`]: a connection was taken.
    Accept = 8,
    /// [`crate::event::Connection`]: a connection is over.
    Disconnect = 9,
    /// [`crate::event::Connection`]: a connection or a listening socket that an iterator found.
    Open = 10,
    /// [`crate::event::Flow`].
    Flow = 11,
    /// A cgroup was made: its path, which ends in a NUL. The header has its id.
    Cgroup = 12,
}

impl TryFrom<u16> for Kind {
    type Error = u16;

    fn try_from(kind: u16) -> Result<Self, u16> {
        Ok(match kind {
            1 => Self::Fork,
            2 => Self::Exec,
            3 => Self::Exit,
            4 => Self::Credentials,
            5 => Self::Existing,
            6 => Self::Listen,
            7 => Self::Attempt,
            8 => Self::Accept,
            9 => Self::Disconnect,
            10 => Self::Open,
            11 => Self::Flow,
            12 => Self::Cgroup,
            unknown => return Err(unknown),
        })
    }
}
