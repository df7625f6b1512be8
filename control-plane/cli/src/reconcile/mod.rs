//! `reconcile`: what sensors have produced, and whether all of it is somewhere.

mod row;
mod sums;

use anyhow::Result;
use tonic::Status;
use wanglou_api::fleet::v1::run_balance::State;
use wanglou_api::fleet::v1::{ReconcileRunsRequest, ReconcileRunsResponse};

use crate::Done;
use crate::cli::{Output, Reconcile};
use crate::connection::Fleet;
use crate::table::Table;
use crate::terminal::{Look, note, say, say_all};
use crate::{json, units};
use sums::{Runs, Sums};

const RECONCILE: &str = "reconcile runs";
/// Runs that a table shows; the JSON has all of them.
const SHOWN: u64 = 1_000;

/// Tells of each run that does not balance, and of all of them in sum.
pub(crate) async fn run(fleet: &mut Fleet, options: &Reconcile, output: Output) -> Result<Done> {
    let request =
        ReconcileRunsRequest { hosts: options.host.clone(), unbalanced_only: options.unbalanced };
    let mut stream = fleet
        .call_events(RECONCILE, async |mut it| it.reconcile_runs(request.clone()).await)
        .await?;
    let mut sums = Sums::default();
    let mut table = row::table();
    let last = loop {
        let told = match stream.message().await {
            Ok(Some(told)) => told,
            Ok(None) => {
                let ended = Status::unavailable("it ended before all runs were told of");
                return Err(fleet.ended(RECONCILE, &ended).into());
            }
            Err(status) => return Err(fleet.ended(RECONCILE, &status).into()),
        };
        for balance in &told.runs {
            sums.add(balance);
            if output == Output::Json {
                say(&json::line(&json::RunBalance::from(balance))?)?;
            } else if balance.state() == State::Unbalanced && sums.unbalanced <= SHOWN {
                table.row(row::row(balance));
            }
        }
        if told.complete {
            break told;
        }
    };
    let runs = Runs::of(&last);
    match output {
        Output::Json => say(&json::line(&as_json(&last))?)?,
        Output::Table => show(&table, &sums, runs, options.unbalanced)?,
    }
    if runs.all() == 0 {
        // Nothing was checked: a host may be misspelt.
        note("no run is known, so nothing was checked");
        return Ok(Done::Badly);
    }
    let is_well = runs.unbalanced == 0 && sums.unbalanced == 0;
    Ok(if is_well { Done::Well } else { Done::Badly })
}

fn show(table: &Table, sums: &Sums, runs: Runs, is_part: bool) -> Result<()> {
    let look = Look::of_stdout();
    if sums.unbalanced > 0 {
        say_all(&table.lines(look.columns, look.colour))?;
    }
    if sums.unbalanced > SHOWN {
        say(&format!("and {} more (--output json)", units::count(sums.unbalanced - SHOWN)))?;
    }
    say(&runs.in_words())?;
    if is_part {
        // Of the others the replica has told nothing.
        if runs.unbalanced > 0 {
            say(&format!("of those that do not balance: {}", sums.in_words()))?;
        }
    } else if runs.all() > 0 {
        say(&sums.in_words())?;
    }
    if runs.all() > 0 && runs.unbalanced == 0 && sums.unbalanced == 0 {
        say("nothing is missing")?;
    }
    Ok(())
}

fn as_json(last: &ReconcileRunsResponse) -> json::Reconciled {
    json::Reconciled {
        complete: true,
        runs_balanced: last.runs_balanced,
        runs_open: last.runs_open,
        runs_unbalanced: last.runs_unbalanced,
    }
}
