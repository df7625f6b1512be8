//! The beginning: what was before, and what is there already.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{PATIENCE, Worker};
use crate::books::Books;
use crate::image;
use crate::ledger::Cause;
use crate::log::ids;
use crate::module::{Module, Modules};
use crate::observation::Observation;
use crate::outlets::{Holes, Outlets};
use crate::reconcile;

impl Worker {
    /// Tells of the time in which nobody worked, and of what was lost with the one before.
    pub(super) fn report_pause(&mut self, last: &Books) {
        let pause = (last.absent_since(), self.whole_until);
        self.outlets.report_pause(self.modules.clock(), pause, last);
    }

    /// Builds the table, and says that we are ready.
    pub(super) fn begin(&mut self, attached: u64) -> Result<()> {
        self.whole_until = attached;
        let source = &mut *self.source;
        let listed =
            self.modules.attempt(Module::Process, &mut self.outlets, |modules, outlets| {
                reconcile::begin(source, modules, outlets, attached)
            });
        match listed {
            Some(listed) => listed.context("cannot list the processes of this host")?,
            None => self.holes = Holes::Suffered,
        }
        self.modules
            .attempt(Module::Network, &mut self.outlets, |modules, outlets| {
                let mut listed = Listed::for_output(modules, outlets);
                source.sockets(&mut |seen| listed.observe(seen))
            })
            .transpose()
            .context("cannot list the sockets of this host")?;
        self.outlets.flush();
        let page = self.books.page();
        page.whole_until.set(attached);
        page.ready.set(1);
        let (processes, _) = self.modules.enricher().table_size();
        let how = self.source.describe();
        tracing::info!(id = ids::READY.code, "ready: {how}; {processes} processes");
        image::give_back();
        Ok(())
    }
}

/// What comes from a list, which may be long and cannot be put off once it has begun: it goes no faster
/// than the output takes it, and what a stuck one does not take is lost.
pub(super) struct Listed<'a> {
    modules: &'a mut Modules,
    outlets: &'a mut Outlets,
    patience: Duration,
}

impl<'a> Listed<'a> {
    pub(super) fn for_output(modules: &'a mut Modules, outlets: &'a mut Outlets) -> Self {
        Self { modules, outlets, patience: PATIENCE }
    }

    pub(super) fn observe(&mut self, seen: &Observation<'_>) {
        if self.outlets.wait_for_room(self.patience) {
            return self.modules.observe(seen, self.outlets);
        }
        // It is waited for once, not for each.
        self.patience = Duration::ZERO;
        self.modules.lose(Cause::QueueFull, seen.action.name(), 1, self.outlets);
    }
}
