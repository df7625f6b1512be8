//! Ports that stay one's own while whoever listens there is killed and started again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as Name, UnixListener};
use std::process;

use anyhow::{Context as _, Result};

/// Below those that the kernel gives to connections, which could take one while nobody listens.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 that nobody else of this testkit takes for as long as this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// A name that one socket of this network namespace can have at a time.
    _taken: UnixListener,
}

impl Port {
    /// One that is free.
    ///
    /// # Errors
    ///
    /// If all are taken.
    pub fn free() -> Result<Self> {
        // Processes begin at different places, so that they are seldom in each other's way.
        let start = u16::try_from(process::id().wrapping_mul(37) % u32::from(COUNT))?;
        (0..COUNT)
            .find_map(|n| Self::take(FIRST + (start + n) % COUNT))
            .context("no port is free: end what listens on 127.0.0.1:20000-29999")
    }

    fn take(number: u16) -> Option<Self> {
        let name = Name::from_abstract_name(format!("wanglou-port-{number}")).ok()?;
        let taken = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _taken: taken })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1` and it.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_while_it_is_held() {
        let held: Vec<_> = (0..20).map(|_| Port::free().expect("a port")).collect();
        let mut numbers: Vec<_> = held.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), held.len());
    }
}
