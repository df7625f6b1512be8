use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::attendant::{Attendant, Ended};
use crate::config::Effective;

/// The first pause before a worker is started again; each one after is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(60);

/// Runs until told to end, or until nobody wants the output any more.
pub async fn run(effective: &Effective) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let (mut killed, mut pause, mut worked) = (None, FIRST_PAUSE, false);
    loop {
        let mut worker =
            Attendant::start(effective, killed.take()).context("cannot start a worker")?;
        let started = Instant::now();
        let ended = tokio::select! {
            _ = interrupt.recv() => return worker.stop().await,
            _ = terminate.recv() => return worker.stop().await,
            ended = worker.ended() => ended.context("cannot watch the worker")?,
        };
        worked |= worker.has_worked();
        match ended {
            Ended::Done(code) if code == ExitCode::SUCCESS || !worked => return Ok(code),
            ended => eprintln!("wanglou-sensor: the worker {ended}: another one in {pause:?}"),
        }
        killed = worker.close_books(&effective.config.events);
        if started.elapsed() >= HEALTHY {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
