use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Ids};

/// The ids of a task changed.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Credentials {
    /// Before.
    pub old: Ids,
    /// After.
    pub new: Ids,
    /// The `comm` of the task that did it.
    pub comm: Comm,
}
