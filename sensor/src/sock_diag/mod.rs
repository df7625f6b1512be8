//! Sockets as the kernel lists them over netlink: what is open at start where no iterator tells, and,
//! looked at now and then, the baseline where there is no BPF.
//!
//! ```text
//! message   the bytes, no I/O          socket   one namespace, asked
//! owners    whose a socket is, by /proc     screen    what rules say of it
//! ```
//!
//! What comes and goes between two looks is not seen, bytes are not known, and who opened a connection
//! is concluded: to a port that somebody listens on, it came in.

pub mod message;
mod owners;
mod screen;
mod socket;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

use self::message::Socket;
use self::screen::Screen;
use self::socket::Namespace;
use crate::clock::boot_ns;
use crate::kernel::Network;
use crate::log::ids;
use crate::observation::{
    Action, Connection, Disconnect, Observation, Owner, Provider, State, Turn,
};

/// Sockets known at most; those beyond are counted, not told of.
pub const CAPACITY: usize = 32_768;

/// The sockets of every network namespace that had a process when this was opened.
pub struct SockDiag {
    namespaces: Vec<Namespace>,
    network: Network,
    known: HashMap<u64, Known>,
    look: u32,
    /// Sockets that there was no room for at the last look, and those of them not asked for yet.
    beyond: u64,
    untold: u64,
}

#[derive(Clone, Copy)]
struct Known {
    connection: Connection,
    owner: (u32, Option<u64>),
    look: u32,
    /// No rule drops it.
    told: bool,
}

impl SockDiag {
    /// Opens a netlink socket in each namespace, which takes `CAP_SYS_ADMIN` for those of others.
    pub fn open(network: Network) -> io::Result<Self> {
        let namespaces = socket::every_namespace()?;
        Ok(Self { namespaces, network, known: HashMap::new(), look: 0, beyond: 0, untold: 0 })
    }

    /// Looks at all sockets that are wanted: tells of those that were not there the last time, and of those that are
    /// there no more.
    pub fn look(&mut self, on: &mut dyn FnMut(&Observation<'_>)) -> io::Result<()> {
        let first = self.look == 0;
        self.look += 1;
        let fresh = self.fresh()?;
        let owners = owners::of(fresh.iter().map(|(_, socket)| socket.inode).collect())?;
        let ports: HashSet<_> = self.listening().chain(listening(&fresh)).collect();
        let mut beyond = 0_u64;
        let mut screen = Screen::of(&self.network.filter)?;
        for (net_ns, socket) in fresh {
            if self.known.len() >= CAPACITY {
                beyond += 1;
                continue;
            }
            let owner = owners.get(&socket.inode).map_or((0, None), |&(pid, start)| (pid, start));
            let came_in = ports.contains(&(net_ns, socket.local.port()));
            let connection = connection(&socket, net_ns, came_in, first);
            let told = screen.keeps(&connection, owner.0);
            self.known.insert(socket.cookie, Known { connection, owner, look: self.look, told });
            if told {
                on(&observation(connection, owner));
            }
        }
        // Those of the last look are seen again at each: only more of them are news.
        self.untold += beyond.saturating_sub(self.beyond);
        self.beyond = beyond;
        self.known.retain(|_, known| {
            let stays = known.look == self.look;
            // A socket that listens no more has nobody to miss it.
            if !stays && known.told && !matches!(known.connection.turn, Turn::Listen) {
                let turn = Turn::Disconnect(Disconnect::default());
                on(&observation(
                    Connection { turn, opened: None, ..known.connection },
                    known.owner,
                ));
            }
            stays
        });
        Ok(())
    }

    /// Sockets that there was no room for since this was last asked.
    pub fn take_beyond(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }

    /// The sockets that are wanted and not known, with their namespaces.
    fn fresh(&mut self) -> io::Result<Vec<(u32, Socket)>> {
        let mut fresh = Vec::new();
        for namespace in &mut self.namespaces {
            let (inode, known, look) = (namespace.inode, &mut self.known, self.look);
            let loopback = self.network.loopback;
            namespace.list(&mut |socket| {
                let far = if socket.listens { socket.local } else { socket.remote };
                if !loopback && far.ip().is_loopback() {
                    return;
                }
                match known.get_mut(&socket.cookie) {
                    Some(known) => known.look = look,
                    None => fresh.push((inode, socket)),
                }
            })?;
        }
        Ok(fresh)
    }

    fn listening(&self) -> impl Iterator<Item = (u32, u16)> {
        let listens = |known: &&Known| matches!(known.connection.turn, Turn::Listen);
        self.known
            .values()
            .filter(listens)
            .map(|known| (known.connection.net_ns.unwrap_or(0), known.connection.local.port()))
    }
}

/// Opens the lists that are wanted, and goes without where the kernel has none: processes are seen all the
/// same.
pub fn open_or_go_without(network: Option<&Network>) -> Option<SockDiag> {
    match SockDiag::open(network?.clone()) {
        Ok(sockets) => Some(sockets),
        Err(error) => {
            tracing::warn!(id = ids::NO_SOCK_DIAG.code, %error, "sockets are not listed: the kernel has no sock_diag");
            None
        }
    }
}

/// Looks, and gives up for good where the kernel does not answer: it may lack the modules `inet_diag` and
/// `tcp_diag`.
pub fn look_or_give_up(sockets: &mut Option<SockDiag>, on: &mut dyn FnMut(&Observation<'_>)) {
    if let Some(Err(error)) = sockets.as_mut().map(|sockets| sockets.look(on)) {
        tracing::warn!(id = ids::SOCKETS_GIVEN_UP.code, %error, "sockets are not listed: modprobe tcp_diag may help");
        *sockets = None;
    }
}

fn listening(sockets: &[(u32, Socket)]) -> impl Iterator<Item = (u32, u16)> {
    let listens = sockets.iter().filter(|(_, socket)| socket.listens);
    listens.map(|(net_ns, socket)| (*net_ns, socket.local.port()))
}

fn connection(socket: &Socket, net_ns: u32, came_in: bool, first: bool) -> Connection {
    let turn = match () {
        () if socket.listens => Turn::Listen,
        () if first => Turn::Existing,
        () if came_in => Turn::Accept,
        () => Turn::Attempt { established: true },
    };
    Connection {
        turn,
        egress: !came_in,
        local: socket.local,
        remote: if socket.listens { unspecified(socket.local) } else { socket.remote },
        net_ns: Some(net_ns),
        opened: None,
        owner: Owner::Seen,
        error: None,
        recovered: false,
    }
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    let ip: IpAddr = if like.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    SocketAddr::new(ip, 0)
}

fn observation(connection: Connection, owner: (u32, Option<u64>)) -> Observation<'static> {
    Observation {
        time: boot_ns(),
        provider: Provider::SockDiag,
        pid: owner.0,
        start: owner.1,
        state: State::default(),
        action: Action::Connection(connection),
        incomplete: false,
    }
}
