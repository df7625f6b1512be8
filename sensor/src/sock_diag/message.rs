//! The bytes of `sock_diag(7)`: a request for all sockets of TCP of an address family, and datagrams of
//! answers, one netlink message a socket.
//!
//! ```text
//! struct nlmsghdr          u32 len, u16 type, u16 flags, u32 seq, u32 pid           16 bytes
//! struct inet_diag_req_v2  u8 family, protocol, ext, pad, u32 states, sockid        56 bytes
//! struct inet_diag_msg     u8 family, state, timer, retrans, sockid,
//!                          u32 expires, rqueue, wqueue, uid, inode                  72 bytes
//! struct inet_diag_sockid  be16 sport, dport, be32 src[4], dst[4],
//!                          u32 interface, u32 cookie[2]                             48 bytes
//! ```
//!
//! `include/uapi/linux/{netlink,inet_diag}.h`, read in 6.18; byte order is the machine's but where it
//! says `be`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

const HEADER: usize = 16;
const SOCKET_ID: usize = 48;
const REQUEST: usize = HEADER + 8 + SOCKET_ID;
const ANSWER: usize = 72;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const IPPROTO_TCP: u8 = 6;

// include/net/tcp_states.h
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;
const WANTED: [u8; 5] = [ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LISTEN];

/// Why an answer is none.
#[derive(Debug, Error)]
pub enum Refused {
    /// Shorter than its layout, or than it says.
    #[error("an answer of sock_diag is cut short at byte {0}")]
    Short(usize),
    /// The kernel does not answer.
    #[error("sock_diag: {0}")]
    Kernel(io::Error),
}

/// A socket of TCP that listens or has another end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its number, never used again in a boot.
    pub cookie: u64,
    /// The inode by which descriptors name it, 0 where no process has it.
    pub inode: u32,
    /// It waits for connections.
    pub listens: bool,
    /// Address and port here.
    pub local: SocketAddr,
    /// Address and port there.
    pub remote: SocketAddr,
}

/// Asks for all sockets of a family, `AF_INET` or `AF_INET6`.
pub fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let states = WANTED.iter().fold(0_u32, |states, state| states | 1 << state);
    bytes[0..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    (bytes[HEADER], bytes[HEADER + 1]) = (family, IPPROTO_TCP);
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    bytes
}

/// Hands the sockets of a datagram to `on`; `true` when it was the last one.
pub fn read(mut datagram: &[u8], on: &mut dyn FnMut(Socket)) -> Result<bool, Refused> {
    while !datagram.is_empty() {
        let short = || Refused::Short(datagram.len());
        let len = u32_at(datagram, 0).ok_or_else(short)? as usize;
        let kind = u16_at(datagram, 4).ok_or_else(short)?;
        let body = datagram.get(HEADER..len).ok_or_else(short)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let errno = u32_at(body, 0).ok_or_else(short)?.cast_signed();
                return Err(Refused::Kernel(io::Error::from_raw_os_error(errno.saturating_neg())));
            }
            SOCK_DIAG_BY_FAMILY => {
                if let Some(socket) = socket(body.get(..ANSWER).ok_or_else(short)?) {
                    on(socket);
                }
            }
            _ => {}
        }
        // Messages begin at multiples of four.
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn socket(body: &[u8]) -> Option<Socket> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let id = body.get(4..4 + SOCKET_ID)?;
    let address = |at: usize| -> Option<IpAddr> {
        Some(match i32::from(family) {
            libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(id.get(at..at + 4)?).ok()?).into(),
            libc::AF_INET6 => {
                let bytes = <[u8; 16]>::try_from(id.get(at..at + 16)?).ok()?;
                Ipv6Addr::from(bytes).to_canonical()
            }
            _ => return None,
        })
    };
    let port = |at: usize| u16_at(id, at).map(u16::from_be);
    let cookie = u64::from(u32_at(id, 40)?) | u64::from(u32_at(id, 44)?) << 32;
    Some(Socket {
        cookie,
        inode: u32_at(body, ANSWER - 4)?,
        listens: state == LISTEN,
        local: SocketAddr::new(address(4)?, port(0)?),
        remote: SocketAddr::new(address(20)?, port(2)?),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[0..4].copy_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn answer() -> Vec<u8> {
        let mut body = vec![0; ANSWER];
        (body[0], body[1]) = (libc::AF_INET as u8, ESTABLISHED);
        body[4..8].copy_from_slice(&[0x1f, 0x90, 0xc3, 0x50]);
        body[8..12].copy_from_slice(&[127, 0, 0, 1]);
        body[24..28].copy_from_slice(&[192, 0, 2, 1]);
        body[44..48].copy_from_slice(&7_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&4711_u32.to_ne_bytes());
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let mut sockets = Vec::new();
        let datagram = [answer(), message(NLMSG_DONE, &[0; 4])].concat();
        assert!(read(&datagram, &mut |socket| sockets.push(socket)).unwrap());
        let [socket] = sockets[..] else { panic!("{sockets:?}") };
        assert_eq!(socket.local.to_string(), "127.0.0.1:8080");
        assert_eq!(socket.remote.to_string(), "192.0.2.1:50000");
        assert_eq!((socket.cookie, socket.inode, socket.listens), (7, 4711, false));
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = message(NLMSG_ERROR, &(-2_i32).to_ne_bytes());
        let error = read(&refused, &mut |_| {}).unwrap_err();
        assert!(error.to_string().starts_with("sock_diag: No such file"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>, at in 0_usize..100) {
            let _ = read(&bytes, &mut |_| {});
            let mut real = answer();
            let len = real.len();
            real[at % len] ^= bytes.pop().unwrap_or(1);
            let _ = read(&real, &mut |_| {});
        }
    }
}
