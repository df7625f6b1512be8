//! A storm that goes on while all that is between a process and the lake is killed, away or full: what is not in the
//! partitions afterwards was lost by a cause that the books name, or happened while nobody watched, and the sensor says
//! when that was.

mod account;
mod partitions;
mod plan;
mod programs;
mod victims;
mod waves;

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::Mutex;
use tokio::time::sleep;
use wanglou_fleet_testkit::operator::balanced;
use wanglou_fleet_testkit::sensor;

use crate::account::Account;
use crate::partitions::Partitions;
use crate::plan::{Act, plan, upgrade};
use crate::victims::Victims;
use crate::waves::Waves;

/// One after the other: each of them needs the machine.
static TURN: Mutex<()> = Mutex::const_new(());
const SOON: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// For what happens once all is well again.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Whether there is what this is about; says if not.
fn has_programs() -> bool {
    let is_there =
        ["WANGLOU_SENSOR", "WANGLOU_TESTKIT_BIN"].iter().all(|it| env::var_os(it).is_some());
    if !is_there {
        eprintln!("skipped: WANGLOU_SENSOR and WANGLOU_TESTKIT_BIN are not set");
    }
    is_there
}

async fn chaos_for(length: Duration) -> Result<()> {
    if !has_programs() {
        return Ok(());
    }
    let _turn = TURN.lock().await;
    let seed = match env::var("WANGLOU_SEED") {
        Ok(seed) => seed.parse().context("WANGLOU_SEED is no number")?,
        Err(_) => fastrand::u64(..),
    };
    println!("WANGLOU_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let plan = plan(&mut random, length);
    let gone = go_through(plan, length, random).await;
    gone.with_context(|| format!("with WANGLOU_SEED={seed}"))
}

async fn upgrade_every(between: Duration) -> Result<()> {
    if !has_programs() {
        return Ok(());
    }
    let _turn = TURN.lock().await;
    let plan = upgrade(between);
    let length = between * (plan.len() as u32 + 1);
    go_through(plan, length, fastrand::Rng::new()).await
}

async fn go_through(
    plan: Vec<(Duration, Act)>,
    length: Duration,
    mut random: fastrand::Rng,
) -> Result<()> {
    let mut plan = plan.into_iter().peekable();
    let mut victims = Victims::start().await?;
    let waves = Waves::begin(random.u64(..))?;
    let (start, folder) = (Instant::now(), waves.folder());
    while plan.peek().is_some() || start.elapsed() < length {
        if let Some((at, act)) = plan.next_if(|(at, _)| *at <= start.elapsed()) {
            println!("{:>6.1} s {act:?}", at.as_secs_f64());
            victims.act(act, &mut random).await.with_context(|| format!("{act:?}"))?;
        }
        victims.look()?;
        sleep(POLL).await;
    }
    victims.heal().await?;
    sleep(AFTERWARDS).await;
    let truth = tokio::task::spawn_blocking(|| waves.end()).await??;
    // What the last worker has handed over is to be told before its supervisor ends.
    victims.heal().await?;
    victims.end_sensor()?;
    let balances = balanced(victims.scene.pki(), &victims.replicas[0], SOON).await?;
    let lake = victims.end_replicas().await?;

    let there = Partitions::read(&lake, &sensor::machine_id()?, &folder)?;
    let (runs, begun) = (balances.len(), victims.begun);
    ensure!(runs >= begun, "{begun} workers were ready, and {runs} runs are known");
    let account = Account::of(&truth, &there, &balances, &victims.kills)?;
    let seconds = start.elapsed().as_secs();
    println!("in {seconds} s killed {:?}: {account}", victims.killed);
    ensure!(account.share_found() > 0.5, "hardly anybody has watched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_in_a_storm_nothing_is_missing_without_a_cause() -> Result<()> {
    chaos_for(Duration::from_secs(75)).await
}

/// With `WANGLOU_PREVIOUS` from one version to the other and back, else from one process to the next.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_in_a_storm_and_a_downgrade_lose_nothing_without_a_cause() -> Result<()> {
    upgrade_every(Duration::from_secs(5)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn whatever_is_killed_for_ten_minutes_nothing_is_missing_without_a_cause() -> Result<()> {
    chaos_for(Duration::from_secs(600)).await
}
