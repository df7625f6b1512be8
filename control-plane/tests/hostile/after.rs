//! Who has shown a certificate and speaks HTTP/2, as a host does that somebody has taken over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::sensor::v1::control_request::Message as Say;
use wanglou_api::sensor::v1::{Heartbeat, Hello, Ledger, Module};
use wanglou_fleet_testkit::Host;
use wanglou_fleet_testkit::host::hello;
use wanglou_fleet_testkit::operator::{becomes, seen};
use wanglou_fleet_testkit::raw::{Call, Line};

use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(20);
const WINDOW: u32 = 65_535;

/// A stream that is welcome.
async fn welcome(stage: &Stage, id: &str, window: u32) -> Result<(Line, Call)> {
    let mut line = stage.raw(id)?.open(window).await?;
    let mut call = line.call().await?;
    call.message(Say::Hello(hello(id)))?;
    call.answered().await?;
    Ok((line, call))
}

fn heartbeat(change: impl FnOnce(&mut Heartbeat)) -> Bytes {
    let mut heartbeat = Heartbeat::default();
    change(&mut heartbeat);
    let message =
        wanglou_api::sensor::v1::ControlRequest { message: Some(Say::Heartbeat(heartbeat)) };
    framed(&prost::Message::encode_to_vec(&message))
}

/// With the head of a gRPC message before it.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_what_cannot_be_read_or_is_too_large_is_cut_off() -> Result<()> {
    let mut stage = Stage::new().await?;
    let said = [
        // Lengths that are lies, flags that mean nothing or what was not agreed, and no protobuf.
        Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]),
        Bytes::from_static(&[0, 0, 8, 0, 1]),
        Bytes::from_static(&[7, 0, 0, 0, 0]),
        Bytes::from_static(&[1, 0, 0, 0, 1, 0]),
        framed(&[0xff; 100]),
        // Good messages that are too much.
        heartbeat(|it| it.reason = "x".repeat(500_000)),
        heartbeat(|it| it.modules = vec![Module::default(); 100_000]),
        heartbeat(|it| {
            let dropped = (0..1_000).map(|n| (n.to_string(), n)).collect();
            it.ledger = Some(Ledger { dropped, ..Ledger::default() });
        }),
    ];
    let wanted = said.len() as u64;
    for (n, bytes) in said.into_iter().enumerate() {
        let id = format!("thief-{n}");
        let (_line, mut call) = welcome(&stage, &id, WINDOW).await?;
        becomes(&mut stage.operator, &id, State::Alive, PATIENCE).await?;
        call.bytes(bytes)?;
        becomes(&mut stage.operator, &id, State::Suspect, PATIENCE).await?;
        stage.counts("streams", "malformed", n as u64 + 1).await?;
    }
    stage.goes_on().await?;
    ensure!(stage.counted("streams", "malformed").await? == wanted, "more than those");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_hello_as_it_should_is_not_welcome() -> Result<()> {
    let mut stage = Stage::new().await?;
    let mut line = stage.raw("thief")?.open(WINDOW).await?;
    let mut silent = line.call().await?;
    silent.answered().await?;
    let long = Hello { instance_id: "x".repeat(65), ..hello("thief") };
    let nobody = Hello { instance_id: String::new(), ..hello("thief") };
    for first in [Say::Heartbeat(Heartbeat::default()), Say::Hello(long), Say::Hello(nobody)] {
        let mut call = line.call().await?;
        call.message(first)?;
        ensure!(call.ended().await? == Code::InvalidArgument as u16, "another status");
    }
    let mut torn = line.call().await?;
    torn.bytes(Bytes::from_static(&[9; 9]))?;
    ensure!(torn.ended().await? == Code::InvalidArgument as u16, "another status");
    stage.counts("streams", "no_hello", 4).await?;
    ensure!(seen(&mut stage.operator, "thief").await.is_none(), "it is known");
    stage.goes_on().await?;
    // Who says nothing has ten seconds.
    ensure!(silent.ended().await? == Code::InvalidArgument as u16, "another status");
    stage.counts("streams", "no_hello", 5).await?;

    // What a host calls itself may be long: as much of it is kept as a host may say.
    let hostname = "\u{1f980}".repeat(100_000);
    let hello = Hello { hostname, ..hello("boastful") };
    let _host = Host::connect_with(stage.pki(), &stage.address(), "boastful", hello).await?;
    becomes(&mut stage.operator, "boastful", State::Alive, PATIENCE).await?;
    let kept = seen(&mut stage.operator, "boastful").await.context("it is known")?;
    ensure!(kept.hostname.len() == 256, "{} bytes are kept", kept.hostname.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_is_cut_off_and_others_hear_every_stop() -> Result<()> {
    let mut stage = Stage::new().await?;
    // It takes not one byte of any answer.
    let (_line, _call) = welcome(&stage, "deaf", 0).await?;
    becomes(&mut stage.operator, "deaf", State::Alive, PATIENCE).await?;
    for _ in 0..20 {
        stage.goes_on().await?;
    }
    stage.counts("streams", "deaf", 1).await?;
    becomes(&mut stage.operator, "deaf", State::Lost, PATIENCE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_by_the_thousand_is_told_when_to_come_again() -> Result<()> {
    const CALLS: u64 = 5_000;
    let mut stage = Stage::new().await?;
    let raw = stage.raw("thief")?;
    let mut lines = Vec::new();
    for _ in 0..8 {
        lines.push(raw.open(WINDOW).await?);
    }
    let start = Instant::now();
    let mut calls = 0;
    while calls < CALLS {
        for line in &mut lines {
            calls += 1;
            // The replica ends a connection on which too much is abandoned.
            let Ok(mut call) = line.call().await else {
                *line = raw.open(WINDOW).await?;
                continue;
            };
            if calls % 2 == 0 {
                // It has left when the next is opened, and nobody waits for an answer.
                tokio::task::yield_now().await;
            } else {
                let _ = call.answered().await;
            }
        }
    }
    println!("{calls} streams came and went in {:?}", start.elapsed());
    stage.goes_on().await?;
    let opened = stage.counted("streams", "opened").await?;
    let too_often = stage.counted("streams", "too_often").await?;
    println!("{opened} were opened and {too_often} came too often");
    // Ten at once and one every two seconds.
    ensure!(opened <= 10 + 1 + start.elapsed().as_secs() / 2, "{opened} were opened");
    ensure!(too_often > 100, "{too_often} were turned away");
    let mut let_in = Vec::new();
    let refused = loop {
        match Host::connect(stage.pki(), &stage.address(), "thief", "a").await {
            Ok(host) => let_in.push(host),
            Err(error) => break error,
        }
        ensure!(let_in.len() < 5, "it is let in again and again");
    };
    let status = refused.downcast_ref::<Status>().context("no status")?;
    ensure!(status.code() == Code::ResourceExhausted, "{status}");
    let again = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let again = again.context("no time to come again")?;
    ensure!((2..=20).contains(&again.as_secs()), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_stops_talking_takes_no_time_from_others() -> Result<()> {
    let mut stage = Stage::new().await?;
    let mut talking = Vec::new();
    for n in 0..8 {
        let id = format!("thief-{n}");
        let (line, mut call) = welcome(&stage, &id, WINDOW).await?;
        // Not so small that HTTP/2 itself ends what is in so many pieces.
        let whole = heartbeat(|it| it.reason = "x".repeat(4_000));
        talking.push(tokio::spawn(async move {
            let _line = line;
            loop {
                if let Err(error) = call.say_when_there_is_room(&whole).await {
                    return error;
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..3 {
        stage.goes_on().await?;
    }
    stage.counts("streams", "held_back", 8).await?;
    for talking in talking {
        ensure!(!talking.is_finished(), "one of them was cut off: {:#}", talking.await?);
        talking.abort();
    }
    Ok(())
}
