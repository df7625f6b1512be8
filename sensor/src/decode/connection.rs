use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wanglou_sensor_common::Kind;
use wanglou_sensor_common::event::{Connection as Record, Tuple, connection_flags as flags};

use super::{Refused, known, parse};
use crate::observation::{Action, Connection, Disconnect, Owner, Side, State, Turn};

// include/net/tcp_states.h
const ESTABLISHED: u32 = 1;
const FIN_WAIT1: u32 = 4;
const CLOSE_WAIT: u32 = 8;

pub(super) fn decode(body: &[u8], kind: Kind) -> Result<(Action<'_>, State<'_>), Refused> {
    let (record, _) = parse::<Record>(body)?;
    let has = |flag| record.flags & flag != 0;
    let turn = match kind {
        Kind::Attempt => Turn::Attempt { established: has(flags::ESTABLISHED) },
        Kind::Accept => Turn::Accept,
        Kind::Disconnect => Turn::Disconnect(disconnect(&record)),
        Kind::Open if !has(flags::LISTENS) => Turn::Existing,
        _ => Turn::Listen,
    };
    let (local, remote) = ends(&record.tuple).ok_or(Refused::Family(record.tuple.family))?;
    let connection = Connection {
        turn,
        egress: has(flags::EGRESS),
        local,
        remote,
        net_ns: known(record.tuple.net_ns),
        opened: known(record.opened),
        owner: match () {
            () if has(flags::LISTENER) => Owner::Listener,
            () if has(flags::FIRST_TOUCH) => Owner::FirstTouch,
            () => Owner::Seen,
        },
        error: known(record.error),
        recovered: has(flags::RECOVERED) && !matches!(turn, Turn::Disconnect(_)),
    };
    Ok((Action::Connection(connection), State::default()))
}

fn disconnect(record: &Record) -> Disconnect {
    let has = |flag| record.flags & flag != 0;
    // From these states only a reset leads to the end at once, unless the other side's FIN came.
    let rude = matches!(record.old_state, ESTABLISHED | CLOSE_WAIT)
        || record.old_state == FIN_WAIT1 && !has(flags::FIN_RECEIVED);
    let first = match () {
        () if has(flags::CLOSED_HERE) => Some(Side::Here),
        () if has(flags::CLOSED_THERE) => Some(Side::There),
        () => None,
    };
    Disconnect {
        sent: Some(record.sent),
        received: Some(record.received),
        retransmits: Some(record.retransmits),
        orderly: Some(!rude && record.error == 0),
        half_closed: first.zip(known(record.half_closed)),
    }
}

/// Both ends; `None` for a family that is neither IPv4 nor IPv6. What is mapped into IPv6 is IPv4.
pub(super) fn ends(tuple: &Tuple) -> Option<(SocketAddr, SocketAddr)> {
    let address = |words: [u32; 4]| -> Option<IpAddr> {
        Some(match i32::from(tuple.family) {
            libc::AF_INET => Ipv4Addr::from(words[0].to_ne_bytes()).into(),
            libc::AF_INET6 => {
                let mut bytes = [0; 16];
                for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
                    chunk.copy_from_slice(&word.to_ne_bytes());
                }
                Ipv6Addr::from(bytes).to_canonical()
            }
            _ => return None,
        })
    };
    Some((
        SocketAddr::new(address(tuple.local)?, tuple.local_port),
        SocketAddr::new(address(tuple.remote)?, tuple.remote_port),
    ))
}
