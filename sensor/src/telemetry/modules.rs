use std::time::Duration;

use serde_json::{Map, Value, json};

use super::state::Known;
use crate::action::Category;
use crate::module::{Module, State};

/// What there is to say of a module.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) events: u64,
    pub(super) dropped: u64,
    pub(super) failures: u64,
    pub(super) trips: u64,
    /// Of the worker, by sample; of what the sensor says of itself it is not measured.
    pub(super) cpu: Option<Duration>,
    /// Of its probes, when they were timed last.
    pub(super) probes_percent: Option<f64>,
}

/// Of each, if there is a worker or was one.
pub(super) fn reports(known: &Known) -> Vec<Report> {
    let Some(books) = &known.books else { return Vec::new() };
    let accounts = &books.page().modules;
    let busy =
        Module::SEEING.map(|module| Duration::from_nanos(accounts[module as usize].busy_ns.get()));
    let report = |module: Module| {
        let account = &accounts[module as usize];
        let is_there = known.worker.is_some();
        let probes =
            |category: Category| known.usage.map(|it| it.probes_percent[category as usize]);
        Report {
            name: module.name(),
            state: if is_there { State::numbered(account.state.get()) } else { State::Off },
            events: account.events.get(),
            dropped: account.dropped.get(),
            failures: account.failures.get(),
            trips: account.trips.get(),
            cpu: busy.get(module as usize).copied(),
            probes_percent: match module {
                Module::Process => probes(Category::Process),
                Module::Network => probes(Category::Network),
                Module::Own => None,
            },
        }
    };
    Module::ALL.map(report).into()
}

/// By name.
pub(super) fn json(known: &Known) -> Map<String, Value> {
    let module = |it: Report| {
        let module = json!({
            "state": it.state.name(),
            "events": it.events,
            "dropped": it.dropped,
            "failures": it.failures,
            "trips": it.trips,
            "cpu_seconds": it.cpu.map(|cpu| cpu.as_secs_f64()),
            "probes_percent": it.probes_percent,
        });
        (it.name.to_owned(), module)
    };
    reports(known).into_iter().map(module).collect()
}
