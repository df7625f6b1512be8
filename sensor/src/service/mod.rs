//! `run`: a supervisor that is always there, and a worker that it starts again.
//!
//! ```text
//! supervisor   watches, restarts, closes the books       message   what both say to each other
//! attendant    one worker, as its supervisor has it      worker    the other side
//! breaker      when to rest                              usage     what the sensor costs
//! settings     what is in force, and what comes into it   told      what every service is told, and the fleet
//! cgroup       limits of the worker's own                  shutdown  whether the host goes down with us
//! ```

mod attendant;
mod breaker;
mod cgroup;
mod message;
mod settings;
mod shutdown;
mod supervisor;
mod told;
mod usage;
mod worker;

pub use breaker::Budget;
pub(crate) use breaker::Usage;
pub use cgroup::Limits;
pub(crate) use message::ask_for_heap;
pub use supervisor::run;
pub use worker::run_worker;

/// The word that makes the binary a worker; not for people.
pub const WORKER: &str = "worker";
