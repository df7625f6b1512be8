//! What a host tells, before anybody believes it: nothing here trusts a length, a count or a name.

use thiserror::Error;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::{Batch, BatchLedger, RecordId, RunId};
use wanglou_lake::content::{BadBatch, Content};

/// Bytes of a batch's content, at most: what a decompressor may be made to fill.
pub(crate) const MAX_CONTENT: u32 = 1 << 20;
/// Names in one map of counts, and bytes of one.
const MAX_NAMES: usize = 64;
const MAX_NAME: usize = 64;

/// Why a record is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A field has what it cannot have.
    #[error("{0}: {1}")]
    Field(&'static str, String),
    /// What is in a batch is not what it says.
    #[error(transparent)]
    Content(#[from] BadBatch),
    /// It tells of another host.
    #[error("events of host {whose:?}, told by {host:?}")]
    Host {
        /// As the events say.
        whose: String,
        /// As the certificate says.
        host: String,
    },
}

/// Which record it is, if it says so.
pub(crate) fn id(record: &Record) -> Result<RecordId, Refusal> {
    let (run, number) = match record {
        Record::Batch(batch) => (&batch.run, batch.number),
        Record::LostBatch(batch) => (&batch.run, batch.number),
        Record::ClosedRun(closed) => (&closed.run, 0),
    };
    let run = run.as_ref().ok_or_else(|| Refusal::Field("run", "it is missing".to_owned()))?;
    let is_uuid = run.boot_id.len() == 36
        && run.boot_id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !is_uuid {
        return Err(Refusal::Field("run.boot_id", "it is no boot id".to_owned()));
    }
    if number == 0 && !matches!(record, Record::ClosedRun(_)) {
        return Err(Refusal::Field("number", "batches are numbered from 1".to_owned()));
    }
    let run = Some(RunId { boot_id: run.boot_id.clone(), run_id: run.run_id });
    Ok(RecordId { run, number })
}

/// Looks at all of a record that a host sent; what is in it if it is a batch.
pub(crate) fn check(record: &Record, host: &str) -> Result<Option<Content>, Refusal> {
    match record {
        Record::Batch(batch) => {
            names("counts", batch.counts.keys())?;
            ledger(batch.ledger.as_ref())?;
            content(batch, host).map(Some)
        }
        Record::LostBatch(batch) => {
            names("counts", batch.counts.keys())?;
            names("cause", [&batch.cause])?;
            Ok(None)
        }
        Record::ClosedRun(closed) => {
            ledger(closed.ledger.as_ref())?;
            Ok(None)
        }
    }
}

fn ledger(ledger: Option<&BatchLedger>) -> Result<(), Refusal> {
    let ledger = ledger.ok_or_else(|| Refusal::Field("ledger", "it is missing".to_owned()))?;
    names("ledger.produced", ledger.produced.keys())?;
    names("ledger.in_flight", ledger.in_flight.keys())?;
    names("ledger.dropped", ledger.dropped.keys())?;
    ledger.dropped.values().try_for_each(|it| names("ledger.dropped", it.counts.keys()))
}

fn names<'a>(
    field: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), Refusal> {
    let mut count = 0;
    for name in names {
        count += 1;
        let is_name = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_name {
            let why = "names have 1 to 64 bytes of a to z and _".to_owned();
            return Err(Refusal::Field(field, why));
        }
        if count > MAX_NAMES {
            return Err(Refusal::Field(field, format!("there are more than {MAX_NAMES}")));
        }
    }
    Ok(())
}

fn content(batch: &Batch, host: &str) -> Result<Content, Refusal> {
    let said = batch.content_bytes;
    if !(1..=MAX_CONTENT).contains(&said) {
        let why = format!("{said} is not between 1 and {MAX_CONTENT}");
        return Err(Refusal::Field("content_bytes", why));
    }
    let content = Content::of(batch)?;
    if content.host() == host {
        Ok(content)
    } else {
        Err(Refusal::Host { whose: content.host().to_owned(), host: host.to_owned() })
    }
}

#[cfg(test)]
mod tests;
