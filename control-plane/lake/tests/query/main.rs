//! Questions about lakes that these tests have filled, as replicas do.

mod bombs;
mod conditions;
mod filled;
mod reading;
mod trees;
