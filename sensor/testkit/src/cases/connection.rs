//! Who talks to whom, how much, and how it ends.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    process::{Child, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Case, Expect, Skip, Stage,
    expect::{absent, same},
};
use crate::{
    bins,
    event::{Stream, number, text},
    sys::{Connect, Ring},
};

const SENT: u32 = 1234;
const ANSWERED: u32 = 54_321;

pub(super) const CASES: &[Case] = &[
    Case::probes("tcp_plain", |stage| exchange(stage, V4, "plain", "address", None)),
    Case::probes("tcp_v6", |stage| exchange(stage, V6, "plain", "address", None)),
    Case::probes("tcp_mapped", |stage| exchange(stage, MAPPED, "plain", "address", None)),
    Case::probes("tcp_nonblocking", |stage| exchange(stage, V4, "nonblocking", "address", None)),
    Case::probes("tcp_accept_null", |stage| exchange(stage, V4, "plain", "null", None)),
    Case::probes("tcp_worker", |stage| exchange(stage, V4, "plain", "worker", Some("worker"))),
    Case::probes("tcp_fork_server", |stage| exchange(stage, V4, "plain", "fork", None)),
    Case::probes("tcp_hand_over", |stage| exchange(stage, V4, "plain", "hand-over", None)),
    Case::probes("tcp_io_uring", io_uring),
    Case::probes("tcp_silent", silent),
    Case::probes("tcp_idle", idle),
    Case::probes("tcp_half_closed", half_closed),
    Case::probes("tcp_reset", reset),
    Case::probes("tcp_refused", refused),
    Case::probes("tcp_timed_out", timed_out),
    Case::probes("tcp_namespace", namespace),
];

/// Where the server listens, and where the client goes.
type Ends = (IpAddr, IpAddr);

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V4: Ends = (LOCALHOST, LOCALHOST);
const V6: Ends = (IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
/// The server takes what comes over IPv4 at a socket of IPv6.
const MAPPED: Ends = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), LOCALHOST);

/// A client and a server that have talked.
struct Talk {
    client: u32,
    server: u32,
    port: u16,
    /// What the server named.
    named: Vec<(String, u32)>,
}

impl Talk {
    fn now(stage: &Stage, ends: Ends, client: &str, server: &str) -> Result<Self> {
        let (mut child, lines, port) = Self::serve(stage, ends, server)?;
        let address = SocketAddr::new(ends.1, port);
        let client = stage.run(stage.role("tcp-connect").args([
            client,
            &address.to_string(),
            &SENT.to_string(),
        ]))?;
        child.wait()?;
        let named = lines.map_while(Result::ok).filter_map(|line| word_and_number(&line)).collect();
        Ok(Self { client, server: child.id(), port, named })
    }

    fn serve(
        stage: &Stage,
        ends: Ends,
        how: &str,
    ) -> Result<(Child, impl Iterator<Item = std::io::Result<String>> + use<>, u16)> {
        let (take, give) = (SENT.to_string(), ANSWERED.to_string());
        let mut command = stage.role("tcp-serve");
        command.args([how, &ends.0.to_string(), &take, &give]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let first = lines.next().context("the server names no port")??;
        let (_, port) = word_and_number(&first).context("the server names no port")?;
        Ok((child, lines, port.try_into()?))
    }

    fn named(&self, name: &str) -> Result<u32> {
        let found = self.named.iter().find(|(other, _)| other == name);
        Ok(found.with_context(|| format!("no {name} was named"))?.1)
    }
}

fn word_and_number(line: &str) -> Option<(String, u32)> {
    let (word, number) = line.split_once(' ')?;
    Some((word.to_owned(), number.parse().ok()?))
}

/// The events of both ends of a connection.
struct Both<'e> {
    attempted: &'e Value,
    accepted: &'e Value,
    /// What the client's end tells, and the server's.
    over: [&'e Value; 2],
}

impl<'e> Both<'e> {
    fn of(stream: &'e Stream, client: u32, server: u32) -> Result<Self> {
        let (client, server) = (stream.life(client)?, stream.life(server)?);
        let both = Self {
            attempted: client.one("connection_attempted")?,
            accepted: server.one("connection_accepted")?,
            over: [client.one("disconnect_received")?, server.one("disconnect_received")?],
        };
        both.agree()?;
        Ok(both)
    }

    /// All four are of the same connection, and say so.
    fn agree(&self) -> Result<()> {
        let same_everywhere = [
            "source.ip",
            "source.port",
            "destination.ip",
            "destination.port",
            "network.community_id",
            "network.type",
        ];
        for path in same_everywhere {
            let wanted = text(self.attempted, path).map(Value::from);
            let wanted = wanted.or(number(self.attempted, path).map(Value::from));
            let wanted = wanted.with_context(|| format!("no {path}"))?;
            for event in [self.accepted, self.over[0], self.over[1]] {
                same(event, path, wanted.clone())?;
            }
        }
        for (event, direction) in [
            (self.attempted, "egress"),
            (self.accepted, "ingress"),
            (self.over[0], "egress"),
            (self.over[1], "ingress"),
        ] {
            same(event, "network.direction", direction)?;
            same(event, "network.transport", "tcp")?;
            same(event, "event.category", vec!["network"])?;
        }
        same(self.attempted, "event.type", vec!["start"])?;
        same(self.accepted, "event.type", vec!["start"])?;
        same(self.attempted, "event.outcome", "success")?;
        self.over.iter().try_for_each(|event| same(event, "event.type", vec!["end"]))
    }

    fn bytes(&self, sent: u32, answered: u32) -> Result<()> {
        self.over.iter().try_for_each(|event| {
            same(event, "source.bytes", sent)?;
            same(event, "destination.bytes", answered)
        })
    }

    fn ended(&self, client: &str, server: &str) -> Result<()> {
        same(self.over[0], "wanglou.tcp.end", client)?;
        same(self.over[1], "wanglou.tcp.end", server)
    }
}

/// Both say what they have to say; `owner` takes the connection, or the server itself.
fn exchange(
    stage: &Stage,
    ends: Ends,
    client: &str,
    server: &'static str,
    owner: Option<&str>,
) -> Result<Expect> {
    let talk = Talk::now(stage, ends, client, server)?;
    let owner = owner.map_or(Ok(talk.server), |name| talk.named(name))?;
    Ok(Box::new(move |stream| {
        let both = Both::of(stream, talk.client, owner)?;
        both.bytes(SENT, ANSWERED)?;
        both.ended("closed", "closed")?;
        both.over.iter().try_for_each(|over| same(over, "wanglou.tcp.closed_by", "destination"))?;
        same(both.attempted, "destination.port", talk.port)?;
        let client = stream.life(talk.client)?.one("exec")?;
        let cgroup = number(client, "wanglou.cgroup.id").context("no cgroup")?;
        same(both.attempted, "wanglou.cgroup.id", cgroup)?;
        same(both.attempted, "destination.ip", ends.1.to_string())?;
        same(both.attempted, "network.type", if ends.1.is_ipv4() { "ipv4" } else { "ipv6" })?;
        // Without an address only some kernels tell at once who takes a connection.
        if !matches!(server, "null" | "io-uring") {
            absent(both.accepted, "wanglou.owner")?;
        }
        let listen = stream.life(talk.server)?.one("listen")?;
        same(listen, "source.ip", ends.0.to_string())?;
        same(listen, "source.port", talk.port)
    }))
}

/// A server that takes, reads and answers through `io_uring(7)` only.
fn io_uring(stage: &Stage) -> Result<Expect> {
    if let Err(error) = Ring::new() {
        return Err(Skip(format!("this host has no io_uring: {error}")).into());
    }
    exchange(stage, V4, "plain", "io-uring", None)
}

/// Taken and closed, without a look at who calls and without a byte.
fn silent(stage: &Stage) -> Result<Expect> {
    let talk = Talk::now(stage, V4, "plain", "silent")?;
    Ok(Box::new(move |stream| Both::of(stream, talk.client, talk.server).map(drop)))
}

/// Nobody uses the connection for longer than one waits to tell of it. Where the kernel does not let the sockets be swept,
/// it is told of late, as whose end it was.
fn idle(stage: &Stage) -> Result<Expect> {
    let is_swept = bins::attaches("sweep")?;
    let talk = Talk::now(stage, V4, "plain", "idle")?;
    Ok(Box::new(move |stream| {
        let both = Both::of(stream, talk.client, talk.server)?;
        let owner = text(both.accepted, "wanglou.owner");
        if !is_swept {
            ensure!(owner == Some("first_touch"), "wanglou.owner is {owner:?}");
            return Ok(());
        }
        ensure!(matches!(owner, None | Some("listener")), "wanglou.owner is {owner:?}");
        let time = |event| crate::event::time_ns(event, "@timestamp").context("no time");
        let waited = time(both.over[1])? - time(both.accepted)?;
        ensure!(waited > 500_000_000, "told of only {waited} ns before its end");
        Ok(())
    }))
}

fn half_closed(stage: &Stage) -> Result<Expect> {
    let talk = Talk::now(stage, V4, "half-closed", "half-closed")?;
    Ok(Box::new(move |stream| {
        let both = Both::of(stream, talk.client, talk.server)?;
        both.bytes(SENT, ANSWERED)?;
        both.ended("closed", "closed")?;
        both.over.iter().try_for_each(|over| {
            same(over, "wanglou.tcp.closed_by", "source")?;
            let half = number(over, "wanglou.tcp.half_closed").context("no half_closed")?;
            ensure!(half > 250_000_000, "half closed for {half} ns");
            Ok(())
        })
    }))
}

/// The server slams the door.
fn reset(stage: &Stage) -> Result<Expect> {
    let talk = Talk::now(stage, V4, "plain", "reset")?;
    Ok(Box::new(move |stream| {
        let both = Both::of(stream, talk.client, talk.server)?;
        both.ended("reset", "aborted")?;
        same(both.over[0], "error.code", "ECONNRESET")?;
        absent(both.over[1], "error.code")
    }))
}

fn refused(stage: &Stage) -> Result<Expect> {
    // Bound, so that nobody else takes the port, but not listening any more.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    fails(stage, "plain", port, "ECONNREFUSED")
}

/// A backlog that is full answers to no SYN.
fn timed_out(stage: &Stage) -> Result<Expect> {
    let listener = crate::sys::listen(0)?;
    let address = listener.local_addr()?;
    let _first = Connect::default().to(address)?;
    fails(stage, "timed-out", address.port(), "ETIMEDOUT")
}

fn fails(stage: &Stage, how: &str, port: u16, error: &'static str) -> Result<Expect> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
    let client = stage.run(stage.role("tcp-connect").args([how, &address, "0"]))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(client)?;
        let attempted = life.one("connection_attempted")?;
        same(attempted, "event.outcome", "failure")?;
        same(attempted, "error.code", error)?;
        same(attempted, "destination.port", port)?;
        ensure!(life.of("disconnect_received").is_empty(), "what never was has ended");
        Ok(())
    }))
}

fn namespace(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("network-namespace").arg(SENT.to_string()))?;
    let ours = fs::metadata("/proc/self/ns/net")?.ino();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        let over = life.of("disconnect_received");
        ensure!(over.len() == 2, "expected both ends, saw {:?}", life.actions());
        for event in over {
            same(event, "source.bytes", SENT)?;
            let theirs = number(event, "wanglou.namespaces.net").context("no namespaces.net")?;
            ensure!(theirs != ours, "namespaces.net is ours");
        }
        Ok(())
    }))
}
