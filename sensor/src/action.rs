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
    /// A connection that was there at start.
    ExistingConnection,
    /// A socket listens.
    Listen,
    /// A connection was opened from here, or could not be.
    ConnectionAttempted,
    /// A connection was taken.
    ConnectionAccepted,
    /// A connection is over.
    DisconnectReceived,
    /// What was said over UDP, summed.
    Flow,
    /// More is known of a container than its id.
    ContainerSeen,
    /// Of a lost event whose action nobody can know any more.
    Unknown,
}

/// What an action belongs to (`event.category`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// What processes do.
    Process,
    /// Whom they talk to.
    Network,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 2] = [Self::Process, Self::Network];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Network => "network",
        }
    }
}

/// How long an event is held on to when not all can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// It goes first: sums, which later ones make up for, and who listens, which can be listed.
    Least,
    /// Connections.
    Less,
    /// Processes that begin or change.
    More,
    /// What was run, and what has ended.
    Most,
}

impl Action {
    /// Every action that is counted, in the order of its number.
    pub const ALL: [Self; 14] = [
        Self::ExistingProcess,
        Self::Fork,
        Self::Exec,
        Self::End,
        Self::UidChange,
        Self::GidChange,
        Self::ExistingConnection,
        Self::Listen,
        Self::ConnectionAttempted,
        Self::ConnectionAccepted,
        Self::DisconnectReceived,
        Self::Flow,
        Self::ContainerSeen,
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
            Self::ExistingConnection => "existing_connection",
            Self::Listen => "listen",
            Self::ConnectionAttempted => "connection_attempted",
            Self::ConnectionAccepted => "connection_accepted",
            Self::DisconnectReceived => "disconnect_received",
            Self::Flow => "flow",
            Self::ContainerSeen => "container_seen",
            Self::Unknown => "unknown",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// `event.category`; of what is not known any more, nobody can say it.
    pub fn category(self) -> Option<Category> {
        match self {
            Self::ExistingProcess
            | Self::Fork
            | Self::Exec
            | Self::End
            | Self::UidChange
            | Self::GidChange
            | Self::ContainerSeen => Some(Category::Process),
            Self::ExistingConnection
            | Self::Listen
            | Self::ConnectionAttempted
            | Self::ConnectionAccepted
            | Self::DisconnectReceived
            | Self::Flow => Some(Category::Network),
            Self::Unknown => None,
        }
    }

    /// How long it is held on to.
    pub fn worth(self) -> Worth {
        match self {
            Self::Flow | Self::Listen => Worth::Least,
            Self::ExistingConnection
            | Self::ConnectionAttempted
            | Self::ConnectionAccepted
            | Self::DisconnectReceived => Worth::Less,
            Self::ExistingProcess
            | Self::Fork
            | Self::UidChange
            | Self::GidChange
            | Self::ContainerSeen => Worth::More,
            Self::Exec | Self::End | Self::Unknown => Worth::Most,
        }
    }

    /// `event.type`.
    pub fn kind(self) -> Strings<'static> {
        Strings::Slice(match self {
            Self::ExistingProcess
            | Self::ExistingConnection
            | Self::Listen
            | Self::Flow
            | Self::ContainerSeen
            | Self::Unknown => &["info"],
            Self::Fork | Self::Exec | Self::ConnectionAttempted | Self::ConnectionAccepted => {
                &["start"]
            }
            Self::End | Self::DisconnectReceived => &["end"],
            Self::UidChange | Self::GidChange => &["change"],
        })
    }
}

impl Category {
    /// As `event.category` lists it.
    pub fn names(self) -> Strings<'static> {
        Strings::Slice(match self {
            Self::Process => &["process"],
            Self::Network => &["network"],
        })
    }
}
