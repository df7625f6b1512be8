//! What was lost on the way, and from when until when.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{GAP_NS, MEND_NS, Worker};
use crate::clock;
use crate::gap::Gap;
use crate::ledger::ByAction;
use crate::module::Module;
use crate::outlets::Holes;
use crate::reconcile;

impl Worker {
    /// Tells of losses, and mends, when they are over or have gone on for long.
    pub(super) fn look_for_losses(&mut self) -> Result<()> {
        let lost = self.book_losses();
        // What a stuck output does not take would only have to wait in between.
        if !self.outlets.wait_for_room(Duration::ZERO) {
            return Ok(());
        }
        match self.gap {
            Some(gap) if !lost || gap.end > gap.start + GAP_NS => self.end_gap(gap, false),
            Some(_) => Ok(()),
            None if self.holes != Holes::None && clock::boot_ns() >= self.mend_at => {
                self.end_gap(Gap::since(self.whole_until), true)
            }
            None => {
                // One that took nothing then may have losses that it has not been told of.
                let (clock, none) = (self.modules.clock(), ByAction::default());
                self.outlets.report_gap(clock, self.whole_until, &none);
                Ok(())
            }
        }
    }

    /// Books what was lost since the last look; `true` if that is anything.
    pub(super) fn book_losses(&mut self) -> bool {
        let (modules, outlets) = (&mut self.modules, &mut self.outlets);
        let all = self.source.losses(&mut |cause, action, events| {
            modules.lose(cause, action, events, outlets);
        });
        let (noted, now) = (outlets.note_losses(self.whole_until), clock::boot_ns());
        if noted.any {
            let gap = self.gap.get_or_insert(Gap::since(self.whole_until));
            gap.end = now;
            gap.holes = gap.holes.max(noted.holes);
            self.mend_at = now + MEND_NS;
        } else if self.gap.is_none() && all {
            self.whole_until = now;
        }
        if !noted.any && noted.holes != Holes::None {
            // Nobody misses them, but who owns a connection is known from the table.
            self.holes = self.holes.max(noted.holes);
            self.mend_at = now + MEND_NS;
        }
        noted.any
    }

    /// Tells of a gap. After losses that we chose the table is mended only once they have been `over` for
    /// long, and never while nobody keeps it.
    pub(super) fn end_gap(&mut self, gap: Gap, over: bool) -> Result<()> {
        self.gap = None;
        let holes = gap.holes.max(std::mem::take(&mut self.holes));
        let mut recovered = ByAction::default();
        match holes {
            Holes::None => {}
            Holes::Chosen if !over => self.holes = holes,
            Holes::Chosen | Holes::Suffered => {
                let source = &mut *self.source;
                let mended =
                    self.modules.attempt(Module::Process, &mut self.outlets, |modules, outlets| {
                        reconcile::mend(source, modules, outlets)
                    });
                match mended {
                    Some(mended) => {
                        recovered =
                            mended.context("cannot list the processes of this host again")?;
                    }
                    None => (self.holes, self.mend_at) = (holes, clock::boot_ns() + MEND_NS),
                }
            }
        }
        self.whole_until = gap.end;
        self.outlets.report_gap(self.modules.clock(), gap.end, &recovered);
        Ok(())
    }
}
