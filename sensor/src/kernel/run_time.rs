//! How long programs run, as the kernel times them while it is asked to.

use std::cell::Cell;
use std::os::fd::{AsFd as _, OwnedFd};

use super::sys;
use crate::action::Category;
use crate::log::ids;

/// A time for each category, ns.
pub type ByCategory = [u64; Category::ALL.len()];

/// Programs whose time is of interest.
#[derive(Debug)]
pub struct RunTime {
    programs: Vec<(Category, OwnedFd)>,
    allowed: Cell<bool>,
}

/// While this lives, the kernel times them (`BPF_ENABLE_STATS`, 5.8 and later).
#[derive(Debug)]
pub struct Timed<'a> {
    programs: &'a [(Category, OwnedFd)],
    before: ByCategory,
    _statistics: OwnedFd,
}

impl RunTime {
    /// Of these.
    pub fn of(programs: Vec<(Category, OwnedFd)>) -> Self {
        Self { programs, allowed: Cell::new(true) }
    }

    /// Begins; `None` where there are none, or where it is not allowed: it takes `CAP_SYS_ADMIN`.
    pub fn begin(&self) -> Option<Timed<'_>> {
        if self.programs.is_empty() || !self.allowed.get() {
            return None;
        }
        let statistics = match sys::enable_statistics() {
            Ok(statistics) => statistics,
            Err(error) => {
                self.allowed.set(false);
                tracing::warn!(id = ids::PROBES_NOT_TIMED.code, %error, "the kernel does not time probes for us: their cost is not counted");
                return None;
            }
        };
        let programs = &self.programs;
        Some(Timed { programs, before: total(programs), _statistics: statistics })
    }
}

impl Timed<'_> {
    /// For how long they ran meanwhile, ns.
    pub fn end(self) -> ByCategory {
        let after = total(self.programs);
        std::array::from_fn(|n| after[n].saturating_sub(self.before[n]))
    }
}

fn total(programs: &[(Category, OwnedFd)]) -> ByCategory {
    let mut total = ByCategory::default();
    for (category, program) in programs {
        total[*category as usize] += sys::run_time(program.as_fd()).unwrap_or(0);
    }
    total
}
