//! The names that events go by: the ledger counts by them.

use wanglou_api::event::Strings;

/// What an event is about (`event.action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Found at start, or again after a loss.
    ExistingProcess,
    /// A new process.
    Fork,
    /// A new image.
    Exec,
    /// The last thread ended.
    End,
    /// User ids changed.
    UidChange,
    /// Group ids changed.
    GidChange,
    /// Of a lost event whose action nobody can know any more.
    Unknown,
}

impl Action {
    /// Every action that is counted, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::ExistingProcess,
        Self::Fork,
        Self::Exec,
        Self::End,
        Self::UidChange,
        Self::GidChange,
        Self::Unknown,
    ];

    /// `event.action`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExistingProcess => "existing_process",
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::End => "end",
            Self::UidChange => "uid_change",
            Self::GidChange => "gid_change",
            Self::Unknown => "unknown",
        }
    }

    /// `event.type`, beside the category `process`.
    pub fn kind(self) -> Strings<'static> {
        Strings::Slice(match self {
            Self::ExistingProcess | Self::Unknown => &["info"],
            Self::Fork | Self::Exec => &["start"],
            Self::End => &["end"],
            Self::UidChange | Self::GidChange => &["change"],
        })
    }
}
