//! Whether what the control plane said of hosts was true.
//!
//! What was, hosts write down themselves: whether they were there, from when to when, by the clock of this machine.
//! What was said is a list of states, each of which holds until the next one of its host.

mod check;
mod record;

pub use check::{Allowed, Finding, Findings, Kind, Observation, State, check};
pub use record::{Event, Record, Truth, now};
