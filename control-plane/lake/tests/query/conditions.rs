//! Conditions over values of every type, the same over what has landed and over files.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use wanglou_api::event::v1::{Counts, Endpoint, EventMeta, Ledger, Wanglou};
use wanglou_lake::query::Query;

use crate::filled::{Filled, all, event};

async fn filled() -> Result<Filled> {
    let filled = Filled::new().await?;
    let mut first = event("exec", 1, 1, 0);
    if let Some(process) = &mut first.process {
        process.args = vec!["curl".to_owned(), "-k".to_owned()];
        process.command_line = Some("curl -k https://example.net".to_owned());
        process.interactive = Some(true);
        process.cpu_ns = Some(u64::MAX);
        process.start = Some(prost_types::Timestamp { seconds: 1_796_032_801, nanos: 0 });
    }
    let mut second = event("end", 2, 2, 1);
    if let Some(process) = &mut second.process {
        process.exit_code = Some(-1);
        process.interactive = Some(false);
    }
    second.source = Some(Endpoint { port: Some(2_048), ..Endpoint::default() });
    second.group =
        Some(wanglou_api::event::v1::Group { id: Some("50".to_owned()), ..Default::default() });
    let mut third = event("exec", 3, 3, 1);
    let counts = BTreeMap::from([("exec".to_owned(), 5), ("fork".to_owned(), 7)]);
    let dropped = BTreeMap::from([("ring_full".to_owned(), Counts { by_action: counts.clone() })]);
    let ledger = Ledger { produced: counts, dropped, ..Ledger::default() };
    third.wanglou = Some(Wanglou { ledger: Some(ledger), ..Wanglou::default() });
    third.event = Some(EventMeta { sequence: Some(9), ..third.event.unwrap_or_default() });
    filled.land(&[first, second, third]).await?;
    Ok(filled)
}

const CASES: &[(&str, &[u32])] = &[
    ("process.name = 'p1'", &[1]),
    ("process.name <> 'p1' AND process.name IS NOT NULL", &[2, 3]),
    ("process.name IN ('p1', 'p3')", &[1, 3]),
    ("process.name NOT IN ('p1', 'p3')", &[2]),
    ("process.name LIKE 'p%' AND NOT process.name ILIKE 'P2'", &[1, 3]),
    ("process.command_line ~ 'https?://[a-z.]+$'", &[1]),
    ("process.command_line !~* 'HTTPS'", &[]),
    ("process.command_line IS NULL", &[2, 3]),
    ("process.pid >= 2", &[2, 3]),
    ("process.pid BETWEEN 1 AND 2", &[1, 2]),
    ("process.pid + 1 = 2 * 2 OR process.pid % 2 = 0", &[2, 3]),
    ("process.pid = '3'", &[3]),
    ("process.pid = process.parent.pid + 1", &[1, 2]),
    ("process.exit_code = -1", &[2]),
    ("process.exit_code < 0.5", &[2]),
    ("process.cpu_ns = 18446744073709551615", &[1]),
    ("process.interactive", &[1]),
    ("process.interactive IS FALSE", &[2]),
    ("NOT process.interactive", &[2]),
    ("process.start > '2026-11-30T10:00:00Z'", &[1]),
    ("@timestamp >= '2026-11-30T10:00:02Z' AND @timestamp < '2026-11-30T10:00:03Z'", &[2]),
    ("\"@timestamp\" > '2026-11-30T10:00:03Z'", &[3]),
    ("'-k' = ANY(process.args)", &[1]),
    ("NOT ('-k' = ANY(process.args))", &[2, 3]),
    ("source.port > 1024", &[2]),
    ("source.port IS NULL", &[1, 3]),
    ("group.id = '50' AND user.id = '1000'", &[2]),
    ("event.sequence = 9", &[3]),
    ("wanglou.ledger.produced.fork = 7", &[3]),
    ("wanglou.ledger.produced.nothing IS NULL", &[1, 2, 3]),
    ("wanglou.ledger.dropped.ring_full.exec > 4", &[3]),
    ("true", &[1, 2, 3]),
    ("process.pid = null", &[]),
    ("process.pid = 1 OR (process.pid = 2 AND (process.name = 'p2'))", &[1, 2]),
];

#[tokio::test]
async fn every_type_can_be_compared() -> Result<()> {
    let filled = filled().await?;
    for is_compacted in [false, true] {
        for (filter, wanted) in CASES {
            let pids = filled.pids(filter).await;
            ensure!(
                pids.as_deref().ok() == Some(wanted),
                "{filter}, compacted: {is_compacted}: {pids:?}"
            );
        }
        filled.compact().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_condition_is_for_events_that_come_too() -> Result<()> {
    let query = Query { filter: "process.pid > 1".to_owned(), ..all() };
    let selected = query.matcher()?.select(&[event("exec", 1, 1, 0), event("exec", 1, 2, 0)])?;
    ensure!(selected == [false, true]);
    Ok(())
}

#[test]
fn what_is_wrong_is_said_in_a_line_with_its_place() -> Result<()> {
    for (filter, reason) in [
        ("proces.name = 'a'", "events have no field proces at Line: 1, Column: 1"),
        ("process.pid = 1 AND process.nmae = 'a'", "no field process.nmae at Line: 1, Column: 21"),
        ("process = 'a'", "process is an object: name one of its fields (pid, entity_id, name …)"),
        ("process.args = 'a'", "process.args is a list: ask for 'TEXT' = ANY(process.args)"),
        ("wanglou.ledger.produced = 1", "is a map: name one of its keys"),
        ("process.pid.x = 1", "nothing has a field x"),
        ("process.pid = ", "Expected: an expression, found: EOF"),
        ("process.pid = 1 process", "it ends before process at Line: 1, Column: 17"),
        ("process.pid", "it is no condition: it is of type UInt32"),
        ("process.pid = 'abc'", "'abc'"),
        ("process.start > 'yesterday'", "yesterday"),
        ("process.pid = 1; DROP TABLE events", "it ends before ;"),
        ("'a' = ANY(process.name)", "process.name is no list"),
        ("", ""),
    ] {
        let wrong = Query { filter: filter.to_owned(), ..all() }.matcher();
        let text = wrong.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(text.contains(reason), "{filter}: {text}");
        ensure!(
            text.lines().count() <= 1 && text.is_empty() == filter.is_empty(),
            "{filter}: {text}"
        );
    }
    Ok(())
}
