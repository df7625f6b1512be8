//! `stop` and `start`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use wanglou_api::fleet::v1::{
    CountHostsRequest, Order, PrepareStartRequest, StartHostsRequest, StopHostsRequest,
};
use wanglou_api::order::v1::Selector;

use super::follow::follow;
use super::signature::{Wanted, sign, signer};
use super::{NOT_DURABLE, epoch, title};
use crate::cli::{Give, Output};
use crate::connection::Fleet;
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::terminal::{note, say};
use crate::text::clean;
use crate::{Done, hosts, json, request_id, settings};

/// Somebody did not wait for the answer.
const NOT_KNOWN: &str = "interrupted: `wanglou orders` shows whether the order was given";
/// As the protocol has it, in bytes.
const MAX_REASON: usize = 1_024;

/// Has sensors end their workers and probes.
pub(crate) async fn stop(fleet: &mut Fleet, options: &Give, output: Output) -> Result<Done> {
    let selector = wanted(options)?;
    if !is_confirmed(fleet, options, "stop").await? {
        note("nothing is stopped");
        return Ok(Done::Badly);
    }
    let request = StopHostsRequest {
        selector: Some(selector),
        all: options.targets.all,
        reason: options.reason.clone(),
        request_id: request_id()?,
    };
    let what = "stop hosts";
    let mut interrupt = Interrupt::new()?;
    let asked = fleet.call(what, async |mut it| it.stop_hosts(request.clone()).await);
    let order = tokio::select! {
        order = asked => order?,
        () = interrupt.wait() => bail!(NOT_KNOWN),
    };
    given(fleet, order, options, output, interrupt).await
}

/// Has sensors work again, by the operator's own signature.
pub(crate) async fn start(
    fleet: &mut Fleet,
    key: Option<&Path>,
    options: &Give,
    output: Output,
) -> Result<Done> {
    let selector = wanted(options)?;
    // Nobody is asked for what cannot be signed.
    let key = key.with_context(|| settings::missing("signing key", "signing_key", None))?;
    let signer = signer(key)?;
    if !is_confirmed(fleet, options, "start").await? {
        note("nothing is started");
        return Ok(Done::Badly);
    }
    let request = PrepareStartRequest {
        selector: Some(selector.clone()),
        all: options.targets.all,
        reason: options.reason.clone(),
    };
    let what = "prepare a start";
    let prepared = fleet.call(what, async |mut it| it.prepare_start(request.clone()).await).await?;
    let reason = &options.reason;
    let wanted = Wanted { selector: &selector, reason, operator: fleet.identity() };
    let signed = sign(&signer, prepared.order, &wanted)
        .with_context(|| format!("cannot start hosts by {}", fleet.endpoint()))?;
    let request = StartHostsRequest { order: Some(signed), request_id: request_id()? };
    let what = "start hosts";
    let mut interrupt = Interrupt::new()?;
    let asked = fleet.call(what, async |mut it| it.start_hosts(request.clone()).await);
    let order = tokio::select! {
        order = asked => order?,
        () = interrupt.wait() => bail!(NOT_KNOWN),
    };
    given(fleet, order, options, output, interrupt).await
}

fn wanted(options: &Give) -> Result<Selector> {
    if options.reason.len() > MAX_REASON {
        bail!(Usage(format!("--reason has more than {MAX_REASON} bytes")));
    }
    Ok(options.targets.selector()?)
}

/// Tells of an order that was given, and watches it if that is wanted.
async fn given(
    fleet: &mut Fleet,
    order: Order,
    options: &Give,
    output: Output,
    interrupt: Interrupt,
) -> Result<Done> {
    if output == Output::Table {
        say(&clean(&title(&order)))?;
    }
    if options.wait > 0 {
        let wait = Duration::from_secs(options.wait.into());
        return follow(fleet, order, wait, output, interrupt).await;
    }
    match output {
        Output::Json => say(&json::line(&json::Order::from(&order))?)?,
        Output::Table => {
            if !order.durable {
                say(NOT_DURABLE)?;
            }
            let epoch = clean(epoch(&order));
            say(&format!("it is given; `wanglou orders {epoch}` shows how far it is"))?;
        }
    }
    Ok(Done::Well)
}

/// Whether all hosts are really meant. Only somebody at a terminal is asked: nothing that runs by itself waits here.
async fn is_confirmed(fleet: &mut Fleet, options: &Give, verb: &str) -> Result<bool> {
    let stdin = io::stdin();
    let somebody = stdin.is_terminal() && io::stderr().is_terminal();
    if !options.targets.all || options.yes || !somebody {
        return Ok(true);
    }
    let request = CountHostsRequest { filter: None, group_by: "state".to_owned() };
    let what = "count hosts";
    let counted = fleet.call(what, async |mut it| it.count_hosts(request.clone()).await).await;
    let many = match &counted {
        Ok(counted) => {
            let counts = counted.counts.iter();
            hosts::summary(counts.map(|(name, count)| (name.as_str(), u64::from(*count))), false)
        }
        // Who cannot be counted can be stopped all the same.
        Err(error) => error.to_string(),
    };
    let name = &fleet.identity().fleet;
    write!(io::stderr(), "{verb} all hosts of {name} ({many})? [y/N] ")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
