//! What the loader tells the worker. The descriptors travel beside it.

/// Raised with every change that an older reader would misunderstand.
pub(super) const VERSION: u32 = 2;

/// The outcome of loading.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Loaded {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// Why there is nothing.
    #[prost(string, optional, tag = "2")]
    pub(super) error: Option<String>,
    /// The rest of the descriptors: ring, counters, what is given up, then two of each attached program.
    #[prost(message, repeated, tag = "3")]
    pub(super) programs: Vec<ProgramReport>,
    /// CPUs that the counters have rows for.
    #[prost(uint32, tag = "4")]
    pub(super) cpus: u32,
}

/// What became of a program.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProgramReport {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Why it does not run; with it there are no descriptors of it.
    #[prost(string, optional, tag = "2")]
    pub(super) missing: Option<String>,
    /// Instructions that the verifier walked.
    #[prost(uint32, optional, tag = "3")]
    pub(super) verified: Option<u32>,
}

impl ProgramReport {
    /// Whether this is the program of that name, and it runs.
    pub(super) fn runs(&self, name: &str) -> bool {
        self.name == name && self.missing.is_none()
    }
}
