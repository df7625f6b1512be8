//! `hosts --watch`: a table that stays true, or a line for each change.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::{Status, Streaming};
use wanglou_api::fleet::v1::{HostFilter, WatchHostsRequest, WatchHostsResponse};

use super::live::{Change, Live, in_words};
use super::{id, mask, row, summary};
use crate::Done;
use crate::cli::{Hosts, Output};
use crate::connection::{Fleet, again};
use crate::failure::CallError;
use crate::interrupt::Interrupt;
use crate::table::Tone;
use crate::terminal::{Look, Screen, note, say, say_all};
use crate::text::{clean, cut, width};
use crate::{json, units};

const WATCH: &str = "watch hosts";
/// Between two pictures, however much changes.
const PICTURE: Duration = Duration::from_millis(250);
/// Until a picture is old, whether or not something has changed.
const AGES: Duration = Duration::from_secs(1);

/// Until somebody ends it.
pub(super) async fn run(
    fleet: &mut Fleet,
    options: &Hosts,
    filter: HostFilter,
    output: Output,
) -> Result<Done> {
    let request = WatchHostsRequest { filter: Some(filter), read_mask: mask(output) };
    // Whoever cannot watch at all hears of it at once.
    let mut stream = open(fleet, &request).await?;
    let mut interrupt = Interrupt::new()?;
    let mut view = View::new(fleet, options, output)?;
    let mut pictures = interval(PICTURE);
    pictures.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let error = loop {
            tokio::select! {
                () = interrupt.wait() => return view.end(),
                told = stream.message() => match told {
                    Ok(Some(told)) => view.take(told)?,
                    Ok(None) => break fleet.ended(WATCH, &Status::unavailable("it ends the watch")),
                    Err(status) => break fleet.ended(WATCH, &status),
                },
                _ = pictures.tick(), if view.screen.is_some() => view.draw()?,
            }
        };
        if !error.is_passing() {
            return Err(error.into());
        }
        view.broken(&error)?;
        {
            let mut opening = pin!(again(async || open(fleet, &request).await));
            stream = loop {
                tokio::select! {
                    () = interrupt.wait() => return view.end(),
                    opened = &mut opening => break opened?,
                    _ = pictures.tick(), if view.screen.is_some() => view.draw()?,
                }
            };
        }
        view.mended(fleet);
    }
}

async fn open(
    fleet: &mut Fleet,
    request: &WatchHostsRequest,
) -> Result<Streaming<WatchHostsResponse>, CallError> {
    fleet.call(WATCH, async |mut it| it.watch_hosts(request.clone()).await).await
}

/// What is shown, and how.
struct View {
    live: Live,
    options: Hosts,
    output: Output,
    /// Where there is a terminal for a table.
    screen: Option<Screen>,
    /// Who asks whom.
    title: String,
    /// Why nothing new comes.
    trouble: Option<String>,
    /// There is news, or it has been so for a second: ages go on.
    drawn: Option<Instant>,
}

impl View {
    fn new(fleet: &Fleet, options: &Hosts, output: Output) -> Result<Self> {
        let is_drawn = output == Output::Table && Look::of_stdout().is_terminal();
        Ok(Self {
            live: Live::new(),
            options: options.clone(),
            output,
            screen: is_drawn.then(Screen::new).transpose()?,
            title: title(fleet),
            trouble: None,
            drawn: None,
        })
    }

    fn take(&mut self, told: WatchHostsResponse) -> Result<()> {
        self.drawn = None;
        for change in self.live.take(told) {
            match (self.output, self.screen.is_some()) {
                (Output::Json, _) => say(&json::line(&as_json(&change))?)?,
                (Output::Table, true) => {}
                (Output::Table, false) => {
                    if let Some(line) = self.line(&change) {
                        say(&format!("{} {line}", Timestamp::now().strftime("%H:%M:%S")))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn line(&self, change: &Change) -> Option<String> {
        match change {
            Change::Host(hosts) => in_words(hosts.0.as_ref(), &hosts.1).map(|text| clean(&text)),
            Change::Removed(name) => Some(format!("{}: is no more", clean(id(name)))),
            Change::Complete(caveats) => {
                let counts = self.live.counts();
                caveats.lines(Timestamp::now()).iter().for_each(|it| note(it));
                Some(summary(counts.into_iter(), false))
            }
            Change::Lost(count) => {
                let count = units::count(*count);
                Some(format!("{count} changes were lost: here is what there is now"))
            }
        }
    }

    fn broken(&mut self, error: &CallError) -> Result<()> {
        self.live.begin_again();
        self.drawn = None;
        let told = format!("{error}; trying again");
        match (self.output, &self.screen) {
            (Output::Table, Some(_)) => self.trouble = Some(told),
            (Output::Table, None) => note(&told),
            (Output::Json, _) => {
                let reason = Some(error.to_string());
                say(&json::line(&json::Change::Reset { lost_changes: 0, reason })?)?;
            }
        }
        Ok(())
    }

    fn mended(&mut self, fleet: &Fleet) {
        self.title = title(fleet);
        self.trouble = None;
        self.drawn = None;
    }

    fn draw(&mut self) -> Result<()> {
        let is_fresh = self.drawn.is_some_and(|drawn| drawn.elapsed() < AGES);
        let Some(screen) = self.screen.as_ref().filter(|_| !is_fresh) else { return Ok(()) };
        screen.show(&self.picture(Look::of_stdout()))?;
        self.drawn = Some(Instant::now());
        Ok(())
    }

    fn picture(&self, look: Look) -> Vec<String> {
        let columns = look.columns.unwrap_or(usize::MAX);
        let time = Timestamp::now().strftime("%H:%M:%S");
        let caveats = self.live.caveats().lines(Timestamp::now());
        let status = match (&self.trouble, self.live.is_complete()) {
            (Some(trouble), _) => Tone::Bad.paint(&cut(&clean(trouble), columns), look.colour),
            (None, false) => "hosts are being told of".to_owned(),
            (None, true) if self.live.lost() > 0 => {
                let lost = units::count(self.live.lost());
                format!("{lost} changes came too fast to be shown; what is shown is true")
            }
            (None, true) if !caveats.is_empty() => {
                format!("when this began: {}", caveats.join("; "))
            }
            (None, true) => String::new(),
        };
        let counts = self.live.counts();
        let mut lines = vec![
            Tone::Dim.paint(&cut(&format!("{}, {time} UTC", self.title), columns), look.colour),
            // Colours have no width, but would be cut as if they had.
            match summary(counts.clone().into_iter(), false) {
                text if width(&text) > columns => cut(&text, columns),
                _ => summary(counts.into_iter(), look.colour),
            },
            if self.trouble.is_some() { status } else { cut(&status, columns) },
        ];
        // The title of the table, and the line that says how many there are more.
        let room = look.rows.map_or(usize::MAX, |rows| rows.saturating_sub(lines.len() + 2));
        let limit = self.options.limit.map_or(usize::MAX, |limit| limit as usize);
        let hosts = self.live.first(room.min(limit), self.options.sort);
        let more = self.live.len() - hosts.len();
        lines.extend(row::table(hosts.into_iter()).lines(look.columns, look.colour));
        if more > 0 {
            lines.push(cut(&format!("and {} more", units::count(more as u64)), columns));
        }
        lines.truncate(look.rows.unwrap_or(usize::MAX));
        lines
    }

    /// Leaves the last picture behind.
    fn end(mut self) -> Result<Done> {
        if self.screen.take().is_some() {
            say_all(&self.picture(Look::of_stdout()))?;
        }
        Ok(Done::Well)
    }
}

fn title(fleet: &Fleet) -> String {
    format!("{} at {}", fleet.identity().fleet, fleet.endpoint())
}

fn as_json(change: &Change) -> json::Change<'_> {
    match change {
        Change::Host(hosts) => json::Change::Host { host: Box::new((&hosts.1).into()) },
        Change::Removed(name) => json::Change::Removed { name },
        Change::Complete(caveats) => json::Change::Complete {
            missing_replicas: &caveats.missing_replicas,
            frozen_time: caveats.frozen_time.as_ref().and_then(units::rfc3339),
        },
        Change::Lost(count) => json::Change::Reset { lost_changes: *count, reason: None },
    }
}
