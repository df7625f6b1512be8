//! Roles that talk over TCP.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use wanglou_testkit::sys::{self, Connect, Ring};

use crate::number;

/// How long a connection stays open that nobody uses.
const IDLE: Duration = Duration::from_millis(4000);
/// How long one side says nothing after the other has said that it is done.
const HALF_CLOSED: Duration = Duration::from_millis(300);

/// `tcp-connect <how> <address> <bytes>`: connects, sends so many bytes, reads until the end. A
/// connection that fails is no failure of ours.
pub(crate) fn connect(args: &[OsString]) -> Result<()> {
    let (how, rest) = word(args)?;
    let (address, rest) = word(rest)?;
    let (bytes, _) = number(rest)?;
    let address: SocketAddr = address.parse()?;
    let options = Connect {
        nonblocking: how == "nonblocking",
        syn_retries: (how == "timed-out").then_some(1),
    };
    let Ok(mut stream) = options.to(address) else { return Ok(()) };
    stream.write_all(&vec![b'x'; bytes as usize])?;
    if how == "half-closed" {
        stream.shutdown(Shutdown::Write)?;
    }
    // A reset is as good an end.
    let _ = io::copy(&mut stream, &mut io::sink());
    Ok(())
}

/// `tcp-later <address>`: waits for a line on standard input, then connects, and so does a child.
pub(crate) fn connect_later(args: &[OsString]) -> Result<()> {
    let (address, _) = word(args)?;
    let address: SocketAddr = address.parse()?;
    io::stdin().read_line(&mut String::new())?;
    let child = sys::fork()?;
    let mut stream = Connect::default().to(address)?;
    io::copy(&mut stream, &mut io::sink())?;
    if let Some(child) = child {
        named("child", child)?;
        sys::wait_for(child)?;
    }
    Ok(())
}

/// `tcp-hold <n>`: has so many connections with itself, both ends each, until its stdin is closed.
pub(crate) fn hold(args: &[OsString]) -> Result<()> {
    let (connections, _) = number(args)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push((TcpStream::connect(address)?, listener.accept()?));
    }
    named("held", connections)?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// `tcp-serve <how> <ip> <take> <give>`: names the port that it listens on, takes one connection,
/// reads and writes so many bytes, and closes first.
pub(crate) fn serve(args: &[OsString]) -> Result<()> {
    let (how, rest) = word(args)?;
    let (ip, rest) = word(rest)?;
    let (take, rest) = number(rest)?;
    let (give, _) = number(rest)?;
    let listener = TcpListener::bind(SocketAddr::new(ip.parse()?, 0))?;
    named("port", listener.local_addr()?.port().into())?;
    match how {
        "address" => talk(listener.accept()?.0, take, give),
        "null" => talk(sys::accept_null(&listener)?, take, give),
        "silent" => {
            drop(sys::accept_null(&listener)?);
            Ok(())
        }
        "idle" => {
            let _stream = sys::accept_null(&listener)?;
            thread::sleep(IDLE);
            Ok(())
        }
        "reset" => {
            let stream = listener.accept()?.0;
            sys::reset_on_close(&stream)?;
            Ok(())
        }
        "half-closed" => {
            let mut stream = listener.accept()?.0;
            io::copy(&mut stream, &mut io::sink())?;
            thread::sleep(HALF_CLOSED);
            talk(stream, 0, give)
        }
        "worker" => in_child("worker", || talk(listener.accept()?.0, take, give)),
        "fork" => {
            let stream = listener.accept()?.0;
            in_child("server", || talk(stream, take, give))
        }
        "io-uring" => through_a_ring(&listener, take, give),
        "hand-over" => hand_over(&listener, take, give),
        other => bail!("no way {other:?} to serve"),
    }
}

/// `network-namespace <role> …`: plays the role in a network namespace of its own, where it talks to
/// itself: a listener, and a connection to it.
pub(crate) fn namespace(args: &[OsString]) -> Result<()> {
    let (bytes, _) = number(args)?;
    sys::unshare(libc::CLONE_NEWNET)?;
    sys::loopback_up()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut here = TcpStream::connect(listener.local_addr()?)?;
    let there = listener.accept()?.0;
    here.write_all(&vec![b'x'; bytes as usize])?;
    talk(there, bytes, 0)
}

/// Reads and writes so many bytes, then closes.
fn talk(mut stream: TcpStream, take: u32, give: u32) -> Result<()> {
    stream.read_exact(&mut vec![0; take as usize])?;
    stream.write_all(&vec![b'y'; give as usize])?;
    Ok(())
}

/// No system call of the network at all.
fn through_a_ring(listener: &TcpListener, take: u32, give: u32) -> Result<()> {
    let mut ring = Ring::new()?;
    let stream = ring.accept(listener)?;
    let mut buffer = vec![b'y'; take.max(give) as usize];
    let mut taken = 0;
    while taken < take as usize {
        taken += ring.receive(&stream, &mut buffer[..take as usize - taken])?;
    }
    let mut given = 0;
    while given < give as usize {
        given += ring.send(&stream, &buffer[given..give as usize])?;
    }
    Ok(())
}

/// Another process takes the descriptor over; this one closes its own at once.
fn hand_over(listener: &TcpListener, take: u32, give: u32) -> Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = sys::fork()?;
    if child.is_none() {
        let stream = TcpStream::from(sys::receive_fd(&theirs)?);
        talk(stream, take, give)?;
        sys::exit_group(0);
    }
    let stream = listener.accept()?.0;
    sys::send_fd(&ours, stream.as_fd())?;
    drop(stream);
    reap("server", child.unwrap_or_default())
}

/// Does something in a child, which inherits what the closure took; here that is closed.
fn in_child(name: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let child = sys::fork()?;
    if child.is_none() {
        let code = i32::from(act().is_err());
        sys::exit_group(code);
    }
    drop(act);
    reap(name, child.unwrap_or_default())
}

fn reap(name: &str, child: u32) -> Result<()> {
    named(name, child)?;
    while sys::wait_any()?.is_some() {}
    Ok(())
}

fn named(name: &str, number: u32) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{name} {number}")?;
    Ok(stdout.flush()?)
}

fn word(args: &[OsString]) -> Result<(&str, &[OsString])> {
    let (first, rest) = args.split_first().context("a word is missing")?;
    Ok((first.to_str().context("a word is not text")?, rest))
}
