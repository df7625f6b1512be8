//! The parts that the worker's work consists of. They begin and end one by one while the others go on, each
//! with its own account and its own breaker; one that panics begins again a little later.
//!
//! ```text
//! lifecycle   when one runs     quota   what it may do in a second     busy   what it takes of the CPU
//! settings    what an operator says of them     modules   all of them, around the enricher
//! ```

mod busy;
mod lifecycle;
mod modules;
mod quota;
mod settings;

pub use lifecycle::State;
pub use modules::Modules;
pub use settings::{Drill, Limits, Settings};

use crate::action::{Action, Category};
use crate::observation::{self, Observation};

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// What processes do.
    Process,
    /// Whom they talk to.
    Network,
    /// What the sensor says of itself: its books, and what went wrong with it.
    Own,
}

impl Module {
    /// Every module, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Process, Self::Network, Self::Own];
    /// Those that something is seen by.
    pub const SEEING: [Self; 2] = [Self::Process, Self::Network];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Network => "network",
            Self::Own => "self",
        }
    }

    /// Whose work an observation is.
    pub fn of(seen: &Observation<'_>) -> Self {
        match seen.action {
            observation::Action::Connection(_) => Self::Network,
            _ => Self::Process,
        }
    }

    /// Whose events are called so; what cannot be named may be anybody's.
    pub fn of_action(action: Action) -> Option<Self> {
        action.category().map(|category| match category {
            Category::Process => Self::Process,
            Category::Network => Self::Network,
        })
    }
}

#[cfg(test)]
mod tests {
    use wanglou_sensor_common::counters::Stream;

    use super::*;
    use crate::source;

    #[test]
    fn probes_have_the_modules_in_the_same_order() {
        for stream in Stream::ALL {
            let module = Module::of_action(source::action(stream));
            assert_eq!(module, Some(Module::SEEING[stream.group()]), "{stream:?}");
        }
    }
}
