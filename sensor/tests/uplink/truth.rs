//! What a replica has, against what it has been told of that, and against itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use prost::Message as _;
use wanglou_api::event::v1::Event;
use wanglou_api::sensor::v1::{Batch, publish_request::Record};
use wanglou_lake::books::{Balance, Books, Counts, Run, State};
use wanglou_testkit::ingest::{Ingest, id};

const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);
/// Not counted by the ledger.
const UNCOUNTED: [&str; 3] = ["ledger", "gap", "alert"];

/// Of all that came.
pub(crate) struct Truth {
    /// The books of each run.
    pub(crate) runs: BTreeMap<Run, Balance>,
    /// Events that are stored, each once.
    pub(crate) events: Vec<Event>,
}

impl Truth {
    /// Looks at what is stored: each batch is what it says, each run's books agree with it from batch to batch.
    pub(crate) fn of(ingest: &Ingest) -> Result<Self> {
        let mut books: BTreeMap<Run, Books> = BTreeMap::new();
        let mut events = Vec::new();
        for record in ingest.records() {
            let of = id(&record).run.context("a record of no run")?;
            let run = Run { host: "a".to_owned(), boot: of.boot_id, run: of.run_id };
            let books = books.entry(run).or_default();
            if books.has(&record) {
                continue;
            }
            if let Err(why) = books.contradicts(&record) {
                bail!("{why}: {:?}", id(&record));
            }
            if let Record::Batch(batch) = &record {
                events.extend(unpack(batch)?);
            }
            books.count(&record, None, 0);
        }
        let runs = books.into_iter().map(|(run, books)| (run, books.balance(false, 0))).collect();
        Ok(Self { runs, events })
    }

    /// Every run is over, and everything is somewhere.
    pub(crate) fn balances(&self) -> Result<()> {
        ensure!(!self.runs.is_empty(), "there is no run");
        for (run, balance) in &self.runs {
            ensure!(balance.state == State::Balanced, "run {run:?}: {balance:?}");
        }
        let mut sequences = BTreeSet::new();
        for event in &self.events {
            let run = event.wanglou.as_ref().and_then(|it| it.run.as_ref()?.id.clone());
            let sequence = event.event.as_ref().and_then(|it| it.sequence);
            ensure!(sequences.insert((run, sequence)), "told of twice: {event:?}");
        }
        Ok(())
    }

    /// Lost events of all runs by a cause.
    pub(crate) fn lost(&self, cause: &str) -> u64 {
        let lost = self.runs.values().filter_map(|balance| balance.lost.get(cause));
        lost.flat_map(Counts::values).sum()
    }

    /// Lost events of all runs.
    pub(crate) fn lost_at_all(&self) -> u64 {
        let lost = self.runs.values().flat_map(|balance| balance.lost.values());
        lost.flat_map(Counts::values).sum()
    }

    /// When nobody has watched, or not all was seen.
    pub(crate) fn gaps(&self) -> Vec<(SystemTime, SystemTime)> {
        let gaps = self.events.iter().filter(|event| action(event) == "gap");
        let metas = gaps.filter_map(|event| event.event.as_ref());
        let time = |time: &prost_types::Timestamp| SystemTime::try_from(*time).ok();
        let spans =
            metas.filter_map(|it| Some((time(it.start.as_ref()?)?, time(it.end.as_ref()?)?)));
        spans.collect()
    }

    /// Processes of a storm that have begun, as far as stored.
    pub(crate) fn execs_of_storms(&self) -> usize {
        let is_it = |event: &&Event| {
            let args = event.process.as_ref().map(|it| &it.args[..]).unwrap_or_default();
            action(event) == "exec" && args.get(1).is_some_and(|it| it == "noop")
        };
        self.events.iter().filter(is_it).count()
    }
}

/// Waits until something is so of what is stored.
pub(crate) fn wait(what: &str, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !is()? {
        ensure!(Instant::now() < until, "no {what}");
        thread::sleep(POLL);
    }
    Ok(())
}

/// Waits until so many runs are closed.
pub(crate) fn wait_closed(ingest: &Ingest, runs: usize) -> Result<()> {
    wait(&format!("{runs} runs that are closed"), || {
        let closed = |record: &Record| matches!(record, Record::ClosedRun(_)).then(|| id(record));
        let records = ingest.records();
        let closed = records.iter().filter_map(closed).map(|it| format!("{it:?}"));
        Ok(closed.collect::<BTreeSet<_>>().len() >= runs)
    })
}

pub(crate) fn action(event: &Event) -> &str {
    event.event.as_ref().and_then(|it| it.action.as_deref()).unwrap_or_default()
}

fn unpack(batch: &Batch) -> Result<Vec<Event>> {
    let stated = zstd::zstd_safe::get_frame_content_size(&batch.events).ok().flatten();
    ensure!(stated == Some(batch.content_bytes.into()), "it states {stated:?}");
    let content = zstd::bulk::decompress(&batch.events, batch.content_bytes as usize)?;
    ensure!(content.len() == batch.content_bytes as usize, "{} bytes", content.len());
    let (mut rest, mut events, mut counts) = (&content[..], Vec::new(), Counts::new());
    while !rest.is_empty() {
        let event = Event::decode_length_delimited(&mut rest)?;
        if !UNCOUNTED.contains(&action(&event)) {
            *counts.entry(action(&event).to_owned()).or_default() += 1;
        }
        events.push(event);
    }
    ensure!(
        counts == batch.counts,
        "in batch {}: {counts:?}, and it says {:?}",
        batch.number,
        batch.counts
    );
    Ok(events)
}
