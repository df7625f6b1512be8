use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::counters::Stream;

/// What userspace and probes say to each other: what is given up while not all can be told of, which is streams
/// that are worth less than a level, and whether anybody has to be woken.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Shedding {
    /// The level that userspace asks for of each [group](Stream::group): written there.
    pub asked: [u32; GROUPS],
    /// [Parts](RING_PARTS) of the ring that wait to be read: written by the probes.
    pub filled: u32,
    /// 1 while the reader sleeps and wants to be woken by the next record, whatever waits: written by userspace,
    /// taken back by the probe that wakes it.
    pub sleeps: u32,
}

/// Groups of streams: one of processes, one of the network.
pub const GROUPS: usize = 2;
/// Nothing is told of.
pub const SHED_ALL: u32 = SHED_MOST + 1;
/// In how many parts the ring's fill is told.
pub const RING_PARTS: u32 = 16;

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

    /// 0 if processes do it, 1 if it is about the network.
    pub const fn group(self) -> usize {
        match self {
            Self::Fork | Self::Exec | Self::Exit | Self::Credentials => 0,
            Self::Listen | Self::Attempt | Self::Accept | Self::Disconnect | Self::Flow => 1,
        }
    }

    /// It is given up while so many [parts](RING_PARTS) of the ring wait to be read.
    pub const fn given_up_at(self) -> u32 {
        match self.worth() {
            0 => RING_PARTS / 4 * 3,
            1 => RING_PARTS / 8 * 7,
            2 => RING_PARTS - 1,
            _ => u32::MAX,
        }
    }
}
