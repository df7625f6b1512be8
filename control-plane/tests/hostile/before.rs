//! Who has not shown a certificate, or not spoken HTTP/2 after that.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use wanglou_fleet_testkit::Host;
use wanglou_fleet_testkit::raw::from_elsewhere;

use crate::stage::Stage;

/// A record of 512 bytes with a `ClientHello` in it (RFC 8446, 4 and 5.1), of which no more comes.
const HALF_A_HELLO: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_who_say_nothing_or_half_a_hello_hold_nobody_up() -> Result<()> {
    const MANY: u64 = 10_000;
    let mut stage = Stage::new().await?;
    let mut held = Vec::new();
    let (start, mut most, mut new) = (Instant::now(), 0, Vec::new());
    for n in 0..MANY {
        let mut stream = from_elsewhere(&stage.address()).await?;
        if n % 2 == 0 {
            // One that is refused at once may have closed already.
            let _ = stream.write_all(&HALF_A_HELLO).await;
        }
        held.push(stream);
        if n % 2_500 == 1_250 {
            most = most.max(stage.replica.usage()?.descriptors);
            // Whoever comes from another address is welcome meanwhile.
            let came = Instant::now();
            let id = format!("new-{n}");
            new.push(Host::connect(stage.pki(), &stage.address(), &id, "a").await?);
            ensure!(came.elapsed() < PATIENCE / 10, "{id} was welcome after {:?}", came.elapsed());
        }
    }
    println!("{MANY} came in {:?}; the replica had {most} descriptors", start.elapsed());
    ensure!(most < 1_200, "the replica has {most} descriptors");
    stage.goes_on().await?;
    // All of them are over by now, or soon, and each is counted once.
    let start = Instant::now();
    loop {
        let crowded = stage.counted("connections", "crowded").await?;
        let refused = stage.counted("connections", "refused").await?;
        if crowded + refused == MANY {
            ensure!(refused >= 1_024, "there was room for {refused}");
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "{crowded} crowded and {refused} refused");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(stage.replica.usage()?.descriptors < 100, "it has kept some");
    drop(held);
    stage.goes_on().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_hello_and_nothing_more_has_half_of_the_places() -> Result<()> {
    const PLACES: u64 = 400;
    let mut stage = Stage::with(&[("control.connections", json!(PLACES))]).await?;
    let raw = stage.raw("thief")?;
    let mut held = Vec::new();
    for _ in 0..PLACES * 3 / 2 {
        held.push(raw.greet().await?);
    }
    stage.counts("connections", "crowded", PLACES).await?;
    let came = Instant::now();
    Host::connect(stage.pki(), &stage.address(), "new", "a").await?;
    ensure!(came.elapsed() < PATIENCE / 10, "it was welcome after {:?}", came.elapsed());
    stage.goes_on().await?;
    // Those that were let in have ten seconds for the rest.
    stage.counts("connections", "refused", PLACES / 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_refused() -> Result<()> {
    let mut stage = Stage::new().await?;
    for n in 0..200_u8 {
        let mut stream = from_elsewhere(&stage.address()).await?;
        let garbage: Vec<_> = (0..1_024_u32).map(|byte| (byte * 31) as u8 ^ n).collect();
        // It may have been refused before all of it was said.
        let _ = stream.write_all(&garbage).await;
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.context("no end")?;
    }
    stage.counts("connections", "refused", 200).await?;
    stage.goes_on().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_and_speaks_no_http2_is_cut_off() -> Result<()> {
    let mut stage = Stage::new().await?;
    let raw = stage.raw("thief")?;
    let start = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(raw.connect().await?);
        let mut stream = raw.connect().await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: replica\r\n\r\n").await?;
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.context("no end")?;
    }
    stage.counts("connections", "no_http2", 10).await?;
    // It begins well and goes on badly: that ends it too.
    let mut stream = raw.connect().await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    stream.write_all(&[0xff; 64]).await?;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.context("no end")?;
    stage.goes_on().await?;
    // Those that say nothing at all have ten seconds.
    for mut stream in silent {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let _ = timeout(left, stream.read_to_end(&mut Vec::new())).await.context("it stays")?;
    }
    stage.counts("connections", "no_http2", 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_certificate_there_are_only_so_many_connections() -> Result<()> {
    const SERVED: usize = 32;
    let mut stage = Stage::new().await?;
    let raw = stage.raw("thief")?;
    let mut held = Vec::new();
    for _ in 0..SERVED {
        held.push(raw.open(65_535).await?);
    }
    for _ in 0..400 {
        // In TLS 1.3 it has finished before the replica has looked at who it is.
        let mut stream = raw.connect().await?;
        let end = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        let _ = end.context("it is served")?;
    }
    stage.counts("connections", "too_many", 400).await?;
    stage.goes_on().await?;
    // Once they are gone there is room again.
    drop(held);
    let start = Instant::now();
    while let Err(error) = Host::connect(stage.pki(), &stage.address(), "thief", "a").await {
        ensure!(start.elapsed() < PATIENCE, error);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
