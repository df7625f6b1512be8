//! What a replica decides. Nothing here does I/O or knows the time: what happened is told, with when, and what is to be
//! done is the answer.
//!
//! ```text
//! sessions   hosts whose streams end here: who is suspect, lost, a twin
//! placement  what etcd is to say of them, change by change                leases   which of them is on which lease
//! hosts      every host of the fleet, as etcd tells     orders   who is to stop, and who has
//! ```

pub(crate) mod hosts;
pub(crate) mod leases;
pub(crate) mod orders;
pub(crate) mod placement;
pub(crate) mod sessions;

/// Milliseconds of a clock that only goes forward.
pub(crate) type Millis = u64;
