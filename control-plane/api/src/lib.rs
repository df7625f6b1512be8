//! What the sensor and the control plane agree on. `proto/` is the one definition; the Rust here
//! follows from it, and tests say so when it no longer does.
#![forbid(unsafe_code)]

mod codec;
#[cfg(feature = "dial")]
pub mod dial;
pub mod event;
pub mod identity;
mod services;
pub mod signing;
#[cfg(test)]
mod test_pki;
pub mod tls;

pub use services::{DESCRIPTORS, fleet, order, peer, sensor};
