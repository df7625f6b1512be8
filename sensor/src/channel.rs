//! What the parts of the sensor say to each other: length-delimited protobuf over a socket of packets,
//! descriptors beside it. Each message has a version of its own, so that a later part can refuse an older
//! one by name.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

/// Descriptors in one message, at most (`SCM_MAX_FD`, include/net/scm.h, is 253).
const MAX_FDS: usize = 64;
const MAX_BYTES: usize = 128 * 1024;

/// Two ends.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Two ends for bytes that have messages of their own.
pub fn stream() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message and descriptors; waits for room.
pub fn send<M: prost::Message>(
    socket: impl AsFd,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send_by(socket, message, fds, SendFlags::NOSIGNAL)
}

/// The same; `WouldBlock` says that the other end does not listen.
pub fn try_send<M: prost::Message>(
    socket: impl AsFd,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send_by(socket, message, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

fn send_by<M: prost::Message>(
    socket: impl AsFd,
    message: &M,
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let bytes = message.encode_length_delimited_to_vec();
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::other(format!("a message of {} bytes is too long", bytes.len())));
    }
    let mut space =
        [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other(format!("{} descriptors are too many", fds.len())));
    }
    let slices = [io::IoSlice::new(&bytes)];
    let sent = sendmsg(socket, &slices, &mut ancillary, flags)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Waits for a message; `UnexpectedEof` says that the other end is gone.
pub fn receive<M: prost::Message + Default>(socket: impl AsFd) -> io::Result<(M, Vec<OwnedFd>)> {
    receive_by(socket, RecvFlags::CMSG_CLOEXEC)
}

/// Takes a message; `WouldBlock` says that there is none.
pub fn try_receive<M: prost::Message + Default>(
    socket: impl AsFd,
) -> io::Result<(M, Vec<OwnedFd>)> {
    receive_by(socket, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
}

fn receive_by<M: prost::Message + Default>(
    socket: impl AsFd,
    flags: RecvFlags,
) -> io::Result<(M, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MAX_BYTES];
    let mut space =
        [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [io::IoSliceMut::new(&mut bytes)];
    let got = recvmsg(socket, &mut slices, &mut ancillary, flags)?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were cut off: raise the limit of open files"));
    }
    let fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((M::decode_length_delimited(&bytes[..got.bytes])?, fds))
}
