//! The netlink connector socket: who may have one, how large its buffer is, how it is asked to
//! listen and told to stop.
//!
//! Since 6.6 a listener may ask for some kinds only. This one doesn't: the kernel numbers what it
//! filters out as well (`send_msg`), and a number that is missing would no longer be a loss.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::stat;
use rustix::io::Errno;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto,
    socket_with, sockopt,
};

use super::message::{CN_IDX_PROC, CN_VAL_PROC, CONNECTOR_HEADER, NETLINK_HEADER, NLMSG_DONE};

/// Why there is no listening to the process connector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not compiled in.
    #[error("cn_proc: this kernel has no process connector (CONFIG_PROC_EVENTS)")]
    Absent,
    /// Listens, but answers no request.
    #[error(
        "cn_proc: the kernel does not answer: it lacks CONFIG_PROC_EVENTS, or forbids it here; \
         run the sensor on the host itself"
    )]
    NoAnswer,
    /// A right is missing.
    #[error("cn_proc: the kernel refuses: run as root, or with CAP_NET_ADMIN")]
    Rights,
    /// The wrong namespace.
    #[error(
        "cn_proc: it reports to the initial {0} namespace only: run the sensor on the host itself"
    )]
    Namespace(&'static str),
    /// Anything else.
    #[error("cn_proc: cannot {0}: {1}")]
    Io(&'static str, #[source] io::Error),
}

/// Bytes that the kernel may keep for the reader, bookkeeping included: a burst of some ten
/// thousand messages.
const RECEIVE_BUFFER: usize = 8 << 20;

const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

/// Inode numbers of the initial namespaces (`include/linux/proc_ns.h`).
const INITIAL: [(&str, &str, u64); 2] =
    [("pid", "/proc/self/ns/pid", 0xEFFF_FFFC), ("user", "/proc/self/ns/user", 0xEFFF_FFFD)];

/// A bound socket.
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// Opens the socket and joins the group; nothing comes before [`Socket::listen`].
    pub(super) fn open() -> Result<Self, Error> {
        for (name, link, inode) in INITIAL {
            if stat(link).is_ok_and(|stat| stat.st_ino != inode) {
                return Err(Error::Namespace(name));
            }
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(CONNECTOR))
            .map_err(|error| match error {
                Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => Error::Absent,
                error => Error::Io("open a netlink socket", error.into()),
            })?;
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            // Without CAP_NET_ADMIN in the user namespace: as much as the host's limit allows.
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)
                .map_err(|error| Error::Io("size the receive buffer", error.into()))?;
        }
        bind(&socket, &SocketAddrNetlink::new(0, CN_IDX_PROC)).map_err(|error| match error {
            Errno::PERM | Errno::ACCESS => Error::Rights,
            error => Error::Io("join the process connector's group", error.into()),
        })?;
        Ok(Self(socket))
    }

    /// Asks for events; the answer bears `ack` and one more.
    pub(super) fn listen(&self, ack: u32) -> Result<(), Error> {
        self.request(LISTEN, ack).map_err(|error| match error {
            // Only the initial network namespace has the kernel's end.
            Errno::CONNREFUSED => Error::Namespace("network"),
            Errno::PERM => Error::Rights,
            error => Error::Io("ask for process events", error.into()),
        })
    }

    /// Asks for no more. Kernels before 6.6 don't notice that a listener is gone, and would go on
    /// making messages for nobody.
    pub(super) fn ignore(&self) {
        let _ = self.request(IGNORE, 0);
    }

    /// The next datagram from the kernel; any other sender's is passed over.
    pub(super) fn receive<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
        loop {
            let (length, _, from) = recvfrom(&self.0, &mut *buffer, RecvFlags::empty())?;
            let from = from.and_then(|address| SocketAddrNetlink::try_from(address).ok());
            if from.is_some_and(|address| address.pid() == 0) {
                return Ok(&buffer[..length]);
            }
        }
    }

    fn request(&self, operation: u32, ack: u32) -> Result<(), Errno> {
        const LENGTH: usize = NETLINK_HEADER + CONNECTOR_HEADER + size_of::<u32>();
        let mut bytes = Vec::with_capacity(LENGTH);
        let mut words = |words: &[u32]| {
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        };
        // The halves of a word that hold two fields are written as on the machine.
        let pair = |first: u16, second: u16| {
            let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
            u32::from_ne_bytes([a, b, c, d])
        };
        words(&[LENGTH as u32, pair(NLMSG_DONE, 0), 0, 0]);
        words(&[CN_IDX_PROC, CN_VAL_PROC, 0, ack, pair(size_of::<u32>() as u16, 0)]);
        words(&[operation]);
        sendto(&self.0, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
