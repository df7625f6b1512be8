//! Sockets used in ways that the standard library does not offer.

use std::{
    io,
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    time::Duration,
};

use super::checked;

/// How to connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connect {
    /// Do not wait in connect(2), but for the socket to become writable.
    pub nonblocking: bool,
    /// How often a SYN is sent again (`TCP_SYNCNT`).
    pub syn_retries: Option<i32>,
}

impl Connect {
    /// Connects to an address.
    pub fn to(self, address: SocketAddr) -> io::Result<TcpStream> {
        let (domain, raw, len) = raw_address(address);
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: takes numbers.
        let socket = checked(unsafe { libc::socket(domain, kind, 0) })?;
        // SAFETY: a new descriptor, ours alone.
        let stream = unsafe { TcpStream::from_raw_fd(socket) };
        if let Some(retries) = self.syn_retries {
            option(&stream, libc::IPPROTO_TCP, libc::TCP_SYNCNT, &retries)?;
        }
        stream.set_nonblocking(self.nonblocking)?;
        // SAFETY: `raw` has `len` bytes and outlives the call.
        match checked(unsafe { libc::connect(socket, (&raw const raw).cast(), len) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                wait_writable(socket)?;
                stream.set_nonblocking(false)?;
                stream.take_error()?.map_or(Ok(stream), Err)
            }
            connected => connected.map(|_| stream),
        }
    }
}

fn raw_address(address: SocketAddr) -> (libc::c_int, libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: integers only, for which zeros are valid.
    let mut raw = unsafe { MaybeUninit::<libc::sockaddr_storage>::zeroed().assume_init() };
    let len = match address {
        SocketAddr::V4(v4) => {
            let place = (&raw mut raw).cast::<libc::sockaddr_in>();
            // SAFETY: the storage has room and alignment for every address.
            unsafe {
                (*place).sin_family = libc::AF_INET as u16;
                (*place).sin_port = v4.port().to_be();
                (*place).sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            }
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let place = (&raw mut raw).cast::<libc::sockaddr_in6>();
            // SAFETY: as above.
            unsafe {
                (*place).sin6_family = libc::AF_INET6 as u16;
                (*place).sin6_port = v6.port().to_be();
                (*place).sin6_addr.s6_addr = v6.ip().octets();
            }
            size_of::<libc::sockaddr_in6>()
        }
    };
    (i32::from(raw.ss_family), raw, len as libc::socklen_t)
}

fn wait_writable(socket: libc::c_int) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: socket, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live entry.
    checked(unsafe { libc::poll(&raw mut poll, 1, 10_000) }).map(drop)
}

/// Listens on a port of the loopback address, with a backlog of so many.
pub fn listen(backlog: i32) -> io::Result<TcpListener> {
    let (domain, raw, len) = raw_address((Ipv4Addr::LOCALHOST, 0).into());
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes numbers.
    let socket = checked(unsafe { libc::socket(domain, kind, 0) })?;
    // SAFETY: a new descriptor, ours alone.
    let listener = unsafe { TcpListener::from_raw_fd(socket) };
    // SAFETY: `raw` has `len` bytes and outlives the call.
    checked(unsafe { libc::bind(socket, (&raw const raw).cast(), len) })?;
    // SAFETY: takes numbers.
    checked(unsafe { libc::listen(socket, backlog) })?;
    Ok(listener)
}

/// Takes a connection without asking who calls.
pub fn accept_null(listener: &impl AsRawFd) -> io::Result<TcpStream> {
    let fd = listener.as_raw_fd();
    // SAFETY: null pointers are what makes this call what it is.
    let taken = checked(unsafe { libc::accept(fd, ptr::null_mut(), ptr::null_mut()) })?;
    // SAFETY: a new descriptor, ours alone.
    Ok(unsafe { TcpStream::from_raw_fd(taken) })
}

/// Has close(2) tear the connection down with a reset.
pub fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    option(stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

fn option<T>(socket: &impl AsRawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    let place = ptr::from_ref(value).cast();
    // SAFETY: `value` has `len` bytes and outlives the call.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place, len) }).map(drop)
}

/// Room for the one descriptor that a message carries.
#[repr(C)]
struct Rights {
    header: libc::cmsghdr,
    fd: libc::c_int,
}

/// Hands a descriptor to whoever reads from the socket (`SCM_RIGHTS`).
pub fn send_fd(to: &impl AsRawFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    let header = libc::cmsghdr {
        cmsg_len: size_of::<Rights>() - 4,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    let mut rights = Rights { header, fd: fd.as_raw_fd() };
    let mut byte = 0_u8;
    let mut piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let message = message(&mut piece, &mut rights);
    // SAFETY: everything that the message points to is live.
    let sent = unsafe { libc::sendmsg(to.as_raw_fd(), &raw const message, 0) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a descriptor that `send_fd` sent.
pub fn receive_fd(from: &impl AsRawFd) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    let mut rights = unsafe { MaybeUninit::<Rights>::zeroed().assume_init() };
    let mut byte = 0_u8;
    let mut piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = message(&mut piece, &mut rights);
    // SAFETY: everything that the message points to is live and may be written.
    let got = unsafe { libc::recvmsg(from.as_raw_fd(), &raw mut message, 0) };
    if got != 1 || rights.header.cmsg_type != libc::SCM_RIGHTS {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made the descriptor for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(rights.fd) })
}

fn message(piece: &mut libc::iovec, rights: &mut Rights) -> libc::msghdr {
    // SAFETY: null pointers and zeros are an empty message.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    (message.msg_iov, message.msg_iovlen) = (piece, 1);
    message.msg_control = ptr::from_mut(rights).cast();
    message.msg_controllen = size_of::<Rights>();
    message
}

/// Brings the loopback device of this network namespace up.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: takes numbers.
    let socket = checked(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) })?;
    // SAFETY: a new descriptor, ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: integers only.
    let mut request = unsafe { MaybeUninit::<libc::ifreq>::zeroed().assume_init() };
    request.ifr_name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call.
    let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(set)?;
    std::thread::sleep(Duration::from_millis(10));
    Ok(())
}
