//! Records that are of no process, each in one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wanglou_api::event::{Event, Gap, Ledger};

use super::time_of_day;

/// Of an id, as everybody's tools show it.
const SHORT_ID: usize = 12;

type Counts = BTreeMap<String, u64>;

pub(super) fn ledger(ledger: Ledger<'_>, text: &mut String) {
    let total = |counts: Option<&Counts>| counts.map_or(0, |counts| counts.values().sum());
    let (produced, delivered) = (total(ledger.produced), total(ledger.delivered));
    let dropped = ledger.dropped.map_or(0, all);
    let in_flight = ledger.in_flight.unwrap_or(0);
    _ = write!(text, "produced {produced} = delivered {delivered} + dropped {dropped}");
    by_cause(ledger.dropped, text);
    _ = write!(text, " + in flight {in_flight}");
}

pub(super) fn gap(event: &Event<'_>, gap: Gap<'_>, text: &mut String) {
    let recovered: u64 = gap.recovered.map_or(0, |counts| counts.values().sum());
    _ = write!(text, "lost {}", gap.lost.map_or(0, all));
    by_cause(gap.lost, text);
    _ = write!(text, ", rebuilt {recovered}, gone {}", gap.unrecovered.unwrap_or(0));
    let meta = event.event.unwrap_or_default();
    if let (Some(start), Some(end)) = (meta.start, meta.end) {
        _ = write!(text, ", {} to {}", time_of_day(start), time_of_day(end));
    }
}

pub(super) fn alert(event: &Event<'_>, text: &mut String) {
    let code = event.event.and_then(|meta| meta.code).unwrap_or("-");
    _ = write!(text, "{code} {}", event.message.unwrap_or_default());
}

/// `9f8e7d6c5b4a web (nginx:1.27) in shop/web-0`.
pub(super) fn container(event: &Event<'_>, text: &mut String) {
    let container = event.container.unwrap_or_default();
    let id = container.id.unwrap_or("-");
    text.push_str(id.get(..SHORT_ID).unwrap_or(id));
    if let Some(name) = container.name {
        _ = write!(text, " {name}");
    }
    if let Some(image) = container.image.and_then(|image| image.name) {
        _ = write!(text, " ({image})");
    }
    let orchestrator = event.orchestrator.unwrap_or_default();
    if let Some(pod) = orchestrator.resource.and_then(|pod| pod.name) {
        _ = write!(text, " in {}/{pod}", orchestrator.namespace.unwrap_or("-"));
    }
}

fn all(causes: &BTreeMap<String, Counts>) -> u64 {
    causes.values().flat_map(BTreeMap::values).sum()
}

fn by_cause(causes: Option<&BTreeMap<String, Counts>>, text: &mut String) {
    let Some(causes) = causes.filter(|causes| all(causes) > 0) else { return };
    let each = causes.iter().map(|(cause, counts)| (cause, counts.values().sum::<u64>()));
    let each: Vec<_> = each.map(|(cause, sum)| format!("{cause} {sum}")).collect();
    _ = write!(text, " ({})", each.join(", "));
}
