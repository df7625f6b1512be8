//! The sensor's own records, each in one line.

use std::collections::BTreeMap;

use wanglou_api::event::v1::{Counts, Event, Gap, Ledger};

use crate::units::count;

/// The books of a run as they stood.
pub(super) fn ledger(ledger: &Ledger) -> String {
    let dropped = by_cause(&ledger.dropped);
    format!(
        "produced {} = delivered {} + dropped {dropped} + in flight {}",
        count(sum(&ledger.produced)),
        count(sum(&ledger.delivered)),
        count(ledger.in_flight.unwrap_or(0))
    )
}

/// What was lost, and what of it could be rebuilt.
pub(super) fn gap(gap: &Gap) -> String {
    format!(
        "lost {}, rebuilt {}, gone {}",
        by_cause(&gap.lost),
        count(sum(&gap.recovered)),
        count(gap.unrecovered.unwrap_or(0))
    )
}

/// What the sensor's log says.
pub(super) fn alert(event: &Event, message: &str) -> String {
    let code = event.event.as_ref().and_then(|meta| meta.code.as_deref()).unwrap_or("-");
    format!("{code} {message}")
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().fold(0, |sum, count| sum.saturating_add(*count))
}

/// `5 (ring_full 5)`.
fn by_cause(causes: &BTreeMap<String, Counts>) -> String {
    let sums = causes.iter().map(|(cause, counts)| (cause, sum(&counts.by_action)));
    let sums: Vec<_> = sums.filter(|(_, sum)| *sum > 0).collect();
    let all = sums.iter().fold(0u64, |all, (_, sum)| all.saturating_add(*sum));
    if sums.is_empty() {
        return count(all);
    }
    let each: Vec<_> = sums.iter().map(|(cause, sum)| format!("{cause} {}", count(*sum))).collect();
    format!("{} ({})", count(all), each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_fit_in_a_line() {
        let counts = BTreeMap::from([("exec".to_owned(), 2), ("fork".to_owned(), 3)]);
        let lost = Counts { by_action: counts.clone() };
        let causes = BTreeMap::from([("ring_full".to_owned(), lost)]);
        let books = Ledger {
            produced: counts.clone(),
            delivered: counts.clone(),
            dropped: causes.clone(),
            in_flight: Some(1),
        };
        let text = "produced 5 = delivered 5 + dropped 5 (ring_full 5) + in flight 1";
        assert_eq!(ledger(&books), text);
        let lost = Gap { lost: causes, recovered: counts, unrecovered: Some(4) };
        assert_eq!(gap(&lost), "lost 5 (ring_full 5), rebuilt 5, gone 4");
    }
}
