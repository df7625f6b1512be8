//! Sockets without probes: what is open at start, what comes and what goes.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process, thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Watch,
    event::{action, pid, text},
    lock, number, root_or_skip,
};

/// Longer than it takes to look again.
const A_LOOK: Duration = Duration::from_millis(5500);

#[test]
fn sockets_are_listed_with_their_owner() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let before = (TcpStream::connect(address)?, listener.accept()?);
    let watch = Watch::builder().backend("cn_proc").arg("--include-loopback").start()?;
    let after = (TcpStream::connect(address)?, listener.accept()?);
    thread::sleep(A_LOOK);
    drop((before, after));
    thread::sleep(A_LOOK);
    let stream = watch.stop()?.stream()?;

    let ours: Vec<&Value> = stream
        .events()
        .iter()
        .filter(|event| pid(event) == Some(process::id()))
        .filter(|event| {
            let port = Some(u64::from(address.port()));
            number(event, "destination.port") == port || number(event, "source.port") == port
        })
        .collect();
    let count = |wanted: &str| ours.iter().filter(|event| action(event) == wanted).count();
    for (wanted, times) in [
        ("listen", 1),
        ("existing_connection", 2),
        ("connection_attempted", 1),
        ("connection_accepted", 1),
        ("disconnect_received", 4),
    ] {
        ensure!(count(wanted) == times, "{} times {wanted}, not {times}", count(wanted));
    }
    for event in ours {
        ensure!(text(event, "event.provider") == Some("sock_diag"), "{event}");
        ensure!(number(event, "source.bytes").is_none(), "bytes that nobody knows: {event}");
    }
    Ok(())
}

#[test]
fn rules_hold_for_what_is_listed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let kept = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let dropped = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let ports = [kept.local_addr()?.port(), dropped.local_addr()?.port()];
    let held =
        (TcpStream::connect(kept.local_addr()?)?, TcpStream::connect(dropped.local_addr()?)?);
    let me = std::env::current_exe()?;
    let watch = Watch::builder()
        .backend("cn_proc")
        .arg("--include-loopback")
        .arg("--filter")
        .arg(&format!("drop port={} executable={}", ports[1], me.display()))
        .start()?;
    let stream = watch.stop()?.stream()?;
    drop(held);
    let ours = |port: u16| {
        let is_ours = |event: &&Value| {
            pid(event) == Some(process::id())
                && ["destination.port", "source.port"]
                    .iter()
                    .any(|end| number(event, end) == Some(port.into()))
        };
        stream.events().iter().filter(is_ours).count()
    };
    // Who listens, and the end that connected; nobody has taken the other.
    ensure!(ours(ports[0]) == 2, "{} events of the port that no rule names", ours(ports[0]));
    ensure!(ours(ports[1]) == 0, "{} events of the port that a rule drops", ours(ports[1]));
    Ok(())
}
