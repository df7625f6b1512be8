//! A host as a row, and what is in its cells.

use jiff::Timestamp;
use wanglou_api::fleet::v1::Host;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::sensor::v1::heartbeat::State as WorkerState;
use wanglou_api::sensor::v1::{Breaker, Heartbeat};

use crate::table::{Cell, Column, Table, Tone};
use crate::{json, units};

/// In the order in which people want to read of them.
pub(super) const STATES: [State; 6] =
    [State::Alive, State::Stopped, State::Suspect, State::Unknown, State::Lost, State::Gone];

const COLUMNS: [Column; 10] = [
    Column::new("HOST").least(14),
    Column::new("STATE"),
    Column::new("FOR").number(),
    Column::new("WORKER").spare(1),
    Column::new("CPU").number(),
    Column::new("MEMORY").number(),
    Column::new("BREAKER"),
    Column::new("VERSION").least(7),
    Column::new("LABELS").least(12).spare(2),
    Column::new("REPLICA").spare(3),
];

/// A table of them, in their order.
pub(super) fn table<'h>(hosts: impl Iterator<Item = &'h Host>) -> Table {
    let now = Timestamp::now();
    let mut table = Table::new(&COLUMNS);
    hosts.for_each(|host| table.row(row(host, now)));
    table
}

fn row(host: &Host, now: Timestamp) -> Vec<Cell> {
    let copies = host.duplicate_instance_ids.len();
    let name = match copies {
        0 => Cell::from(id(&host.name)),
        copies => Cell::new(format!("{} ×{}", id(&host.name), copies + 1), Tone::Bad),
    };
    let heartbeat = host.heartbeat.as_ref();
    let age = units::age(host.state_time.as_ref(), now);
    vec![
        name,
        Cell::new(state_name(host.state()), tone(host.state())),
        Cell::from(age.map(units::span).unwrap_or_default()),
        heartbeat.map(worker).unwrap_or_default(),
        Cell::from(heartbeat.map(|it| units::percent(it.cpu_millicores)).unwrap_or_default()),
        Cell::from(heartbeat.map(|it| units::megabytes(it.memory_bytes)).unwrap_or_default()),
        heartbeat.and_then(|it| it.breaker.as_ref()).map(breaker_cell).unwrap_or_default(),
        Cell::from(&host.version),
        Cell::from(labels(host)),
        Cell::new(host.replica.strip_prefix("replicas/").unwrap_or(&host.replica), Tone::Dim),
    ]
}

/// A name without what every name begins with.
pub(crate) fn id(name: &str) -> &str {
    name.strip_prefix("hosts/").unwrap_or(name)
}

/// Labels in a line.
pub(crate) fn labels(host: &Host) -> String {
    let labels = host.labels.iter().map(|(name, value)| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(",")
}

/// The state of a host with its colour.
pub(crate) fn state(state: State) -> Cell {
    Cell::new(state_name(state), tone(state))
}

/// A word.
pub(super) fn state_name(state: State) -> String {
    json::name(state.as_str_name(), "STATE_")
}

/// How bad it is.
pub(super) fn tone(state: State) -> Tone {
    match state {
        State::Alive => Tone::Good,
        State::Stopped | State::Suspect | State::Unknown => Tone::Notice,
        State::Lost => Tone::Bad,
        State::Gone | State::Unspecified => Tone::Dim,
    }
}

/// What the sensor does, in a word.
pub(super) fn worker_name(heartbeat: &Heartbeat) -> String {
    json::name(heartbeat.state().as_str_name(), "STATE_")
}

/// What the sensor does, with its colour.
pub(crate) fn worker(heartbeat: &Heartbeat) -> Cell {
    let tone = match heartbeat.state() {
        WorkerState::Working => Tone::Plain,
        WorkerState::Failed => Tone::Bad,
        _ => Tone::Notice,
    };
    Cell::new(worker_name(heartbeat), tone)
}

/// `ok`, `level 2` of what is given up, or `open 43s` for as long as it rests.
pub(crate) fn breaker(breaker: &Breaker) -> String {
    match (&breaker.rest, breaker.level) {
        (Some(rest), _) => format!("open {}", units::span(units::duration(rest))),
        (None, 0) => "ok".to_owned(),
        (None, level) => format!("level {level}"),
    }
}

fn breaker_cell(it: &Breaker) -> Cell {
    let tone = match (&it.rest, it.level) {
        (Some(_), _) => Tone::Bad,
        (None, 0) => Tone::Plain,
        (None, _) => Tone::Notice,
    };
    Cell::new(breaker(it), tone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::width;

    fn host() -> Host {
        let labels = [("datacentre", "berlin"), ("environment", "production"), ("group", "web")];
        Host {
            name: "hosts/web-1.berlin.example.net".to_owned(),
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            state: State::Alive.into(),
            replica: "replicas/one".to_owned(),
            version: "0.1.0".to_owned(),
            heartbeat: Some(Heartbeat {
                state: WorkerState::Resting.into(),
                breaker: Some(Breaker {
                    trips: 1,
                    level: 0,
                    rest: Some(prost_types::Duration { seconds: 43, nanos: 0 }),
                }),
                cpu_millicores: 12,
                memory_bytes: 23_400_000,
                ..Heartbeat::default()
            }),
            ..Host::default()
        }
    }

    #[test]
    fn eighty_columns_have_room_for_what_matters() {
        let copied = Host { duplicate_instance_ids: vec!["x".to_owned()], ..host() };
        let hosts = [host(), copied];
        let lines = table(hosts.iter()).lines(Some(80), false);
        assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
        for what in ["web-1.b", "alive", "resting", "1.2%", "23.4 MB", "open 43s", "0.1.0"] {
            assert!(lines[1].contains(what), "{what}: {lines:#?}");
        }
        let wide = table(hosts.iter()).lines(Some(160), false);
        assert!(wide[1].contains("environment=production,group=web  one"), "{wide:#?}");
        assert!(wide[2].starts_with("web-1.berlin.example.net ×2"), "{wide:#?}");
    }

    #[test]
    fn what_is_not_known_is_left_empty() {
        let lost =
            Host { name: "hosts/a".to_owned(), state: State::Lost.into(), ..Host::default() };
        assert_eq!(table([lost].iter()).lines(None, false)[1], "a     lost");
    }
}
