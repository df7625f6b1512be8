use crate::log::Alert;

/// Raised with every change that an older reader would misunderstand.
pub(super) const VERSION: u32 = 1;

/// Supervisor to worker, once: what to do. Beside it the books to write, and those of the worker before
/// it, closed, if there was one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Start {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// The settings, as a file would have them.
    #[prost(string, tag = "2")]
    pub(super) config: String,
    /// What went wrong before it was there, to be written as events.
    #[prost(message, repeated, tag = "3")]
    pub(super) alerts: Vec<Alert>,
}

/// Worker to supervisor, once: its probes are attached. Beside it the map in which they count, and the
/// programs, if there are any.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attached {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// CPUs that the map has rows for; 0 where there is none.
    #[prost(uint32, tag = "2")]
    pub(super) cpus: u32,
}
