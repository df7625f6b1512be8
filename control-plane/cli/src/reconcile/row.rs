//! A run that does not balance as a row.

use std::collections::BTreeMap;

use wanglou_api::fleet::v1::{MissingBatches, RunBalance};

use crate::table::{Cell, Column, Table, Tone};
use crate::units;

const COLUMNS: [Column; 7] = [
    Column::new("HOST").least(10),
    Column::new("RUN").spare(3),
    Column::new("STORED"),
    Column::new("MISSING").least(14),
    Column::new("BATCHES").least(8),
    Column::new("LOST").least(12).spare(2),
    Column::new("REASON").least(16).spare(1),
];
/// Ranges of batches that a cell names.
const RANGES: usize = 4;

/// Without rows.
pub(super) fn table() -> Table {
    Table::new(&COLUMNS)
}

/// Where it is, what is missing of it, and why it is said to be so.
pub(super) fn row(balance: &RunBalance) -> Vec<Cell> {
    let run = balance.run.as_ref().map(|run| run.run_id.to_string());
    let lost = balance.lost.iter().filter_map(|(cause, counts)| {
        let each = by_name(&counts.counts);
        (!each.is_empty()).then(|| format!("{cause}: {each}"))
    });
    vec![
        Cell::from(&balance.host),
        Cell::new(run.unwrap_or_default(), Tone::Dim),
        Cell::from(interval(balance)),
        Cell::new(by_name(&balance.unexplained), Tone::Bad),
        Cell::from(ranges(&balance.missing)),
        Cell::from(lost.collect::<Vec<_>>().join("; ")),
        Cell::from(&balance.reason),
    ]
}

/// `exec 12, fork 3`.
fn by_name(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter().filter(|(_, count)| **count > 0);
    let each: Vec<_> =
        counts.map(|(name, count)| format!("{name} {}", units::count(*count))).collect();
    each.join(", ")
}

/// Of the first and last event that is stored: `11-30 10:00 – 10:05`.
fn interval(balance: &RunBalance) -> String {
    let of = |moment: &Option<prost_types::Timestamp>| units::moment(moment.as_ref()?);
    let (Some(first), Some(last)) = (of(&balance.first_event_time), of(&balance.last_event_time))
    else {
        return String::new();
    };
    let day = |moment: jiff::Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let end = if day(first) == day(last) { "%H:%M" } else { "%m-%d %H:%M" };
    format!("{} – {}", first.strftime("%m-%d %H:%M"), last.strftime(end))
}

/// `7-9, 12 and 3 more`.
fn ranges(missing: &[MissingBatches]) -> String {
    let shown = missing.iter().take(RANGES).map(|it| match (it.first_number, it.last_number) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let more @ 1.. = missing.len().saturating_sub(RANGES) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use wanglou_api::sensor::v1::{ActionCounts, RunId};

    use super::*;
    use crate::text::width;

    fn unbalanced() -> RunBalance {
        let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let range = |first_number, last_number| MissingBatches {
            first_number,
            last_number,
            ..MissingBatches::default()
        };
        let lost = ActionCounts { counts: [("exec".to_owned(), 40)].into() };
        RunBalance {
            host: "web-2.berlin.example.net".to_owned(),
            run: Some(RunId { boot_id: "1d0f6a52".to_owned(), run_id: 8_123_456_789_012 }),
            unexplained: [("exec".to_owned(), 1_200), ("fork".to_owned(), 3)].into(),
            lost: [("ring_full".to_owned(), lost)].into(),
            missing: vec![range(7, 9), range(12, 12)],
            first_event_time: moment(1_795_340_100),
            last_event_time: moment(1_795_340_400),
            reason: "batches are missing".to_owned(),
            ..RunBalance::default()
        }
    }

    #[test]
    fn eighty_columns_have_room_for_what_is_missing() {
        let mut table = table();
        table.row(row(&unbalanced()));
        let lines = table.lines(Some(80), false);
        assert!(lines.iter().all(|line| width(line) <= 80), "{lines:#?}");
        for what in ["web-2", "11-22 09:35", "exec 1,200", "7-9, 12"] {
            assert!(lines[1].contains(what), "{what}: {lines:#?}");
        }
        let wide = table.lines(Some(160), false);
        assert!(wide[1].contains("ring_full: exec 40  batches are missing"), "{wide:#?}");
    }

    #[test]
    fn many_ranges_are_counted() {
        let missing: Vec<_> = (0..7)
            .map(|n| MissingBatches {
                first_number: 2 * n + 1,
                last_number: 2 * n + 1,
                ..MissingBatches::default()
            })
            .collect();
        assert_eq!(ranges(&missing), "1, 3, 5, 7 and 3 more");
        assert_eq!(ranges(&[]), "");
    }
}
