//! `/status`: everything at a look, as JSON.

use serde_json::{Map, Value, json};

use super::state::Known;
use super::{fleet, health, modules, uplink};
use crate::clock;
use crate::host::Host;
use crate::ledger::Balance;
use crate::output::Destination;

/// As it is now.
pub(super) fn json(known: &Known) -> Value {
    let config = &known.effective.config;
    let (ready, says) = health::ready(known);
    let run = known.books.as_ref().map(|books| books.page().run.get()).filter(|run| *run != 0);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "host": Host::read(clock::boot_ns()).ok().map(|host| json!({"id": host.id, "name": host.name})),
        "uptime_seconds": known.began.elapsed().as_secs(),
        "ready": ready,
        "state": says.trim_end(),
        "worker": {
            "run": run.map(|run| run.to_string()),
            "pid": known.worker.as_ref().map(|worker| worker.pid),
            "restarts": known.workers.saturating_sub(1),
            "backend": known.attached.as_ref().map(|attached| &attached.describes),
            "probes": probes(known),
        },
        "events": config.events.iter().map(|category| category.name()).collect::<Vec<_>>(),
        "modules": modules::json(known),
        "breaker": breaker(known),
        "ledgers": ledgers(known),
        "control": fleet::json(known),
        "uplink": uplink::json(known),
        "configuration": {
            "hash": known.effective.hash(),
            "places": known.effective.places.iter()
                .map(|(path, place)| ((*path).to_owned(), place.to_string().into()))
                .collect::<Map<_, _>>(),
        },
    })
}

/// By name; what serves instead of one that this kernel does not take.
fn probes(known: &Known) -> Map<String, Value> {
    let probes = known.attached.iter().flat_map(|attached| &attached.probes);
    let rung = |instead: Option<&str>| match instead {
        Some(instead) => json!({"attached": false, "instead": instead}),
        None => json!({"attached": true}),
    };
    probes.map(|probe| (probe.name.clone(), rung(probe.instead.as_deref()))).collect()
}

fn breaker(known: &Known) -> Value {
    let budget = known.effective.config.budget;
    json!({
        "state": known.breaker.name(),
        "trips": known.trips,
        "shed_level": known.shed,
        "rest_seconds": known.rest().as_secs_f64(),
        "usage": known.usage.map(|usage| json!({
            "processes_percent": usage.process_percent,
            "probes_percent": usage.all_probes_percent(),
            "memory_bytes": usage.memory_bytes,
        })),
        "budget": {
            "cpu_percent": budget.cpu_percent,
            "memory_bytes": budget.memory_bytes,
            "samples": budget.samples,
            "cooldown_seconds": budget.cooldown_seconds,
        },
    })
}

/// As in the event `ledger`, of each output.
fn ledgers(known: &Known) -> Map<String, Value> {
    let ledger = |(output, balance): (Destination, Balance)| {
        let view = balance.view();
        let ledger = json!({
            "produced": view.produced,
            "delivered": view.delivered,
            "dropped": view.dropped,
            "in_flight": view.in_flight,
        });
        (output.name().to_owned(), ledger)
    };
    known.balances().map(ledger).collect()
}
