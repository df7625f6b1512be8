use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::{sleep, timeout};
use wanglou_daemon::service::Word as Of;

use super::attendant::{Attendant, Ended};
use super::breaker::{self, Breaker, Usage, Verdict};
use super::cgroup;
use super::settings::Settings;
use super::shutdown;
use super::told::{Told, Word};
use crate::action::Category;
use crate::config::{Config, Effective, Layers};
use crate::control::{Action, Command, Control};
use crate::host;
use crate::image;
use crate::log::{self, ids};
use crate::spread::Spread;
use crate::telemetry::{self, Server, State};
use crate::uplink::Keeping;
use crate::worker::write_last_ledgers;

/// The first pause before a worker is started again; each one after is twice as long. A host takes between
/// half and all of it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(60);

/// Time for what the last worker has handed over to be told at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes of what the fleet wants that are told of in the log, at most.
const MAX_TOLD: usize = 256;
/// Bytes of levels, at most.
const MAX_LEVELS: usize = 1024;
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
    /// None is to work, by order.
    Stopped,
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
    /// Who keeps what the fleet is to have, if there is one.
    keeping: Option<Keeping>,
}

/// Runs until told to end, or until nobody wants the output any more. `layers` finds where the settings
/// come from, whenever they are to be read again.
pub async fn run(effective: Effective, layers: &dyn Fn() -> Layers) -> Result<ExitCode> {
    effective.config.outputs.check().map_err(anyhow::Error::msg)?;
    let file = layers().file_or_usual::<Config>();
    let spread = Spread::of(&host::id());
    let state = State::new(&effective);
    let server = telemetry::serve(state.clone()).await?;
    let keeping = keep(&effective.config, &state);
    let control = Control::new(&effective.config, &state, keeping.clone());
    let mut supervisor = Supervisor {
        told: Told::new(file, control)?,
        breaker: Breaker::new(effective.config.budget),
        settings: Settings::new(effective, layers, spread),
        spread,
        pause: FIRST_PAUSE,
        worked: false,
        status: String::new(),
        state,
        server,
        keeping,
    };
    cgroup::remove_stale();
    let done = supervisor.run().await;
    if let Some(keeping) = &supervisor.keeping {
        if supervisor.state.uplink(|uplink| uplink.stream == telemetry::Stream::Open) {
            // What is not told now lies in the spool.
            let _ = timeout(LAST_WORDS, keeping.settle()).await;
        }
        keeping.end().await;
    }
    if supervisor.settings.config().control.is_joined() {
        supervisor.told.control.end(shutdown::is_under_way().await).await;
    }
    done
}

impl Supervisor<'_> {
    async fn run(&mut self) -> Result<ExitCode> {
        // Of a supervisor that was killed: the first worker tells of the time since.
        let mut last = match &self.keeping {
            Some(keeping) => self.told.service.meanwhile(keeping.left()).await,
            None => None,
        };
        loop {
            if !self.stay_stopped().await {
                self.told.service.notify.stopping();
                return Ok(ExitCode::SUCCESS);
            }
            let started = Instant::now();
            let (level, state) = (self.breaker.level(), &self.state);
            let settings = self.settings.hand_over();
            let keeping = self.keeping.as_ref();
            let rest = match Attendant::start(settings, last.as_ref(), level, state, keeping).await
            {
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
                    let books = worker.close_books(config, was_killed);
                    if let Some(keeping) = &self.keeping {
                        self.told.service.meanwhile(keeping.close()).await;
                    }
                    if let Some(books) = books {
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
                        Some(_) if self.told.control.stopped().is_some() => continue,
                        Some(rest) => rest,
                        None => return Ok(code),
                    }
                }
            };
            self.state.waits(rest);
            self.told.control.tell();
            if !self.rest(rest).await {
                self.told.service.notify.stopping();
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
            let is_tick = word == Word::Service(Of::Tick);
            match word {
                Word::Service(Of::End) => return Ok(Event::Told),
                Word::Service(Of::Reload | Of::Changed) => {
                    self.reload(word == Word::Service(Of::Reload)).await;
                    worker.set_log_level(self.settings.log_level());
                    worker.want(&self.settings.wanted_of_worker());
                }
                Word::Service(Of::Tick) => self.tick(),
                Word::Ordered => {}
                Word::Commanded(command) => self.obey(command, Some(worker)),
            }
            if self.told.control.stopped().is_some() {
                return Ok(Event::Stopped);
            }
            let gets_ready = worker.is_ready() && !was_ready;
            if gets_ready {
                (was_ready, self.worked) = (true, true);
                self.settings.are_good();
                self.told.control.tell();
                image::give_back();
            }
            if self.settings.is_due() {
                return Ok(Event::Outdated);
            }
            if !worker.is_ready() {
                if started.elapsed() >= START {
                    return Ok(Event::Stuck);
                }
                self.told.service.notify.starting();
                continue;
            }
            self.told.control.done(false);
            if gets_ready || !is_tick {
                self.status = at_work(&self.settings.wanted_of_worker());
                self.told.service.notify.ready(&self.status);
            }
            if !is_tick {
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
                self.told.service.notify.stopping();
                (self.told.service.meanwhile(worker.stop()).await?, None)
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
                self.told.service.meanwhile(worker.stop()).await?;
                (ExitCode::FAILURE, Some(self.longer()))
            }
            Event::TooMuch(usage, rest) => {
                let what = format!("breaker open: {usage}: at rest for {rest:?}");
                tracing::error!(id = ids::BREAKER_OPEN.code, "{what}");
                self.set_status(what);
                (self.told.service.meanwhile(worker.stop()).await?, Some(rest))
            }
            Event::Stopped => {
                self.set_status(self.told.control.stopped().unwrap_or_default());
                let code = loop {
                    match self.told.service.meanwhile(worker.stop()).await {
                        Ok(code) => break code,
                        // It is not said to be gone before it is.
                        Err(error) => {
                            tracing::error!(id = ids::WORKER_DOES_NOT_END.code, "{error:#}");
                        }
                    }
                };
                (code, Some(Duration::ZERO))
            }
            Event::Outdated => {
                (self.told.service.meanwhile(worker.stop()).await?, Some(Duration::ZERO))
            }
        })
    }

    /// Has nobody work for a while; `false` if told to end.
    async fn rest(&mut self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                word = self.told.next() => match word {
                    Word::Service(Of::End) => return false,
                    Word::Ordered if self.told.control.stopped().is_some() => return true,
                    Word::Ordered => {}
                    Word::Commanded(command) => self.obey(command, None),
                    Word::Service(Of::Reload | Of::Changed) => {
                        self.reload(word == Word::Service(Of::Reload)).await;
                        if self.worked {
                            self.told.service.notify.ready(&self.status);
                        }
                    }
                    Word::Service(Of::Tick) => self.tick(),
                },
                () = sleep(left) => return true,
            }
        }
    }

    /// Has nobody work for as long as an order says so; `false` if told to end.
    async fn stay_stopped(&mut self) -> bool {
        let mut said = None;
        while let Some(why) = self.told.control.stopped() {
            if said.as_ref() != Some(&why) {
                self.state.stops(why.clone());
                self.status.clone_from(&why);
                // That is all that it is to do.
                self.told.service.notify.ready(&self.status);
                said = Some(why);
                image::give_back();
            }
            self.told.control.done(true);
            match self.told.next().await {
                Word::Service(Of::End) => return false,
                word @ Word::Service(Of::Reload | Of::Changed) => {
                    self.reload(word == Word::Service(Of::Reload)).await;
                    self.told.service.notify.ready(&self.status);
                }
                Word::Commanded(command) => self.obey(command, None),
                Word::Ordered => {}
                Word::Service(Of::Tick) => self.tick(),
            }
        }
        if said.is_some() {
            // What was before does not count against who was told to begin.
            self.breaker = Breaker::new(self.settings.config().budget);
            self.pause = FIRST_PAUSE;
            self.state.starts();
        }
        true
    }

    /// A second is over.
    fn tick(&mut self) {
        log::tick();
        // The code of a heartbeat is not needed for long.
        if self.state.link(|link| std::mem::take(&mut link.has_spoken)) {
            image::give_back();
        }
    }

    /// Does what the fleet wants to be done once.
    fn obey(&mut self, command: Command, worker: Option<&Attendant>) {
        let what = match &command.action {
            Some(Action::SetLogLevel(wanted)) => format!("log.level = {}", wanted.level),
            Some(Action::SetModule(wanted)) if wanted.on => format!("module {} on", wanted.module),
            Some(Action::SetModule(wanted)) => format!("module {} off", wanted.module),
            Some(Action::Snapshot(_)) => "snapshot".to_owned(),
            None => "something of a later version".to_owned(),
        };
        let done = match command.action {
            Some(Action::SetLogLevel(wanted)) => self.set_log_level(&wanted.level, worker),
            Some(Action::SetModule(wanted)) => self.set_module(&wanted.module, wanted.on, worker),
            // A worker tells of everything that is there when it begins, and of nothing twice.
            Some(Action::Snapshot(_)) if worker.is_some_and(Attendant::is_ready) => {
                self.settings.renew();
                Ok(())
            }
            Some(Action::Snapshot(_)) => Err("no worker is ready".to_owned()),
            None => Err("this version of the sensor does not know it".to_owned()),
        };
        let what = &what[..what.floor_char_boundary(MAX_TOLD)];
        let came_of_it = done.as_ref().err().map_or("done", String::as_str);
        tracing::info!(id = ids::COMMANDED.code, "the fleet wants {what:?}: {came_of_it}");
        self.told.control.answer(command.command_id, done);
    }

    fn set_log_level(&mut self, level: &str, worker: Option<&Attendant>) -> Result<(), String> {
        if level.len() > MAX_LEVELS {
            return Err(format!("more than {MAX_LEVELS} bytes are no level"));
        }
        self.settings.want_log_level(level.parse()?);
        log::set_level(self.settings.log_level());
        if let Some(worker) = worker {
            worker.set_log_level(self.settings.log_level());
        }
        Ok(())
    }

    fn set_module(
        &mut self,
        name: &str,
        on: bool,
        worker: Option<&Attendant>,
    ) -> Result<(), String> {
        let found = Category::ALL.into_iter().find(|category| category.name() == name);
        let names = Category::ALL.map(Category::name).join(", ");
        let category = found.ok_or_else(|| format!("a module has to be one of {names}"))?;
        self.settings.want_module(category, on);
        if let Some(worker) = worker {
            worker.want(&self.settings.wanted_of_worker());
        }
        Ok(())
    }

    /// Takes other settings, by hand or as the file has changed, or tells why not. Who calls says when they are in force.
    async fn reload(&mut self, by_hand: bool) {
        if self.worked {
            self.told.service.notify.reloading();
        }
        self.settings.reload(by_hand);
        let config = self.settings.config();
        self.breaker.set_budget(config.budget);
        log::configure(&config.log);
        log::set_level(self.settings.log_level());
        match &self.keeping {
            Some(keeping) => keeping.configure(config.uplink).await,
            None => self.keeping = keep(config, &self.state),
        }
        self.told.control.configure(config, self.keeping.as_ref());
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
        self.told.service.notify.status(&self.status);
    }
}

/// Keeps what the fleet is to have, if there is one; also what was left by a service before.
fn keep(config: &Config, state: &State) -> Option<Keeping> {
    if !config.control.is_joined() {
        return None;
    }
    let keeping = Keeping::start(config.state_directory.clone(), config.uplink, state.clone());
    let off = |error: &std::io::Error| {
        tracing::error!(
            id = ids::SPOOL_OFF.code,
            "cannot keep a spool: {error}: see limits on processes and open files"
        );
    };
    keeping.inspect_err(off).ok()
}

/// What a worker with these settings does.
fn at_work(wanted: &[Category]) -> String {
    let names: Vec<_> = wanted.iter().map(|category| category.name()).collect();
    format!("watching: {}", names.join(", "))
}
