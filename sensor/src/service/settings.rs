//! The settings in force, and how others come into force while the sensor works.

use std::time::{Duration, Instant};

use wanglou_daemon::service::reread;

use crate::action::Category;
use crate::config::{self, Applied, Change, Config, Effective, Layers};
use crate::log::{Levels, ids};
use crate::spread::Spread;

/// Settings, and what the worker that there is has of them.
pub(super) struct Settings<'a> {
    layers: &'a dyn Fn() -> Layers,
    effective: Effective,
    /// What the fleet wants beyond them.
    wanted: Wanted,
    of_worker: Effective,
    /// Those that the worker that there is began with, and the last one that got ready.
    begun: Option<(Effective, Wanted)>,
    good: Option<(Effective, Wanted)>,
    /// When a new worker is to take what the present one does not have.
    due: Option<Instant>,
    /// One is to begin in any case.
    renew: bool,
    spread: Spread,
}

/// What the fleet wants until the service ends, whatever is configured.
#[derive(Clone, Debug, Default)]
struct Wanted {
    log_level: Option<Levels>,
    /// By category.
    modules: [Option<bool>; Category::ALL.len()],
}

impl Wanted {
    fn over(&self, config: &Config) -> Config {
        let mut config = config.clone();
        if let Some(level) = &self.log_level {
            config.log.level = level.clone();
        }
        let has = |category: Category| config.events.contains(&category);
        let is_on =
            |category: &Category| self.modules[*category as usize].unwrap_or(has(*category));
        // In the order in which they are configured, if nothing else is wanted.
        if Category::ALL.iter().any(|it| is_on(it) != has(*it)) {
            config.events = Category::ALL.into_iter().filter(is_on).collect();
        }
        config
    }
}

impl<'a> Settings<'a> {
    /// Those that were read at the start; `layers` finds where they come from once more.
    pub(super) fn new(
        effective: Effective,
        layers: &'a dyn Fn() -> Layers,
        spread: Spread,
    ) -> Self {
        let (of_worker, wanted) = (effective.clone(), Wanted::default());
        Self {
            layers,
            of_worker,
            effective,
            wanted,
            begun: None,
            good: None,
            due: None,
            renew: false,
            spread,
        }
    }

    /// What is in force.
    pub(super) fn config(&self) -> &Config {
        &self.effective.config
    }

    /// With where it comes from.
    pub(super) fn effective(&self) -> &Effective {
        &self.effective
    }

    /// What the worker that there is was told.
    pub(super) fn of_worker(&self) -> &Config {
        &self.of_worker.config
    }

    /// What the worker that there is is to tell of: what is asked for now, or all that it began with while it has
    /// to wait for one that can tell of more.
    pub(super) fn wanted_of_worker(&self) -> Vec<Category> {
        let began_with = &self.of_worker.config.events;
        let asked = self.wanted.over(&self.effective.config).events;
        let has_all = asked.iter().all(|category| began_with.contains(category));
        if has_all { asked } else { began_with.clone() }
    }

    /// A new worker is to begin, whether or not it has other settings: it tells of everything that is there.
    pub(super) fn renew(&mut self) {
        self.renew = true;
    }

    /// From which level on messages are told.
    pub(super) fn log_level(&self) -> &Levels {
        self.wanted.log_level.as_ref().unwrap_or(&self.effective.config.log.level)
    }

    /// The fleet wants these levels until the service ends.
    pub(super) fn want_log_level(&mut self, levels: Levels) {
        self.wanted.log_level = Some(levels);
    }

    /// The fleet wants a module to work, or not, until the service ends.
    pub(super) fn want_module(&mut self, category: Category, on: bool) {
        self.wanted.modules[category as usize] = Some(on);
        // One that ends takes nobody's probes with it.
        if self.worker_is_behind() {
            self.due = Some(Instant::now());
        }
    }

    /// All of them, for a new worker.
    pub(super) fn hand_over(&mut self) -> &Effective {
        (self.due, self.renew) = (None, false);
        let config = self.wanted.over(&self.effective.config);
        self.of_worker = Effective { config, places: self.effective.places.clone() };
        self.begun = Some((self.effective.clone(), self.wanted.clone()));
        &self.of_worker
    }

    /// The worker that there is has got ready with what it was told.
    pub(super) fn are_good(&mut self) {
        self.good.clone_from(&self.begun);
    }

    /// The worker that there was could not get ready: if others could with what was in force before, that is in
    /// force again. `true` if so.
    pub(super) fn fall_back(&mut self) -> bool {
        let Some((good, wanted)) = &self.good else { return false };
        if !config::is_behind(&wanted.over(&good.config), &self.of_worker.config) {
            return false;
        }
        self.effective.clone_from(good);
        self.wanted.clone_from(wanted);
        true
    }

    /// Reads all layers again, and tells what is wrong or what has changed. Whoever asked by hand has it at
    /// once; of a changed file, which all hosts of a fleet may have in the same second, a new worker is
    /// started when it is this host's turn.
    pub(super) fn reload(&mut self, by_hand: bool) {
        let read = reread(&(self.layers)(), |config: &Config| config.outputs.check());
        let Some(new) = read else { return };
        let (old, worker) = (&self.effective.config, &self.of_worker.config);
        let changes = config::changes(old, &new.config, worker);
        self.effective = new;
        let span = if by_hand { 0 } else { self.effective.config.spread_seconds };
        let offset = self.spread.within(Duration::from_secs(span));
        if self.worker_is_behind() {
            // One that has been waited for comes no later.
            let due = Instant::now() + offset;
            self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        }
        if !changes.is_empty() {
            let changes = line(&changes, offset);
            tracing::info!(id = ids::SETTINGS_CHANGED.code, "settings: {changes}");
        } else if by_hand && self.due.is_some() {
            tracing::info!(
                id = ids::SETTINGS_CHANGED.code,
                "settings: a new worker takes what has been waiting"
            );
        } else if by_hand {
            tracing::info!(id = ids::SETTINGS_CHANGED.code, "settings: nothing has changed");
        }
    }

    /// Whether it is time for a new worker.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if is_due {
            self.due = None;
        }
        // It may all have been taken back.
        self.renew || is_due && self.worker_is_behind()
    }

    fn worker_is_behind(&self) -> bool {
        config::is_behind(&self.of_worker.config, &self.wanted.over(&self.effective.config))
    }
}

/// What has changed, and when it counts.
fn line(changes: &[Change], offset: Duration) -> String {
    let told = changes.iter().map(|change| match change.applied {
        Applied::Later if !offset.is_zero() => format!("{change} in {offset:.1?}"),
        _ => change.to_string(),
    });
    told.collect::<Vec<_>>().join("; ")
}
