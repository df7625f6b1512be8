//! A model of etcd: what it holds, and the way to it.
//!
//! ```text
//! model   keys, leases, revisions      way   requests and answers, late, lost or twice      watching   what is told of changes
//! ```

mod model;
mod watching;
mod way;

pub(super) use model::{Lie, Model};
pub(super) use way::{Way, Weather};
