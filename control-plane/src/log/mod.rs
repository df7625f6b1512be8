//! What is told to operators unasked.

pub(crate) mod ids;
