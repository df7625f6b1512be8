//! Every message that an operator is told of unasked has a number that never changes. A program has a table of
//! all that it says ([`ids!`](crate::ids)), with what each means to it and what to do; what is here is said by
//! this crate or by every program, under the same numbers everywhere.

use super::Level;

pub mod check;

/// A message in the table of a program.
#[derive(Clone, Copy, Debug)]
pub struct Id {
    /// `WL` and four digits. One that is not used any more is never used for another.
    pub code: &'static str,
    /// How severe it is.
    pub level: Level,
    /// What it means.
    pub means: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// Makes the table of a program: a constant for each [`Id`], and `ALL` of them by name.
///
/// ```
/// wanglou_daemon::ids! {
///     NO_LEASE "WL5001" Error
///         "etcd does not give a lease; hosts are not written until it does",
///         "see whether etcd has a quorum";
/// }
/// assert_eq!(ALL[0].0, "NO_LEASE");
/// assert_eq!(NO_LEASE.code, "WL5001");
/// ```
#[macro_export]
macro_rules! ids {
    ($($name:ident $code:literal $level:ident $means:literal, $advice:literal;)*) => {
        $(
            #[doc = $means]
            pub const $name: $crate::log::ids::Id = $crate::log::ids::Id {
                code: $code,
                level: $crate::log::Level::$level,
                means: $means,
                advice: $advice,
            };
        )*
        /// All of them, by name.
        pub const ALL: &[(&str, $crate::log::ids::Id)] = &[$((stringify!($name), $name)),*];
    };
}

/// A message that more than one program has.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// As in [`Id`].
    pub code: &'static str,
    /// As in [`Id`].
    pub level: Level,
}

macro_rules! shared {
    ($($name:ident $code:literal $level:ident $means:literal;)*) => {
        $(
            #[doc = $means]
            pub const $name: Shared = Shared { code: $code, level: Level::$level };
        )*
        /// All of them, by name.
        pub const SHARED: &[(&str, Shared)] = &[$((stringify!($name), $name)),*];
    };
}

shared! {
    FAILED "WL1009" Error "The program ends, and why.";
    PANICKED "WL1010" Error "A fault in the program itself, and where.";
    SETTINGS_REFUSED "WL1012" Error "Settings that were read again are wrong.";
    SETTINGS_CHANGED "WL1013" Notice "Settings were read again, and what has changed.";
    NOT_NOTIFIED "WL1016" Warning "The service manager cannot be told how the service is.";
    TELEMETRY_ON "WL1017" Notice "Where the program answers for itself.";
    TELEMETRY_OFF "WL1018" Error "It cannot, and answers nobody.";
    NO_HEAP_PROFILE "WL1019" Warning "There is no profile of the heap.";
    LOG_NOT_WRITTEN "WL9001" Warning "Files or journal cannot be written.";
    LOG_LINES_LOST "WL9002" Warning "So many lines are not where they should be.";
    OTHERS "WL9003" Warning "More different messages than can be told apart.";
    FOREIGN "WL9004" Warning "Something that a library has said.";
    RAW "WL9005" Warning "Something that a process has said outside its log.";
    ALERTS_LOST "WL9006" Warning "So many errors did not become events.";
    MISUNDERSTOOD "WL9007" Warning "`WANGLOU_LOG` says nothing that can be understood.";
}

/// Those of [`SHARED`] that a program has which starts itself again and hands errors over.
pub const OF_WORKERS: &[&str] = &["RAW", "ALERTS_LOST"];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_warning_and_error_of_this_crate_has_a_number() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let known = SHARED.iter().map(|(name, it)| (*name, it.level));
        assert_eq!(check::sources(&sources, known), Ok(()));
    }
}
