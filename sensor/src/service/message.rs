/// Raised with every change that an older reader would misunderstand.
pub(super) const VERSION: u32 = 1;

/// Supervisor to worker, once: what to do. Beside it the books to write, and those of the worker before
/// it, closed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Start {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// The settings, as a file would have them.
    #[prost(string, tag = "2")]
    pub(super) config: String,
    /// `wanglou.run.id` of the worker before.
    #[prost(string, optional, tag = "3")]
    pub(super) last_run: Option<String>,
    /// It could not write its last ledger.
    #[prost(bool, tag = "4")]
    pub(super) last_was_killed: bool,
}

/// Worker to supervisor, once: it works. Beside it the map in which probes count, and the
/// programs, if there are any.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ready {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// Its `wanglou.run.id`.
    #[prost(string, tag = "2")]
    pub(super) run: String,
    /// CPUs that the map has rows for; 0 where there is none.
    #[prost(uint32, tag = "3")]
    pub(super) cpus: u32,
}
