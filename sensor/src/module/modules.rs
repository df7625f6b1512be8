use std::time::Duration;

use wanglou_sensor_common::SHED_ALL;

use super::Module;
use super::busy::Busy;
use super::lifecycle::{Lifecycle, State};
use super::quota::{Done, Quota};
use super::settings::Settings;
use crate::action::{Action, Category};
use crate::books::{Books, ModuleAccount};
use crate::clock::{self, Clock};
use crate::enrich::Enricher;
use crate::ledger::Cause;
use crate::log::ids;
use crate::observation::{self, Observation};
use crate::outlets::Outlets;
use crate::output::Selection;
use crate::panics::{self, Panic};
use crate::service::Budget;

/// How often they are looked at.
const LOOK_NS: u64 = 1_000_000_000;

/// All of them, around what they share.
#[derive(Debug)]
pub struct Modules {
    enricher: Enricher,
    parts: [Part; Module::ALL.len()],
    busy: Busy,
    books: Books,
    /// How long one that did too much rests the first time.
    rest: Duration,
    /// What is told of.
    wanted: Vec<Category>,
    /// Boot-clock time of the last look, ns.
    looked: u64,
}

#[derive(Debug)]
struct Part {
    lifecycle: Lifecycle,
    quota: Quota,
    done: Done,
    /// When it panics on purpose, and how often it has been at work since it began.
    drill: Option<u64>,
    turns: u64,
}

impl Modules {
    /// Those that the books ask for, within a budget's patience.
    pub fn new(enricher: Enricher, settings: &Settings, budget: &Budget, books: Books) -> Self {
        let now = clock::boot_ns();
        let part = |module: Module| {
            let drill = settings.drill.filter(|drill| drill.module == module);
            Part {
                lifecycle: Lifecycle::new(),
                quota: Quota::new(settings.limits(module), budget.samples),
                done: Done::default(),
                drill: drill.map(|drill| drill.at),
                turns: 0,
            }
        };
        let mut modules = Self {
            enricher,
            parts: Module::ALL.map(part),
            busy: Busy::new(),
            rest: Duration::from_secs(budget.cooldown_seconds),
            wanted: books.wanted(),
            books,
            looked: now,
        };
        modules.begin_and_end(now);
        modules
    }

    /// What they share.
    pub fn enricher(&mut self) -> &mut Enricher {
        &mut self.enricher
    }

    /// The clock that events are told in.
    pub fn clock(&self) -> Clock {
        self.enricher.clock()
    }

    /// Whether one works.
    pub fn runs(&self, module: Module) -> bool {
        self.part(module).lifecycle.state() == State::Running
    }

    /// What probes are to give up: of a module that works as much as the supervisor asks for, of others all.
    pub fn levels(&self) -> [u32; Module::SEEING.len()] {
        let asked = self.books.page().shed.get() as u32;
        Module::SEEING.map(|module| if self.runs(module) { asked } else { SHED_ALL })
    }

    /// Has the one whose work it is make events of what was seen; of one that does not work it is lost.
    pub fn observe(&mut self, seen: &Observation<'_>, outlets: &mut Outlets) {
        let (module, action) = (Module::of(seen), seen.action.name());
        if let observation::Action::Cgroup = seen.action {
            // Of one that was not learnt the path is looked for later.
            let learn = |it: &mut Self, outlets: &mut Outlets| it.enricher.observe(seen, outlets);
            return self.attempt(module, outlets, learn).unwrap_or_default();
        }
        if !self.runs(module) {
            return self.lose(Cause::Shed, action, 1, outlets);
        }
        let (reported, began) = (outlets.reported(), self.busy.begin());
        let work = |it: &mut Self, outlets: &mut Outlets| it.enricher.observe(seen, outlets);
        let done = self.attempt(module, outlets, work);
        let busy = self.busy.end(began);
        let account = self.account(module);
        account.events.add(1);
        account.busy_ns.add(busy);
        self.part_mut(module).done.events += 1;
        if done.is_none() && !outlets.has_reported(action, reported) {
            self.lose(Cause::Shed, action, 1, outlets);
        }
    }

    /// Does some of a module's work; `None` if it does not run, or does not any more: it has panicked.
    pub fn attempt<T>(
        &mut self,
        module: Module,
        outlets: &mut Outlets,
        work: impl FnOnce(&mut Self, &mut Outlets) -> T,
    ) -> Option<T> {
        if !self.runs(module) {
            return None;
        }
        let part = self.part_mut(module);
        part.turns += 1;
        let is_drill = part.drill == Some(part.turns);
        let done = panics::catch(|| {
            assert!(!is_drill, "modules.drill asks for it");
            work(self, outlets)
        });
        match done {
            Ok(done) => Some(done),
            // An event may be half written: there is nothing to go on with.
            Err(panic) if outlets.is_interrupted() => panic.resume(),
            Err(panic) => {
                self.failed(module, &panic);
                if module == Module::Process {
                    outlets.mistrust_the_table();
                }
                None
            }
        }
    }

    /// Events were lost before they could be reported.
    pub fn lose(&mut self, cause: Cause, action: Action, events: u64, outlets: &mut Outlets) {
        if let Some(module) = Module::of_action(action)
            && self.part(module).lifecycle.state() != State::Off
        {
            self.account(module).dropped.add(events);
            if cause == Cause::DecodeRefused {
                self.part_mut(module).done.errors += events;
            }
        }
        outlets.lose(cause, action, events);
    }

    /// Begins those again that have rested, has those rest that did too much, and follows what is wanted.
    pub fn look(&mut self, outlets: &mut Outlets) {
        let wanted = self.books.wanted();
        let now = clock::boot_ns();
        if wanted != self.wanted {
            outlets.observe(&Selection::of(&wanted));
            self.wanted = wanted;
            self.begin_and_end(now);
        }
        let ns = now - self.looked;
        if ns < LOOK_NS {
            return;
        }
        self.looked = now;
        for module in Module::ALL {
            let rest = self.rest;
            let part = self.part_mut(module);
            let done = std::mem::take(&mut part.done);
            if part.lifecycle.begin_again(now) {
                part.turns = 0;
                tracing::info!(
                    id = ids::MODULE_BEGINS.code,
                    "module {} begins again",
                    module.name()
                );
            } else if part.lifecycle.state() == State::Running
                && let Some(excess) = part.quota.sample(done, ns)
            {
                let rest = part.lifecycle.trip(rest, now);
                self.account(module).trips.add(1);
                tracing::error!(
                    id = ids::MODULE_RESTS.code,
                    "module {}: {excess}: at rest for {rest:?}",
                    module.name()
                );
            }
            self.note(module);
        }
    }

    /// One in the middle of another of the same module is one failure.
    fn failed(&mut self, module: Module, panic: &Panic) {
        if !self.runs(module) {
            return;
        }
        self.enricher.forget_what_was_under_way();
        let (name, now) = (module.name(), clock::boot_ns());
        match self.part_mut(module).lifecycle.fail(now) {
            Some(rest) => tracing::error!(
                id = ids::MODULE_FAILED.code,
                "module {name} {panic}: again in {rest:?}"
            ),
            None => tracing::error!(
                id = ids::MODULE_GIVEN_UP.code,
                "module {name} {panic}: given up after too many failures in a row"
            ),
        }
        self.account(module).failures.add(1);
        self.note(module);
    }

    /// Who a process is has to be known whatever is told of; so only the network can be off.
    fn begin_and_end(&mut self, now: u64) {
        for module in Module::ALL {
            let is_wanted = module != Module::Network || self.wanted.contains(&Category::Network);
            self.part_mut(module).lifecycle.want(is_wanted, now);
            self.note(module);
        }
    }

    fn note(&self, module: Module) {
        self.account(module).state.set(self.part(module).lifecycle.state() as u64);
    }

    fn account(&self, module: Module) -> &ModuleAccount {
        &self.books.page().modules[module as usize]
    }

    fn part(&self, module: Module) -> &Part {
        &self.parts[module as usize]
    }

    fn part_mut(&mut self, module: Module) -> &mut Part {
        &mut self.parts[module as usize]
    }
}
