//! The netlink sockets that the kernel is asked through, one in each network namespace: it shows the
//! sockets of the namespace in which the asking one was made.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::thread;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::message::{self, Socket};
use crate::log::ids;

/// Datagrams of a dump are at most so large (`NLMSG_GOODSIZE` and more, `netlink_dump`).
const BUFFER: usize = 64 << 10;

/// A network namespace.
pub(super) struct Namespace {
    /// Its inode number, as in /proc/PID/ns/net.
    pub(super) inode: u32,
    socket: OwnedFd,
}

/// Our own namespace, and each of another process that we may enter.
pub(super) fn every_namespace() -> io::Result<Vec<Namespace>> {
    let own = fs::metadata("/proc/self/ns/net")?.ino();
    let mut namespaces = vec![Namespace { inode: own as u32, socket: open()? }];
    for (inode, file) in others(own)? {
        // A namespace is a thread's own: one that ends takes nothing along.
        let entered = thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            open()
        });
        match entered.join() {
            Ok(Ok(socket)) => namespaces.push(Namespace { inode: inode as u32, socket }),
            Ok(Err(error)) => {
                tracing::warn!(id = ids::NAMESPACE_NOT_LISTED.code, inode, %error, "the sockets of a network namespace are not listed");
            }
            Err(_) => tracing::error!(
                id = ids::NAMESPACE_NOT_ENTERED.code,
                inode,
                "cannot enter a network namespace"
            ),
        }
    }
    Ok(namespaces)
}

fn others(own: u64) -> io::Result<HashMap<u64, File>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path().join("ns/net");
        // Not a process, or gone by now.
        let Ok(inode) = fs::metadata(&path).map(|metadata| metadata.ino()) else { continue };
        if inode != own
            && !found.contains_key(&inode)
            && let Ok(file) = File::open(&path)
        {
            found.insert(inode, file);
        }
    }
    Ok(found)
}

fn open() -> io::Result<OwnedFd> {
    let kind = SocketType::DGRAM;
    Ok(socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?)
}

impl Namespace {
    /// Hands every socket of TCP that listens or has another end to `on`.
    pub(super) fn list(&mut self, on: &mut dyn FnMut(Socket)) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        for family in [libc::AF_INET, libc::AF_INET6] {
            let request = message::request(family as u8);
            let kernel = SocketAddrNetlink::new(0, 0);
            sendto(&self.socket, &request, SendFlags::empty(), &kernel)?;
            loop {
                let (len, _) = recv(&self.socket, buffer.as_mut_slice(), RecvFlags::empty())?;
                if message::read(&buffer[..len], on).map_err(io::Error::other)? {
                    break;
                }
            }
        }
        Ok(())
    }
}
