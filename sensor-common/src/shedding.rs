use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::counters::Stream;

/// What is given up while not all can be told of: streams that are worth less than a level.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Shedding {
    /// The level that userspace asks for: written there.
    pub asked: u32,
    /// The level that the ring's fill asks for: written by the probes.
    pub filled: u32,
}

/// The highest level: nothing but what was run and what has ended is told of.
pub const SHED_MOST: u32 = 3;

impl Stream {
    /// How long it is held on to: what is worth less goes first.
    pub const fn worth(self) -> u32 {
        match self {
            Self::Flow | Self::Listen => 0,
            Self::Attempt | Self::Accept | Self::Disconnect => 1,
            Self::Fork | Self::Credentials => 2,
            Self::Exec | Self::Exit => SHED_MOST,
        }
    }
}
