//! `run`: a supervisor that is always there, and a worker that it starts again.
//!
//! ```text
//! supervisor   watches, restarts, closes the books       message   what both say to each other
//! attendant    one worker, as its supervisor has it      worker    the other side
//! ```

mod attendant;
mod message;
mod supervisor;
mod worker;

pub use supervisor::run;
pub use worker::run_worker;

/// The word that makes the binary a worker; not for people.
pub const WORKER: &str = "worker";
