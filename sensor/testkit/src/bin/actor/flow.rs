//! Roles that talk over UDP.

use std::{
    ffi::OsString,
    io::Write,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use anyhow::{Context, Result};

use crate::number;

/// Room for every datagram here.
const ROOM: usize = 4096;

/// `udp-serve <count>`: names its port, answers so many datagrams with twice as much, and closes.
pub(crate) fn serve(args: &[OsString]) -> Result<()> {
    let (count, _) = number(args)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "port {}", socket.local_addr()?.port())?;
    stdout.flush()?;
    let mut buffer = [0; ROOM];
    for _ in 0..count {
        let (len, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len * 2], from)?;
    }
    Ok(())
}

/// `udp-ask <connected|unconnected> <address> <count> <bytes>`: sends so many datagrams, each after
/// the answer to the one before.
pub(crate) fn ask(args: &[OsString]) -> Result<()> {
    let [how, address, rest @ ..] = args else { anyhow::bail!("udp-ask <how> <address> …") };
    let address: SocketAddr = address.to_str().context("an address")?.parse()?;
    let (count, rest) = number(rest)?;
    let (bytes, _) = number(rest)?;
    let connected = how == "connected";
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    if connected {
        socket.connect(address)?;
    }
    let mut buffer = [0; ROOM];
    for _ in 0..count {
        let question = &buffer[..bytes as usize];
        if connected {
            socket.send(question)?;
            socket.recv(&mut buffer)?;
        } else {
            socket.send_to(question, address)?;
            socket.recv_from(&mut buffer)?;
        }
    }
    Ok(())
}
