//! The end: the last events and the last books, also those of a worker that was killed.

use std::io;
use std::process::ExitCode;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use super::{PATIENCE, Worker};
use crate::books::Books;
use crate::clock::{self, Clock};
use crate::gap::Gap;
use crate::host::Host;
use crate::ledger::Balance;
use crate::log::{self, ids};
use crate::outlets::{Holes, Outlets};
use crate::output::{Destination, Outputs};

impl Worker {
    /// Detaches, takes what is left, writes the last books.
    pub(super) fn finish(mut self) -> Result<ExitCode> {
        self.source.detach();
        self.take_overdue(true)?;
        while self.outlets.wait_for_room(PATIENCE) {
            let (modules, outlets) = (&mut self.modules, &mut self.outlets);
            if !self.source.drain(&mut |seen| modules.observe(seen, outlets)) {
                break;
            }
        }
        self.book_losses();
        if self.gap.is_some() || self.holes != Holes::None {
            let gap = self.gap.unwrap_or(Gap::since(self.whole_until));
            self.end_gap(gap, true)?;
        }
        if let Some(stuck) = self.outlets.settle(PATIENCE) {
            bail!("{} takes nothing: the last events are not written", stuck.name());
        }
        let (_, forgotten) = self.modules.enricher().table_size();
        if forgotten > 0 {
            tracing::warn!(
                id = ids::TABLE_FULL.code,
                forgotten,
                "the process table was full: later events of these know less"
            );
        }
        log::finish();
        self.report_alerts();
        let balances = self.outlets.report_last(self.modules.clock(), clock::boot_ns());
        let failure = self.outlets.close(PATIENCE);
        conclude(failure.as_ref(), &balances)
    }

    pub(super) fn output_ended(mut self) -> Result<ExitCode> {
        self.source.detach();
        let balances = self.outlets.report_last(self.modules.clock(), clock::boot_ns());
        conclude(self.outlets.take_failure().as_ref(), &balances)
    }
}

/// A reader that goes away has seen enough; every other failure is one.
fn conclude(failure: Option<&io::Error>, balances: &[(Destination, Balance)]) -> Result<ExitCode> {
    if failure.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Ok(ExitCode::SUCCESS);
    }
    for (output, balance) in balances {
        let (produced, delivered, dropped) = balance.totals();
        if let Some(error) = failure {
            bail!(
                "cannot write to standard output: {error}: {} events are not written; make room \
                 or write elsewhere",
                produced - delivered - dropped
            );
        }
        let of = if balances.len() > 1 { format!("{}: ", output.name()) } else { String::new() };
        tracing::info!(
            id = ids::DONE.code,
            "done: {of}{produced} events, {delivered} written, {dropped} dropped"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the last ledgers of a run whose worker was killed, in its stead.
pub fn write_last_ledgers(killed: &Books, outputs: &Outputs) -> Result<()> {
    // A supervisor may have to do this for years.
    static HOST: OnceLock<Host> = OnceLock::new();
    let now = clock::boot_ns();
    let host = match HOST.get() {
        Some(host) => host,
        None => HOST.get_or_init({
            let host = Host::read(now)?;
            || host
        }),
    };
    let mut outlets = Outlets::for_a_line(host, outputs, killed)?;
    outlets.report_killed(Clock::now(), now, killed);
    // A reader that has gone away needs no ledger.
    let _ = outlets.close(PATIENCE);
    Ok(())
}
