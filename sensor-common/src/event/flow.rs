use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Tuple;

/// What a UDP socket and one other end said to each other since this was last told; the header names
/// who does it here. Addresses of IPv4 are mapped into IPv6.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Flow {
    /// Its ends; zeros where the socket has no address of its own, or the other end was not asked
    /// for.
    pub tuple: Tuple,
    /// Boot-clock time of the first datagram of all, ns.
    pub first: u64,
    /// Boot-clock time of the last one, ns.
    pub last: u64,
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// Calls that sent them: a datagram each, or a batch that the kernel cuts (`UDP_SEGMENT`).
    pub sent_packets: u64,
    /// Payload bytes received, as far as they were read.
    pub received_bytes: u64,
    /// Calls that received them.
    pub received_packets: u64,
    /// 1 if the first datagram was sent, 0 if it was received.
    pub egress: u64,
}
