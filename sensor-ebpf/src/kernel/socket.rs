//! Sockets.

use aya_ebpf::helpers::generated::bpf_skc_to_tcp_sock;
use wanglou_sensor_common::ABSENT;
use wanglou_sensor_common::event::Tuple;

use super::{Pointer, probe_member};

/// The third word of an IPv4 address that is mapped into IPv6.
const MAPPED: u32 = 0xffff_u32.to_be();
/// `AF_INET`, include/linux/socket.h.
const AF_INET: u16 = 2;
// include/net/tcp_states.h
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;
/// Bit `SOCK_DONE` of `sk_flags` (include/net/sock.h): the other side's FIN has been taken in.
const SOCK_DONE: u64 = 1 << 1;

/// `struct sock`.
#[derive(Clone, Copy)]
pub struct Socket(pub Pointer);

impl Socket {
    /// Of the `struct socket` that a file stands for.
    #[inline(always)]
    pub fn of(socket: Pointer) -> Option<Self> {
        follow!(socket, socket_sk).map(Self)
    }

    /// It waits for connections.
    #[inline(always)]
    pub fn is_listening(self) -> bool {
        self.state() == LISTEN
    }

    /// It has another end.
    #[inline(always)]
    pub fn is_connected(self) -> bool {
        let state = self.state();
        state == ESTABLISHED || state == CLOSE_WAIT || state >= FIN_WAIT1 && state < TIME_WAIT
    }

    #[inline(always)]
    fn state(self) -> u8 {
        load!(self.0, sock_state as u8).unwrap_or(0)
    }

    /// What it is known by.
    #[inline(always)]
    pub fn key(self) -> u64 {
        self.0 as u64
    }

    /// Its protocol, as in the IP header.
    #[inline(always)]
    pub fn protocol(self) -> u16 {
        load!(self.0, sock_protocol as u16).unwrap_or(0)
    }

    /// `sk_err`: why it failed, an errno.
    #[inline(always)]
    pub fn error(self) -> u32 {
        load!(self.0, sock_err as u32).unwrap_or(0)
    }

    /// The other side has said that it sends no more.
    #[inline(always)]
    pub fn is_finished(self) -> bool {
        load!(self.0, sock_flags as u64).unwrap_or(0) & SOCK_DONE != 0
    }

    /// Inode number of its network namespace.
    #[inline(always)]
    pub fn net_ns(self) -> u32 {
        follow!(self.0, sock_net).and_then(|net| load!(net, net_inum as u32)).unwrap_or(0)
    }

    /// Whether the other end is a loopback address, which only this host itself can have.
    #[inline(always)]
    pub fn is_loopback(self) -> bool {
        if self.family() == AF_INET {
            return is_loopback_v4(load!(self.0, sock_daddr as u32).unwrap_or(0));
        }
        is_loopback(self.words(offset!(sock_v6_daddr)))
    }

    /// Whether its own end is a loopback address.
    #[inline(always)]
    pub fn is_bound_to_loopback(self) -> bool {
        if self.family() == AF_INET {
            return is_loopback_v4(load!(self.0, sock_rcv_saddr as u32).unwrap_or(0));
        }
        is_loopback(self.words(offset!(sock_v6_rcv_saddr)))
    }

    /// Its two ends; the port here as the caller knows it.
    #[inline(always)]
    pub fn tuple(self, local_port: u16) -> Tuple {
        let family = self.family();
        let (local, remote) = if family == AF_INET {
            let local = load!(self.0, sock_rcv_saddr as u32).unwrap_or(0);
            let remote = load!(self.0, sock_daddr as u32).unwrap_or(0);
            ([local, 0, 0, 0], [remote, 0, 0, 0])
        } else {
            (self.words(offset!(sock_v6_rcv_saddr)), self.words(offset!(sock_v6_daddr)))
        };
        Tuple {
            local,
            remote,
            local_port,
            remote_port: self.remote_port(),
            family,
            reserved: 0,
            net_ns: self.net_ns(),
            reserved_2: 0,
        }
    }

    /// The port there.
    #[inline(always)]
    pub fn remote_port(self) -> u16 {
        u16::from_be(load!(self.0, sock_dport as u16).unwrap_or(0))
    }

    /// The port here, while it is bound.
    #[inline(always)]
    pub fn bound_port(self) -> u16 {
        load!(self.0, sock_num as u16).unwrap_or(0)
    }

    /// The TCP side of it; `None` for another protocol, MPTCP among them.
    #[inline(always)]
    pub fn tcp(self) -> Option<Tcp> {
        // SAFETY: the argument of a tracepoint is a live socket.
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut()) };
        (!tcp.is_null()).then_some(Tcp(tcp.cast_const().cast()))
    }

    /// A socket of IPv4.
    #[inline(always)]
    pub fn is_v4(self) -> bool {
        self.family() == AF_INET
    }

    #[inline(always)]
    fn family(self) -> u16 {
        load!(self.0, sock_family as u16).unwrap_or(0)
    }

    /// An IPv6 address: word by word, as the verifier takes no wider load from it.
    #[inline(always)]
    fn words(self, offset: u32) -> [u32; 4] {
        if offset == ABSENT {
            return [0; 4];
        }
        // SAFETY: the verifier knows the structure and checks offset and size.
        let word = |n: usize| unsafe {
            self.0.byte_add(offset as usize + n * 4).cast::<u32>().read_volatile()
        };
        [word(0), word(1), word(2), word(3)]
    }
}

/// Whether what is at an address is a socket that has another end, at this port.
#[inline(always)]
pub fn is_connected_at(address: u64, remote_port: u16) -> bool {
    let state: u8 = probe_member(address, offset!(sock_state));
    let port: u16 = probe_member(address, offset!(sock_dport));
    state != CLOSE && u16::from_be(port) == remote_port
}

/// The addresses of a [`Tuple`], all as of IPv6.
pub trait Mapped {
    fn mapped_local(&self) -> [u32; 4];
    fn mapped_remote(&self) -> [u32; 4];
}

impl Mapped for Tuple {
    #[inline(always)]
    fn mapped_local(&self) -> [u32; 4] {
        if self.family == AF_INET { mapped(self.local[0]) } else { self.local }
    }

    #[inline(always)]
    fn mapped_remote(&self) -> [u32; 4] {
        if self.family == AF_INET { mapped(self.remote[0]) } else { self.remote }
    }
}

/// `struct tcp_sock`.
#[derive(Clone, Copy)]
pub struct Tcp(Pointer);

impl Tcp {
    /// The port here, also when it is not bound any more.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        u16::from_be(load!(self.0, tcp_sport as u16).unwrap_or(0))
    }

    /// Payload bytes sent, those sent again not counted again.
    #[inline(always)]
    pub fn sent(self) -> u64 {
        let all = load!(self.0, tcp_bytes_sent as u64).unwrap_or(0);
        all.saturating_sub(load!(self.0, tcp_bytes_retrans as u64).unwrap_or(0))
    }

    /// Payload bytes received: the kernel counts the other side's FIN as one.
    #[inline(always)]
    pub fn received(self, finished: bool) -> u64 {
        let all = load!(self.0, tcp_bytes_received as u64).unwrap_or(0);
        all.saturating_sub(u64::from(finished))
    }

    /// Segments sent again.
    #[inline(always)]
    pub fn retransmits(self) -> u32 {
        load!(self.0, tcp_total_retrans as u32).unwrap_or(0)
    }
}

/// `::1`, or a loopback address of IPv4 mapped into IPv6.
#[inline(always)]
pub fn is_loopback(address: [u32; 4]) -> bool {
    let mapped = address[2] == MAPPED && is_loopback_v4(address[3]);
    let own = address[2] == 0 && address[3] == 1_u32.to_be();
    address[0] == 0 && address[1] == 0 && (mapped || own)
}

/// An IPv4 address as one of IPv6 (RFC 4291, 2.5.5.2).
#[inline(always)]
pub fn mapped(address: u32) -> [u32; 4] {
    [0, 0, MAPPED, address]
}

#[inline(always)]
fn is_loopback_v4(address: u32) -> bool {
    address.to_ne_bytes()[0] == 127
}
