use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::attendant::{Attendant, Ended};
use super::breaker::{Breaker, Usage, Verdict};
use crate::config::Effective;

/// The first pause before a worker is started again; each one after is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(60);
/// How often the sensor's own cost is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// Why a worker does not go on.
enum Event {
    /// Somebody told us to end.
    Told,
    /// It is gone.
    Gone(Ended),
    /// It costs too much: rest for so long.
    TooMuch(Usage, Duration),
}

/// Runs until told to end, or until nobody wants the output any more.
pub async fn run(effective: &Effective) -> Result<ExitCode> {
    let mut told = Told::new()?;
    let mut breaker = Breaker::new(effective.config.budget);
    let (mut last, mut pause, mut worked) = (None, FIRST_PAUSE, false);
    loop {
        let mut worker =
            Attendant::start(effective, last.as_ref()).context("cannot start a worker")?;
        let started = Instant::now();
        let event = attend(&mut worker, &mut breaker, &mut told).await?;
        worked |= worker.has_worked();
        let (was_killed, rest) = match event {
            Event::Told => return worker.stop().await,
            Event::Gone(Ended::Done(code)) if code == ExitCode::SUCCESS || !worked => {
                return Ok(code);
            }
            Event::Gone(ended) => {
                if started.elapsed() >= HEALTHY {
                    pause = FIRST_PAUSE;
                }
                eprintln!("wanglou-sensor: the worker {ended}: another one in {pause:?}");
                let rest = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                (true, rest)
            }
            Event::TooMuch(usage, rest) => {
                eprintln!("wanglou-sensor: breaker open: {usage}: at rest for {rest:?}");
                (worker.stop().await? != ExitCode::SUCCESS, rest)
            }
        };
        last = worker.close_books(&effective.config.events, was_killed).or(last);
        tokio::select! {
            () = told.wait() => return Ok(ExitCode::SUCCESS),
            () = sleep(rest) => {}
        }
    }
}

/// Watches a worker for as long as there is nothing to do about it.
async fn attend(worker: &mut Attendant, breaker: &mut Breaker, told: &mut Told) -> Result<Event> {
    let mut tick = interval(SAMPLE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = told.wait() => return Ok(Event::Told),
            ended = worker.ended() => {
                return Ok(Event::Gone(ended.context("cannot watch the worker")?));
            }
            _ = tick.tick() => {}
        }
        let Some(usage) = worker.usage().await else { continue };
        match breaker.sample(&usage) {
            Verdict::GoOn => {}
            Verdict::Trip(rest) => return Ok(Event::TooMuch(usage, rest)),
            Verdict::Recovered => eprintln!("wanglou-sensor: breaker closed: {usage}"),
        }
    }
}

/// SIGINT and SIGTERM.
struct Told {
    interrupt: Signal,
    terminate: Signal,
}

impl Told {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot handle SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot handle SIGTERM")?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
