//! Watches what becomes of an order.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status, Streaming};
use wanglou_api::fleet::v1::{Order, WatchOrderRequest, WatchOrderResponse};

use super::progress::{self, Verdict};
use crate::Done;
use crate::cli::Output;
use crate::connection::Fleet;
use crate::failure::CallError;
use crate::interrupt::Interrupt;
use crate::json;
use crate::terminal::{Look, Ticker, note, say};
use crate::text::{clean, cut};

const WATCH: &str = "watch the order";
/// Until a replica is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// For replicas to say that they have hosts that are meant.
const NOBODY: Duration = Duration::from_secs(5);

/// Until all have answered, the time is up or somebody has seen enough. Whatever happens to this, the order stands.
pub(super) async fn follow(
    fleet: &mut Fleet,
    order: Order,
    wait: Duration,
    output: Output,
    mut interrupt: Interrupt,
) -> Result<Done> {
    let deadline = Instant::now() + wait;
    let mut view = View::new(order, output);
    if view.order.progress.is_some() {
        view.show()?;
    }
    let ended = tokio::select! {
        () = interrupt.wait() => None,
        () = sleep_until(deadline) => Some(Ok(())),
        ended = watch(fleet, &mut view) => Some(ended),
    };
    view.ticker.end()?;
    let again = format!("`wanglou orders {}` shows how far it is", progress::epoch(&view.order));
    match ended {
        None => {
            note(&format!("no longer watched; the order stands: {again}"));
            return Ok(Done::Badly);
        }
        Some(Err(error)) => note(&format!("{error:#}; the order stands: {again}")),
        Some(Ok(())) => {}
    }
    view.end()?;
    Ok(if progress::verdict(&view.order) == Verdict::Done { Done::Well } else { Done::Badly })
}

/// Until all have answered, by way of whichever replica knows.
async fn watch(fleet: &mut Fleet, view: &mut View) -> Result<()> {
    let request = WatchOrderRequest { name: view.order.name.clone() };
    loop {
        let opened = fleet.call(WATCH, async |mut it| it.watch_order(request.clone()).await).await;
        match opened {
            Ok(stream) => {
                if let Err(status) = read(stream, view).await? {
                    let error = fleet.ended(WATCH, &status);
                    give_up_on(error)?;
                } else if progress::is_answered(&view.order) {
                    return Ok(());
                }
            }
            // Another replica may not have heard of it yet.
            Err(error) if error.code() == Some(Code::NotFound) => fleet.leave(),
            Err(error) => give_up_on(error)?,
        }
        sleep(PAUSE).await;
    }
}

async fn read(
    mut stream: Streaming<WatchOrderResponse>,
    view: &mut View,
) -> Result<Result<(), Status>> {
    loop {
        let is_nobody = progress::verdict(&view.order) == Verdict::Nobody;
        let told = tokio::select! {
            told = stream.message() => told,
            () = sleep_until(view.began + NOBODY), if is_nobody => return Ok(Ok(())),
        };
        match told {
            Ok(Some(WatchOrderResponse { order: Some(order) })) => view.take(order)?,
            Ok(Some(WatchOrderResponse { order: None })) => {}
            Ok(None) => return Ok(Ok(())),
            Err(status) => return Ok(Err(status)),
        }
    }
}

fn give_up_on(error: CallError) -> Result<()> {
    if error.is_passing() { Ok(()) } else { Err(error.into()) }
}

/// What is known, and what was shown of it.
struct View {
    order: Order,
    output: Output,
    began: Instant,
    ticker: Ticker,
    shown: String,
}

impl View {
    fn new(order: Order, output: Output) -> Self {
        let began = Instant::now();
        Self { order, output, began, ticker: Ticker::default(), shown: String::new() }
    }

    fn take(&mut self, told: Order) -> Result<()> {
        self.order.durable = told.durable;
        self.order.progress = told.progress.or(self.order.progress.take());
        self.show()
    }

    fn show(&mut self) -> Result<()> {
        let line = match self.output {
            Output::Json => json::line(&json::Order::from(&self.order))?,
            Output::Table => progress::line(&self.order),
        };
        if line == self.shown {
            return Ok(());
        }
        match (self.output, Look::of_stdout().columns) {
            // The last column stays free: a cursor behind it would be on the next line.
            (Output::Table, Some(columns)) => {
                self.ticker.show(&cut(&line, columns.saturating_sub(1)))?;
            }
            _ => say(&line)?,
        }
        self.shown = line;
        Ok(())
    }

    fn end(&self) -> Result<()> {
        if self.output == Output::Table {
            for line in progress::result(&self.order) {
                say(&clean(&line))?;
            }
        } else if !self.order.durable {
            note(progress::NOT_DURABLE);
        }
        Ok(())
    }
}
