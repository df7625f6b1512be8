use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;
use wanglou_daemon::service::{Told, Word};

use super::attendant::{Attendant, Ended};
use super::breaker::{self, Breaker, Usage, Verdict};
use super::cgroup;
use super::settings::Settings;
use crate::action::Category;
use crate::config::{Config, Effective, Layers};
use crate::host;
use crate::image;
use crate::log::{self, ids};
use crate::spread::Spread;
use crate::telemetry::{self, Server, State};
use crate::worker::write_last_ledgers;

/// The first pause before a worker is started again; each one after is twice as long. A host takes between
/// half and all of it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(60);

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
    /// Another one is to begin with other settings.
    Outdated,
}

/// What goes on from one worker to the next.
struct Supervisor<'a> {
    told: Told,
    settings: Settings<'a>,
    breaker: Breaker,
    spread: Spread,
    pause: Duration,
    /// Whether any worker has ever been ready.
    worked: bool,
    /// What there is to say of us, in a line.
    status: String,
    /// What there is to say to whoever asks, and who answers.
    state: State,
    server: Option<Server>,
}

/// Runs until told to end, or until nobody wants the output any more. `layers` finds where the settings
/// come from, whenever they are to be read again.
pub async fn run(effective: Effective, layers: &dyn Fn() -> Layers) -> Result<ExitCode> {
    effective.config.outputs.check().map_err(anyhow::Error::msg)?;
    let file = layers().file_or_usual::<Config>();
    let spread = Spread::of(&host::id());
    let state = State::new(&effective);
    let server = telemetry::serve(state.clone()).await?;
    let mut supervisor = Supervisor {
        told: Told::new(file)?,
        breaker: Breaker::new(effective.config.budget),
        settings: Settings::new(effective, layers, spread),
        spread,
        pause: FIRST_PAUSE,
        worked: false,
        status: String::new(),
        state,
        server,
    };
    cgroup::remove_stale();
    supervisor.run().await
}

impl Supervisor<'_> {
    async fn run(&mut self) -> Result<ExitCode> {
        let mut last = None;
        loop {
            let started = Instant::now();
            let (level, state) = (self.breaker.level(), &self.state);
            let settings = self.settings.hand_over();
            let rest = match Attendant::start(settings, last.as_ref(), level, state) {
                Err(error) if !self.worked => return Err(error).context("cannot start a worker"),
                Err(error) => {
                    let pause = self.longer();
                    let what = format!("cannot start a worker: {error}: again in {pause:?}");
                    tracing::error!(id = ids::WORKER_NOT_STARTED.code, "{what}");
                    self.set_status(what);
                    pause
                }
                Ok(mut worker) => {
                    let event = self.attend(&mut worker).await?;
                    if worker.is_ready() && started.elapsed() >= HEALTHY {
                        self.pause = FIRST_PAUSE;
                    }
                    let failed = matches!(event, Event::Gone(_) | Event::Stuck);
                    let (code, rest) = self.conclude(event, &mut worker).await?;
                    if failed && !worker.is_ready() && self.settings.fall_back() {
                        self.state.configure(self.settings.effective());
                        tracing::error!(
                            id = ids::SETTINGS_TAKEN_BACK.code,
                            "no worker can begin with the new settings: those before are in force again"
                        );
                    }
                    let was_killed = code != ExitCode::SUCCESS;
                    let config = self.settings.of_worker();
                    if let Some(books) = worker.close_books(config, was_killed) {
                        if was_killed
                            && let Err(error) = write_last_ledgers(&books, &config.outputs)
                        {
                            tracing::error!(
                                id = ids::NO_LAST_LEDGER.code,
                                "the last ledger of a worker cannot be written: {error:#}"
                            );
                        }
                        last = Some(books);
                    }
                    match rest {
                        Some(rest) => rest,
                        None => return Ok(code),
                    }
                }
            };
            self.state.waits(rest);
            if !self.rest(rest).await {
                self.told.notify.stopping();
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    /// Watches a worker for as long as there is nothing to do about it.
    async fn attend(&mut self, worker: &mut Attendant) -> Result<Event> {
        let started = Instant::now();
        let mut was_ready = false;
        self.set_status("starting a worker".to_owned());
        loop {
            let word = tokio::select! {
                word = self.told.next() => word,
                ended = worker.ended() => {
                    self.worked |= worker.is_ready();
                    return Ok(Event::Gone(ended.context("cannot watch the worker")?));
                }
            };
            match word {
                Word::End => return Ok(Event::Told),
                Word::Reload | Word::Changed => {
                    self.reload(word).await;
                    worker.set_log_level(&self.settings.config().log.level);
                    worker.want(self.settings.wanted_of_worker());
                }
                Word::Tick => log::tick(),
            }
            let gets_ready = worker.is_ready() && !was_ready;
            if gets_ready {
                (was_ready, self.worked) = (true, true);
                self.settings.are_good();
                image::give_back();
            }
            if self.settings.is_due() {
                return Ok(Event::Outdated);
            }
            if !worker.is_ready() {
                if started.elapsed() >= START {
                    return Ok(Event::Stuck);
                }
                self.told.notify.starting();
                continue;
            }
            if gets_ready || word != Word::Tick {
                self.status = at_work(self.settings.wanted_of_worker());
                self.told.notify.ready(&self.status);
            }
            if word != Word::Tick {
                continue;
            }
            let Some(usage) = worker.usage(self.breaker.is_wary()).await else { continue };
            self.state.costs(usage);
            match self.breaker.sample(&usage, worker.can_shed()) {
                Verdict::GoOn => {}
                Verdict::Shed(level) => {
                    self.state.sheds(level);
                    worker.shed(level);
                    let what = breaker::given_up(level);
                    tracing::warn!(id = ids::SHEDDING.code, "breaker: {usage}: {what} given up");
                }
                Verdict::Trip(rest) => {
                    self.state.trips();
                    self.state.sheds(self.breaker.level());
                    return Ok(Event::TooMuch(usage, rest));
                }
                Verdict::Recovered => {
                    self.state.recovers();
                    tracing::info!(id = ids::BREAKER_CLOSED.code, "breaker closed: {usage}");
                }
            }
        }
    }

    /// How a worker has ended by now, and for how long to wait before the next one, if there is to be one.
    async fn conclude(
        &mut self,
        event: Event,
        worker: &mut Attendant,
    ) -> Result<(ExitCode, Option<Duration>)> {
        Ok(match event {
            Event::Told => {
                self.told.notify.stopping();
                (self.told.meanwhile(worker.stop()).await?, None)
            }
            Event::Gone(Ended::Done(code)) if code == ExitCode::SUCCESS || !self.worked => {
                (code, None)
            }
            Event::Gone(ended) => {
                let pause = self.longer();
                let what = format!("the worker {ended}: another one in {pause:?}");
                tracing::error!(id = ids::WORKER_GONE.code, "{what}");
                self.set_status(what);
                (ExitCode::FAILURE, Some(pause))
            }
            Event::Stuck => {
                let what = format!("the worker is not ready after {START:?}: another one");
                tracing::error!(id = ids::WORKER_STUCK.code, "{what}");
                self.set_status(what);
                self.told.meanwhile(worker.stop()).await?;
                (ExitCode::FAILURE, Some(self.longer()))
            }
            Event::TooMuch(usage, rest) => {
                let what = format!("breaker open: {usage}: at rest for {rest:?}");
                tracing::error!(id = ids::BREAKER_OPEN.code, "{what}");
                self.set_status(what);
                (self.told.meanwhile(worker.stop()).await?, Some(rest))
            }
            Event::Outdated => (self.told.meanwhile(worker.stop()).await?, Some(Duration::ZERO)),
        })
    }

    /// Has nobody work for a while; `false` if told to end.
    async fn rest(&mut self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                word = self.told.next() => match word {
                    Word::End => return false,
                    Word::Reload | Word::Changed => {
                        self.reload(word).await;
                        if self.worked {
                            self.told.notify.ready(&self.status);
                        }
                    }
                    Word::Tick => log::tick(),
                },
                () = sleep(left) => return true,
            }
        }
    }

    /// Takes other settings, or tells why not. Who calls says when they are in force.
    async fn reload(&mut self, word: Word) {
        if self.worked {
            self.told.notify.reloading();
        }
        self.settings.reload(word == Word::Reload);
        let config = self.settings.config();
        self.breaker.set_budget(config.budget);
        log::configure(&config.log);
        let listens_elsewhere = self.state.configure(self.settings.effective());
        let wants_one = config.telemetry.listen != telemetry::Listen::Off;
        if listens_elsewhere || wants_one && self.server.is_none() {
            // The old name first: it may be the same.
            if let Some(server) = self.server.take() {
                server.end().await;
            }
            match telemetry::serve(self.state.clone()).await {
                Ok(server) => self.server = server,
                Err(error) => tracing::error!(id = ids::TELEMETRY_OFF.code, "{error}"),
            }
        }
    }

    /// This pause; the next one is twice as long.
    fn longer(&mut self) -> Duration {
        let now = self.spread.shorten(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // In a line nobody needs more.
        Duration::from_millis(now.as_millis() as u64)
    }

    /// What the service manager shows of us.
    fn set_status(&mut self, status: String) {
        self.status = status;
        self.told.notify.status(&self.status);
    }
}

/// What a worker with these settings does.
fn at_work(wanted: &[Category]) -> String {
    let names: Vec<_> = wanted.iter().map(|category| category.name()).collect();
    format!("watching: {}", names.join(", "))
}
