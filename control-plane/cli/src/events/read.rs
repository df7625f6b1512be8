//! Events that are stored, and those that come.

use std::io::{self, Write as _};

use anyhow::Result;
use jiff::Timestamp;
use tonic::{Status, Streaming};
use wanglou_api::event::Json as _;
use wanglou_api::event::v1::Event;
use wanglou_api::fleet::v1::{ReadEventsRequest, ReadEventsResponse};

use super::row::Rows;
use crate::Done;
use crate::cli::{Events, Output};
use crate::connection::{Fleet, again};
use crate::failure::CallError;
use crate::interrupt::Interrupt;
use crate::terminal::{Look, note, say_all};
use crate::units;

const READ: &str = "read events";

type Stream = Streaming<ReadEventsResponse>;

/// All of them, or until somebody ends it.
pub(super) async fn run(fleet: &mut Fleet, options: &Events, output: Output) -> Result<Done> {
    let mut request = request(options, Timestamp::now());
    let mut stream = open(fleet, &request).await?;
    let mut view = View { output, rows: Rows::default(), last: None };
    if !options.follow {
        while let Some(told) = next(fleet, &mut stream).await? {
            let is_complete = told.complete;
            view.take(&told)?;
            if is_complete {
                return Ok(Done::Well);
            }
        }
        let ended = Status::unavailable("it ended before all that is stored was told");
        return Err(fleet.ended(READ, &ended).into());
    }
    let mut interrupt = Interrupt::new()?;
    loop {
        let error = loop {
            tokio::select! {
                () = interrupt.wait() => return Ok(Done::Well),
                told = next(fleet, &mut stream) => match told {
                    Ok(Some(told)) => view.take(&told)?,
                    Ok(None) => break fleet.ended(READ, &Status::unavailable("it ends the stream")),
                    Err(error) => break error,
                },
            }
        };
        if !error.is_passing() {
            return Err(error.into());
        }
        note(&format!("{error}; trying again"));
        request.since_time = view.resume(Timestamp::now()).or(request.since_time);
        stream = tokio::select! {
            () = interrupt.wait() => return Ok(Done::Well),
            opened = again(async || open(fleet, &request).await) => opened?,
        };
        note(&format!("goes on at {}: events in between may be missing", fleet.endpoint()));
    }
}

/// Spans are of the moment at which it begins, also if it is asked again.
fn request(options: &Events, now: Timestamp) -> ReadEventsRequest {
    ReadEventsRequest {
        hosts: options.host.clone(),
        actions: options.action.clone(),
        process: options.process.clone().unwrap_or_default(),
        since_time: options.since.map(|since| since.moment(now)),
        until_time: options.until.map(|until| until.moment(now)),
        filter: options.condition.clone().unwrap_or_default(),
        max_events: options.last.unwrap_or(0),
        follow: options.follow,
    }
}

async fn open(fleet: &mut Fleet, request: &ReadEventsRequest) -> Result<Stream, CallError> {
    fleet.call_events(READ, async |mut it| it.read_events(request.clone()).await).await
}

async fn next(
    fleet: &mut Fleet,
    stream: &mut Stream,
) -> Result<Option<ReadEventsResponse>, CallError> {
    stream.message().await.map_err(|status| fleet.ended(READ, &status))
}

/// What is shown, and how.
struct View {
    output: Output,
    rows: Rows,
    /// Of all that were shown.
    last: Option<Timestamp>,
}

impl View {
    fn take(&mut self, told: &ReadEventsResponse) -> Result<()> {
        if told.truncated {
            note("there are more before these: --last, --since and --until say which are shown");
        }
        if told.missed_events > 0 {
            let missed = units::count(told.missed_events);
            note(&format!(
                "{missed} events that came are missing here: they came faster than they were read"
            ));
        }
        let times = told.events.iter().filter_map(|event| units::moment(event.timestamp.as_ref()?));
        self.last = self.last.max(times.max());
        self.show(&told.events)?;
        Ok(())
    }

    fn show(&mut self, events: &[Event]) -> io::Result<()> {
        match self.output {
            Output::Json => {
                let mut lines = Vec::new();
                for event in events {
                    event.write_json(&mut lines);
                    lines.push(b'\n');
                }
                let mut stdout = io::stdout().lock();
                stdout.write_all(&lines)?;
                stdout.flush()
            }
            Output::Table => {
                let look = Look::of_stdout();
                let lines: Vec<_> =
                    events.iter().flat_map(|event| self.rows.lines(event, look)).collect();
                say_all(&lines)
            }
        }
    }

    /// From where on another replica is asked: what was shown is not shown twice, and a host whose clock is ahead hides
    /// nothing.
    fn resume(&self, now: Timestamp) -> Option<prost_types::Timestamp> {
        let last = self.last?.min(now);
        let after = prost_types::Timestamp {
            seconds: last.as_second(),
            nanos: last.subsec_nanosecond() + 1,
        };
        // No event is from before 1970.
        (last.as_second() >= 0).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(last: &str) -> View {
        let last = Some(last.parse().expect("a moment"));
        View { output: Output::Json, rows: Rows::default(), last }
    }

    #[test]
    fn it_goes_on_after_what_was_shown_and_not_in_the_future() {
        let now = "2026-11-30T10:00:00Z".parse().expect("a moment");
        let resumed = |last: &str| {
            view(last).resume(now).and_then(|moment| units::rfc3339(&moment)).expect("a moment")
        };
        assert_eq!(resumed("2026-11-30T09:59:59.999Z"), "2026-11-30T09:59:59.999000001Z");
        assert_eq!(resumed("2031-01-01T00:00:00Z"), "2026-11-30T10:00:00.000000001Z");
    }
}
