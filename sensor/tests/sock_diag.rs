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
