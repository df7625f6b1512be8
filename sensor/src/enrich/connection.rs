//! Events of the network: whose connection it is, and what became of it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use arrayvec::ArrayString;
use wanglou_api::event::{Endpoint, Error, Event, Namespaces, Network, Tcp};

use super::community;
use super::event::{Around, Digits, Draft, Fields, marks, parent, process, stamp};
use super::table::Entry;
use crate::action::Action as Name;
use crate::errno;
use crate::observation::{Action as Seen, Connection, Disconnect, Observation, Owner, Side, Turn};
use crate::outlets::Outlets;

const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;

/// Text of an address: IPv6 needs 39 characters at most.
type Ip = ArrayString<39>;

impl Draft {
    /// An event of a connection, and of the process that owns it, if that is known.
    pub(super) fn connection(
        &mut self,
        seen: &Observation<'_>,
        connection: &Connection,
        entry: Option<&Entry>,
        around: Around<'_>,
        outlets: &mut Outlets,
    ) {
        let Around { table, clock, .. } = around;
        let mut escaped = Fields::default();
        let mut whose = entry.map(|it| process(seen.pid, it, &mut self.name, &mut escaped));
        if let (Some(whose), Some(entry)) = (&mut whose, entry) {
            whose.parent = parent(entry, table, &mut self.parent_name);
        }
        let mut digits = Digits::new();
        let (user, group) = digits.user_and_group(
            entry.and_then(|entry| entry.user),
            entry.and_then(|entry| entry.group),
        );

        let action = connection.turn.action();
        let mut event =
            Event { process: whose, user, group, ..stamp(action, seen, clock, &escaped) };
        let mut wanglou = marks(seen, connection.recovered);
        wanglou.namespaces =
            connection.net_ns.map(|net| Namespaces { net: Some(net), ..Namespaces::default() });
        wanglou.owner = match connection.owner {
            Owner::Seen => None,
            Owner::FirstTouch => Some("first_touch"),
            Owner::Listener => Some("listener"),
        };
        if let Turn::Disconnect(over) = &connection.turn {
            wanglou.tcp = ending(over, connection, seen.time);
        }
        event.wanglou = Some(wanglou);
        if let Some(meta) = &mut event.event {
            meta.outcome = outcome(connection);
            meta.duration = duration(connection, seen.time);
            if let Turn::Flow(flow) = &connection.turn {
                meta.start = connection.opened.map(|first| clock.utc(first));
                meta.end = Some(clock.utc(flow.last));
            }
        }
        let error = connection.error.and_then(errno::name);
        event.error = error.map(|code| Error { code: Some(code) });

        let (local, remote) = (text(connection.local), text(connection.remote));
        let (mut here, mut there) = (
            endpoint(&local, connection.local, connection),
            endpoint(&remote, connection.remote, connection),
        );
        let mut network = network(connection);
        match &connection.turn {
            Turn::Disconnect(over) => {
                (here.bytes, there.bytes) = (over.sent, over.received);
                network.retransmits = over.retransmits.map(Into::into);
            }
            Turn::Flow(flow) => {
                (here.bytes, here.packets) = (Some(flow.sent.0), Some(flow.sent.1));
                (there.bytes, there.packets) = (Some(flow.received.0), Some(flow.received.1));
                network.transport = Some("udp");
            }
            _ => {}
        }
        let id;
        if let Turn::Listen = connection.turn {
            event.source = Some(here);
        } else {
            let (source, destination) =
                if connection.egress { (here, there) } else { (there, here) };
            (event.source, event.destination) = (Some(source), Some(destination));
            let is_flow = matches!(connection.turn, Turn::Flow(_));
            let protocol = if is_flow { IPPROTO_UDP } else { IPPROTO_TCP };
            id = community::id(connection.local, connection.remote, protocol);
            network.direction = Some(if connection.egress { "egress" } else { "ingress" });
            network.community_id = connection.has_both_ends().then_some(id.as_str());
        }
        event.network = Some(network);
        around.place(seen.state.cgroup.or(entry.and_then(|it| it.cgroup)), &mut event);
        outlets.report(action, &mut event);
    }
}

impl Connection {
    /// An attempt that fails at once has no port here yet, and a UDP socket may have no address of its
    /// own.
    fn has_both_ends(&self) -> bool {
        [self.local, self.remote].iter().all(|end| end.port() != 0 && !end.ip().is_unspecified())
    }
}

impl Seen<'_> {
    /// What the event of this is called; of changed ids, the user's. Of a cgroup there is none.
    pub fn name(&self) -> Name {
        match self {
            Self::Fork { .. } => Name::Fork,
            Self::Exec(_) => Name::Exec,
            Self::Existing(_) => Name::ExistingProcess,
            Self::End(_) => Name::End,
            Self::Credentials { .. } => Name::UidChange,
            Self::Connection(connection) => connection.turn.action(),
            Self::Cgroup => Name::Unknown,
        }
    }
}

impl Turn {
    /// What the event of this turn is called.
    pub fn action(self) -> Name {
        match self {
            Self::Existing => Name::ExistingConnection,
            Self::Listen => Name::Listen,
            Self::Attempt { .. } => Name::ConnectionAttempted,
            Self::Accept => Name::ConnectionAccepted,
            Self::Disconnect(_) => Name::DisconnectReceived,
            Self::Flow(_) => Name::Flow,
        }
    }
}

fn outcome(connection: &Connection) -> Option<&'static str> {
    match connection.turn {
        Turn::Attempt { established: true } | Turn::Accept => Some("success"),
        Turn::Attempt { established: false } if connection.error.is_some() => Some("failure"),
        // Closed before anybody answered.
        Turn::Attempt { established: false } => Some("unknown"),
        Turn::Existing | Turn::Listen | Turn::Disconnect(_) | Turn::Flow(_) => None,
    }
}

fn duration(connection: &Connection, now: u64) -> Option<u64> {
    match connection.turn {
        Turn::Attempt { .. } | Turn::Disconnect(_) => Some(now.saturating_sub(connection.opened?)),
        Turn::Flow(flow) => Some(flow.last.saturating_sub(connection.opened?)),
        Turn::Existing | Turn::Listen | Turn::Accept => None,
    }
}

fn ending(over: &Disconnect, connection: &Connection, now: u64) -> Option<Tcp<'static>> {
    let orderly = over.orderly?;
    let end = match connection.error.map(|error| error as i32) {
        None if orderly => "closed",
        None => "aborted",
        // A reset is a broken pipe to one that had been told of the end.
        Some(libc::ECONNRESET | libc::EPIPE) => "reset",
        Some(libc::ETIMEDOUT) => "timed_out",
        Some(_) => "failed",
    };
    let first = over.half_closed.filter(|_| end == "closed");
    let by_source = |side| (side == Side::Here) == connection.egress;
    Some(Tcp {
        end: Some(end),
        closed_by: first.map(|(side, _)| if by_source(side) { "source" } else { "destination" }),
        half_closed: first.map(|(_, since)| now.saturating_sub(since)),
    })
}

fn network(connection: &Connection) -> Network<'static> {
    Network {
        transport: Some("tcp"),
        r#type: Some(if connection.remote.is_ipv4() && connection.local.is_ipv4() {
            "ipv4"
        } else {
            "ipv6"
        }),
        ..Network::default()
    }
}

fn text(end: SocketAddr) -> Ip {
    let mut text = Ip::new();
    // There is room for every address.
    let _ = write!(text, "{}", end.ip());
    text
}

/// An end; a socket that listens everywhere does so at the unspecified address, another has none.
fn endpoint<'a>(ip: &'a Ip, end: SocketAddr, connection: &Connection) -> Endpoint<'a> {
    let is_known = !end.ip().is_unspecified() || matches!(connection.turn, Turn::Listen);
    Endpoint {
        ip: is_known.then_some(ip.as_str()),
        port: (end.port() != 0).then_some(end.port().into()),
        ..Endpoint::default()
    }
}
