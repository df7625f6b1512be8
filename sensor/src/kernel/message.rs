//! What the loader tells the worker: length-delimited protobuf with a version, as a later worker
//! must be able to refuse an older loader by name. The descriptors travel beside it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prost::Message as _;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Raised with every change that an older reader would misunderstand.
pub(super) const VERSION: u32 = 1;

/// Descriptors in one message, at most (`SCM_MAX_FD`, include/net/scm.h, is 253).
const MAX_FDS: usize = 64;
const MAX_BYTES: usize = 16 * 1024;

/// The outcome of loading.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Loaded {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// Why there is nothing.
    #[prost(string, optional, tag = "2")]
    pub(super) error: Option<String>,
    /// The rest of the descriptors: ring, counters, then two of each attached program.
    #[prost(message, repeated, tag = "3")]
    pub(super) programs: Vec<ProgramReport>,
    /// CPUs that the counters have rows for.
    #[prost(uint32, tag = "4")]
    pub(super) cpus: u32,
}

/// What became of a program.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProgramReport {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Why it does not run; with it there are no descriptors of it.
    #[prost(string, optional, tag = "2")]
    pub(super) missing: Option<String>,
    /// Instructions that the verifier walked.
    #[prost(uint32, optional, tag = "3")]
    pub(super) verified: Option<u32>,
}

impl ProgramReport {
    /// Whether this is the program of that name, and it runs.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.name == name && self.missing.is_none()
    }
}

/// Sends a report and descriptors.
pub(super) fn send(socket: impl AsFd, loaded: &Loaded, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = loaded.encode_length_delimited_to_vec();
    let mut space =
        [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other(format!("{} descriptors are too many", fds.len())));
    }
    let slices = [io::IoSlice::new(&bytes)];
    let sent = sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Waits for a report; the error says if the loader is gone.
pub(super) fn receive(socket: impl AsFd) -> io::Result<(Loaded, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MAX_BYTES];
    let mut space =
        [const { std::mem::MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [io::IoSliceMut::new(&mut bytes)];
    let got = recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
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
    let loaded = Loaded::decode_length_delimited(&bytes[..got.bytes])?;
    if loaded.version != VERSION {
        let other = loaded.version;
        return Err(io::Error::other(format!("the loader speaks version {other}, not {VERSION}")));
    }
    Ok((loaded, fds))
}
