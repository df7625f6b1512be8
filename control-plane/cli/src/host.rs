//! `host`: one, with all that is known of it.

use anyhow::Result;
use jiff::Timestamp;
use prost_types::Timestamp as Moment;
use wanglou_api::fleet::v1::{GetHostRequest, Host};
use wanglou_api::sensor::v1::{Heartbeat, Ledger};

use crate::Done;
use crate::cli::Output;
use crate::connection::Fleet;
use crate::failure::Usage;
use crate::selection::host_id;
use crate::table::{Cell, Tone};
use crate::terminal::{Look, say, say_all};
use crate::{details, hosts, json, units};

/// Shows it.
pub(crate) async fn run(fleet: &mut Fleet, id: &str, output: Output) -> Result<Done> {
    let host = read(fleet, id).await?;
    match output {
        Output::Json => say(&json::line(&json::Host::from(&host))?)?,
        Output::Table => {
            let look = Look::of_stdout();
            say_all(&details::lines(&told(&host, Timestamp::now()), look))?;
        }
    }
    Ok(Done::Well)
}

/// One host with all fields.
pub(crate) async fn read(fleet: &mut Fleet, id: &str) -> Result<Host> {
    let name = format!("hosts/{}", host_id(id).map_err(Usage)?);
    let request = GetHostRequest { name, read_mask: None };
    let what = "show the host";
    Ok(fleet.call(what, async |mut it| it.get_host(request.clone()).await).await?)
}

/// Names and values; what is not known is left out.
fn told(host: &Host, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let ago = |moment: &Option<Moment>| {
        moment.as_ref().and_then(|it| units::date(it, now)).map(Cell::from)
    };
    let text = |text: &str| (!text.is_empty()).then(|| Cell::from(text));
    let copies = host.duplicate_instance_ids.len();
    let known = [
        ("host", text(hosts::id(&host.name))),
        ("state", Some(hosts::state(host.state()))),
        ("since", ago(&host.state_time)),
        ("first seen", ago(&host.first_seen_time)),
        ("last seen", ago(&host.last_seen_time)),
        ("labels", text(&hosts::labels(host).replace(',', ", "))),
        ("replica", text(host.replica.strip_prefix("replicas/").unwrap_or(&host.replica))),
        ("hostname", text(&host.hostname)),
        ("sensor", text(&host.version)),
        ("kernel", text(format!("{} {}", host.kernel_release, host.architecture).trim())),
        ("boot", text(&host.boot_id)),
        ("instance", text(&host.instance_id)),
        (
            "duplicates",
            (copies > 0).then(|| {
                let others = host.duplicate_instance_ids.join(", ");
                Cell::new(format!("other machines have this id too: {others}"), Tone::Bad)
            }),
        ),
        (
            "clock",
            host.clock_skew.as_ref().map(|skew| {
                let seconds = units::seconds(skew);
                let side = if seconds < 0.0 { "behind" } else { "ahead" };
                let tone = if seconds.abs() < 5.0 { Tone::Plain } else { Tone::Notice };
                Cell::new(format!("{:.3} s {side}", seconds.abs()), tone)
            }),
        ),
        ("last order", (host.order_epoch > 0).then(|| Cell::from(host.order_epoch.to_string()))),
        ("etag", text(&host.etag)),
    ];
    let known = known.into_iter().filter_map(|(name, cell)| Some((name, cell?)));
    let heartbeat = host.heartbeat.as_ref().map(told_by_itself).unwrap_or_default();
    known.chain(heartbeat).collect()
}

fn told_by_itself(heartbeat: &Heartbeat) -> Vec<(&'static str, Cell)> {
    let mut known = vec![("worker", hosts::worker(heartbeat))];
    if !heartbeat.reason.is_empty() {
        known.push(("reason", Cell::from(&heartbeat.reason)));
    }
    if let Some(run) = heartbeat.run_id {
        known.push(("run", Cell::from(run.to_string())));
    }
    let (all, probes) = (heartbeat.cpu_millicores, heartbeat.probe_millicores);
    let cpu = format!("{}, of which probes {}", units::percent(all), units::percent(probes));
    known.push(("cpu", Cell::from(cpu)));
    known.push(("memory", Cell::from(units::megabytes(heartbeat.memory_bytes))));
    if let Some(breaker) = &heartbeat.breaker {
        let trips = match breaker.trips {
            0 => "never tripped".to_owned(),
            1 => "tripped once".to_owned(),
            many => format!("tripped {} times", units::count(many)),
        };
        let text = format!("{}, {trips}", hosts::breaker(breaker));
        known.push(("breaker", Cell::from(text)));
    }
    for module in &heartbeat.modules {
        let tone = if module.state == "running" { Tone::Plain } else { Tone::Notice };
        known.push(("module", Cell::new(format!("{} {}", module.name, module.state), tone)));
    }
    if let Some(ledger) = &heartbeat.ledger {
        known.push(("ledger", self::ledger(ledger)));
    }
    if !heartbeat.configuration_hash.is_empty() {
        known.push(("configuration", Cell::from(&heartbeat.configuration_hash)));
    }
    if let Some(time) = heartbeat.local_time.as_ref().and_then(units::rfc3339) {
        known.push(("its time", Cell::from(time)));
    }
    known
}

/// The books, and whether they balance.
fn ledger(ledger: &Ledger) -> Cell {
    let count = units::count;
    let dropped: u64 = ledger.dropped.values().fold(0, |sum, count| sum.saturating_add(*count));
    let mut text = format!(
        "produced {}, delivered {}, in flight {}, dropped {}",
        count(ledger.produced),
        count(ledger.delivered),
        count(ledger.in_flight),
        count(dropped)
    );
    let causes = ledger.dropped.iter().filter(|(_, dropped)| **dropped > 0);
    let causes: Vec<_> =
        causes.map(|(cause, dropped)| format!("{cause} {}", count(*dropped))).collect();
    if !causes.is_empty() {
        text.push_str(&format!(" ({})", causes.join(", ")));
    }
    let parts = [ledger.delivered, ledger.in_flight, dropped];
    let sum = parts.into_iter().fold(0u64, u64::saturating_add);
    if sum != ledger.produced {
        return Cell::new(format!("{text}: it does not balance"), Tone::Bad);
    }
    Cell::new(text, if dropped > 0 { Tone::Notice } else { Tone::Plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_that_do_not_balance_are_told() {
        let mut books = Ledger {
            produced: 1_010,
            delivered: 1_000,
            dropped: [("ring_full".to_owned(), 7), ("shed".to_owned(), 0)].into(),
            in_flight: 3,
        };
        let text = "produced 1,010, delivered 1,000, in flight 3, dropped 7 (ring_full 7)";
        assert_eq!(ledger(&books), Cell::new(text, Tone::Notice));
        books.in_flight = 4;
        assert_eq!(
            ledger(&books),
            Cell::new(
                format!("{}: it does not balance", text.replace("flight 3", "flight 4")),
                Tone::Bad
            )
        );
    }

    #[test]
    fn a_host_of_which_nothing_is_known_has_a_name_and_a_state() {
        let host = Host { name: "hosts/a".to_owned(), ..Host::default() };
        let told = told(&host, Timestamp::now());
        let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["host", "state"]);
    }
}
