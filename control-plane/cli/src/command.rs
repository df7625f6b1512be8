//! `module`, `log-level` and `snapshot`: what hosts do once.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep_until};
use wanglou_api::fleet::v1::run_command_request::Action;
use wanglou_api::fleet::v1::{RunCommandRequest, RunCommandResponse};

use crate::cli::{Output, Run};
use crate::connection::Fleet;
use crate::failure::one_line;
use crate::interrupt::Interrupt;
use crate::table::Tone;
use crate::terminal::{Look, note, say};
use crate::{Done, hosts, json, request_id, units};

/// Has hosts do it, and tells what came of it, host by host.
pub(crate) async fn run(
    fleet: &mut Fleet,
    action: Action,
    options: &Run,
    output: Output,
) -> Result<Done> {
    let request = RunCommandRequest {
        selector: Some(options.targets.selector()?),
        all: options.targets.all,
        action: Some(action),
        request_id: request_id()?,
    };
    let what = "run the command";
    let wait = Duration::from_secs(options.wait.into());
    let deadline = Instant::now() + wait;
    let mut stream = fleet.call(what, async |mut it| it.run_command(request.clone()).await).await?;
    let mut interrupt = Interrupt::new()?;
    let (mut done, mut failed) = (0, 0);
    let is_over = loop {
        let told = tokio::select! {
            () = interrupt.wait() => {
                note("no longer waited for; hosts that have it do it all the same");
                break false;
            }
            () = sleep_until(deadline) => {
                let wait = units::span(wait);
                note(&format!("not all have answered within {wait}: those that have it do it all the same"));
                break false;
            }
            told = stream.message() => told,
        };
        match told {
            Ok(Some(outcome)) => {
                if outcome.error.is_empty() {
                    done += 1;
                } else {
                    failed += 1;
                }
                show(&outcome, output)?;
            }
            Ok(None) => break true,
            Err(status) => return Err(fleet.ended(what, &status).into()),
        }
    };
    if output == Output::Table {
        say(&match (done, failed) {
            (0, 0) => "no host has answered".to_owned(),
            _ => format!("{} done, {} failed", units::count(done), units::count(failed)),
        })?;
    }
    Ok(if is_over && failed == 0 && done > 0 { Done::Well } else { Done::Badly })
}

fn show(outcome: &RunCommandResponse, output: Output) -> Result<()> {
    let RunCommandResponse { host, error } = outcome;
    let line = match output {
        Output::Json => json::line(&json::Outcome { host, error })?,
        Output::Table => {
            let host = one_line(hosts::id(host));
            let (text, tone) = match error.as_str() {
                "" => ("done".to_owned(), Tone::Plain),
                error => (one_line(error), Tone::Bad),
            };
            format!("{host}: {}", tone.paint(&text, Look::of_stdout().colour))
        }
    };
    Ok(say(&line)?)
}
