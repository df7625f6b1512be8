use std::mem;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::attendant::{Attendant, Ended};
use super::breaker::{Breaker, Usage, Verdict};
use crate::config::Effective;
use crate::image;
use crate::telemetry::{self, State};
use crate::worker::write_last_ledger;

/// The first pause before a worker is started again; each one after is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(60);
/// How often the sensor's own cost is looked at.
const SAMPLE: Duration = Duration::from_secs(1);

/// A worker that is not ready by then never will be.
const START: Duration = Duration::from_secs(120);

/// Why a worker does not go on.
enum Event {
    /// Somebody told us to end.
    Told,
    /// It is gone.
    Gone(Ended),
    /// It does not get ready.
    Stuck,
    /// It costs too much: rest for so long.
    TooMuch(Usage, Duration),
}

/// Runs until told to end, or until nobody wants the output any more.
pub async fn run(effective: &Effective) -> Result<ExitCode> {
    let mut told = Told::new()?;
    let state = State::new(effective);
    let _telemetry = telemetry::serve(&state).await?;
    let mut breaker = Breaker::new(effective.config.budget);
    let (mut last, mut pause, mut worked) = (None, FIRST_PAUSE, false);
    loop {
        let started = Instant::now();
        let rest = match Attendant::start(effective, last.as_ref(), &state) {
            Err(error) if !worked => return Err(error).context("cannot start a worker"),
            Err(error) => {
                eprintln!("wanglou-sensor: cannot start a worker: {error}: again in {pause:?}");
                longer(&mut pause)
            }
            Ok(mut worker) => {
                let event = attend(&mut worker, &mut breaker, &mut told, &state).await?;
                worked |= worker.is_ready();
                if worker.is_ready() && started.elapsed() >= HEALTHY {
                    pause = FIRST_PAUSE;
                }
                let (code, rest) = conclude(event, &mut worker, worked, &mut pause).await?;
                let was_killed = code != ExitCode::SUCCESS;
                if let Some(books) = worker.close_books(&effective.config.events, was_killed) {
                    if was_killed {
                        write_last_ledger(&books)?;
                    }
                    last = Some(books);
                }
                match rest {
                    Some(rest) => rest,
                    None => return Ok(code),
                }
            }
        };
        state.waits(rest);
        tokio::select! {
            () = told.wait() => return Ok(ExitCode::SUCCESS),
            () = sleep(rest) => {}
        }
    }
}

/// How a worker has ended by now, and for how long to wait before the next one, if there is to be one.
async fn conclude(
    event: Event,
    worker: &mut Attendant,
    worked: bool,
    pause: &mut Duration,
) -> Result<(ExitCode, Option<Duration>)> {
    Ok(match event {
        Event::Told => (worker.stop().await?, None),
        Event::Gone(Ended::Done(code)) if code == ExitCode::SUCCESS || !worked => (code, None),
        Event::Gone(ended) => {
            eprintln!("wanglou-sensor: the worker {ended}: another one in {pause:?}");
            (ExitCode::FAILURE, Some(longer(pause)))
        }
        Event::Stuck => {
            eprintln!("wanglou-sensor: the worker is not ready after {START:?}: another one");
            worker.stop().await?;
            (ExitCode::FAILURE, Some(longer(pause)))
        }
        Event::TooMuch(usage, rest) => {
            eprintln!("wanglou-sensor: breaker open: {usage}: at rest for {rest:?}");
            (worker.stop().await?, Some(rest))
        }
    })
}

/// This pause; the next one is twice as long.
fn longer(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(LONGEST_PAUSE);
    now
}

/// Watches a worker for as long as there is nothing to do about it.
async fn attend(
    worker: &mut Attendant,
    breaker: &mut Breaker,
    told: &mut Told,
    state: &State,
) -> Result<Event> {
    let (started, mut settled) = (Instant::now(), false);
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
        if !worker.is_ready() && started.elapsed() >= START {
            return Ok(Event::Stuck);
        }
        let Some(usage) = worker.usage(breaker.is_wary()).await else { continue };
        if !mem::replace(&mut settled, true) {
            image::give_back_the_beginning();
        }
        state.costs(usage);
        match breaker.sample(&usage) {
            Verdict::GoOn => {}
            Verdict::Trip(rest) => {
                state.trips();
                return Ok(Event::TooMuch(usage, rest));
            }
            Verdict::Recovered => {
                state.recovers();
                eprintln!("wanglou-sensor: breaker closed: {usage}");
            }
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
