//! What is read is what was stored: each event once, the last of them, in their order.

#[path = "../../../api/tests/event/full.rs"]
mod full;

use anyhow::{Result, ensure};
use prost::Message as _;
use wanglou_api::event::v1::Event;
use wanglou_api::event::write_delimited;
use wanglou_lake::query::{Engine, Limits, Query, QueryError};

use crate::filled::{BEGIN, Filled, all, event};

/// Three hours of events of two kinds, the last of which has landed only.
async fn filled() -> Result<(Filled, Vec<Event>)> {
    let filled = Filled::new().await?;
    let mut truth = Vec::new();
    for hour in 0..3_i64 {
        let mut events = Vec::new();
        for n in 0..200_i64 {
            let action = if n % 3 == 0 { "end" } else { "exec" };
            events.push(event(action, 3_600 * hour + 7 * n, (200 * hour + n) as u32, 1));
        }
        truth.extend(events.clone());
        // Sensors tell of them as they come, and not in order.
        events.reverse();
        for some in events.chunks(64) {
            filled.land(some).await?;
        }
        if hour < 2 {
            filled.compact().await?;
        }
    }
    Ok((filled, truth))
}

#[tokio::test]
async fn all_that_is_stored_is_read_once_and_as_it_was_told() -> Result<()> {
    let (filled, truth) = filled().await?;
    let events = filled.engine().read(&all()).await?;
    ensure!(!events.truncated && events.left_out == 0);
    ensure!(events.collect::<Vec<_>>() == truth);
    // A batch that is told again is the same batch.
    filled.land_as(1, &[event("exec", 0, 1, 1)]).await?;
    ensure!(filled.engine().read(&all()).await?.count() == truth.len());
    filled.compact().await?;
    ensure!(filled.engine().read(&all()).await?.collect::<Vec<_>>() == truth);
    Ok(())
}

#[tokio::test]
async fn an_event_with_all_fields_comes_back_with_all_of_them() -> Result<()> {
    let filled = Filled::new().await?;
    let mut message = Vec::new();
    full::with_full_event(|event| write_delimited(event, &mut message));
    let event = Event::decode_length_delimited(&*message)?;
    filled.land(std::slice::from_ref(&event)).await?;
    let ever = Query { since: 0, until: i64::MAX, ..all() };
    for _ in 0..2 {
        let read: Vec<_> = filled.engine().read(&ever).await?.collect();
        ensure!(read == [event.clone()], "{read:#?}");
        filled.compact().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_last_are_read_and_it_is_said_that_there_are_more() -> Result<()> {
    let (filled, truth) = filled().await?;
    for most in [1, 200, 201, 599] {
        let events = filled.engine().read(&Query { max_events: most, ..all() }).await?;
        ensure!(events.truncated, "{most}");
        ensure!(events.collect::<Vec<_>>() == truth[truth.len() - most..], "{most}");
    }
    let events = filled.engine().read(&Query { max_events: 600, ..all() }).await?;
    ensure!(!events.truncated);
    Ok(())
}

#[tokio::test]
async fn times_actions_and_processes_choose() -> Result<()> {
    let (filled, truth) = filled().await?;
    let nanos = |second: i64| (BEGIN + second) * 1_000_000_000;
    let hour = Query { since: nanos(3_600), until: nanos(7_200), ..all() };
    ensure!(filled.pids_of(&hour).await? == (200..400).collect::<Vec<_>>());
    let ends = Query { actions: vec!["end".to_owned()], ..all() };
    let wanted = truth
        .iter()
        .filter(|it| it.event.as_ref().is_some_and(|it| it.action.as_deref() == Some("end")));
    ensure!(filled.engine().read(&ends).await?.count() == wanted.count());
    let process = |process: &str| Query { process: process.to_owned(), ..all() };
    ensure!(filled.pids_of(&process("17")).await? == [17]);
    ensure!(filled.pids_of(&process("id-417")).await? == [417]);
    ensure!(filled.pids_of(&process("id-1")).await?.len() == 600, "they are its children");
    Ok(())
}

#[tokio::test]
async fn a_host_is_who_has_told_and_not_who_is_named() -> Result<()> {
    let filled = Filled::new().await?;
    filled.land(&[event("exec", 1, 1, 0)]).await?;
    let mut other = event("exec", 2, 2, 0);
    if let Some(boot) = other.host.as_mut().and_then(|host| host.boot.as_mut()) {
        boot.id = Some("web-2".to_owned());
    }
    filled.land_of("web-2", 1, &[other]).await?;
    let of =
        |hosts: &[&str]| Query { hosts: hosts.iter().map(|&it| it.to_owned()).collect(), ..all() };
    for _ in 0..2 {
        ensure!(filled.pids_of(&of(&["web-1"])).await? == [1]);
        ensure!(filled.pids_of(&of(&["web-2", "web-3"])).await? == [2]);
        ensure!(filled.pids_of(&of(&["web-1", "web-2"])).await? == [1, 2]);
        ensure!(filled.pids_of(&of(&["host-1"])).await?.is_empty(), "they both say so");
        filled.compact().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_takes_no_more_bytes_than_it_may() -> Result<()> {
    let (filled, truth) = filled().await?;
    let limits = Limits { most_bytes: 10_000, ..Limits::default() };
    let events = Engine::new(filled.lake.clone(), limits).read(&all()).await?;
    ensure!(events.truncated);
    let events: Vec<_> = events.collect();
    ensure!((10..200).contains(&events.len()), "{}", events.len());
    ensure!(truth.ends_with(&events), "the last ones, without a hole");
    Ok(())
}

#[tokio::test]
async fn a_question_has_its_time_and_no_more() -> Result<()> {
    let (filled, _) = filled().await?;
    let limits = Limits { time: std::time::Duration::ZERO, ..Limits::default() };
    let late = Engine::new(filled.lake.clone(), limits).read(&all()).await;
    ensure!(matches!(late, Err(QueryError::Late)), "{late:?}");
    // Whoever is not waited for leaves its place to the next.
    let limits = Limits { at_once: 1, ..Limits::default() };
    let engine = Engine::new(filled.lake.clone(), limits);
    for _ in 0..8 {
        let query = all();
        drop(tokio::time::timeout(std::time::Duration::ZERO, engine.read(&query)).await);
    }
    ensure!(engine.read(&all()).await?.count() == 600);
    Ok(())
}
