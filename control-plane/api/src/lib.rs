//! What the sensor and the control plane agree on. `proto/` is the one definition; the Rust here
//! follows from it, and a test says so when it no longer does.
#![forbid(unsafe_code)]

pub mod event;
