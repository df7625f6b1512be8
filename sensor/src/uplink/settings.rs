/// What is kept of what the fleet is to have, and how fast it gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the spool.
    pub spool_bytes: u64,
    /// For how long something is kept in it, seconds.
    pub spool_seconds: u64,
    /// Bytes that are told in a second, 0 for any number.
    pub bytes_per_second: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { spool_bytes: 64 << 20, spool_seconds: 86_400, bytes_per_second: 0 }
    }
}
