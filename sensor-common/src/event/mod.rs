//! Bodies of records, one file each; the probe, the decoder and the test have the same name.

mod connection;
mod credentials;
mod exec;
mod exit;
mod flow;
mod fork;

pub use connection::{Connection, Tuple, connection_flags};
pub use credentials::Credentials;
pub use exec::{Exec, flags};
pub use exit::Exit;
pub use flow::Flow;
pub use fork::Fork;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The ids of a task, as the initial user namespace knows them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct Ids {
    /// Real user id.
    pub uid: u32,
    /// Effective user id.
    pub euid: u32,
    /// Real group id.
    pub gid: u32,
    /// Effective group id.
    pub egid: u32,
}

/// The kernel's `comm`: NUL-ended, at most 15 bytes.
pub type Comm = [u8; 16];
