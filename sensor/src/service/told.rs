//! What the supervisor is told: what every service is, and what the fleet wants.

use std::path::PathBuf;

use wanglou_daemon::service::{self, NoSignal};

use crate::control::{Asked, Command, Control};

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// As every service.
    Service(service::Word),
    /// Another order of the fleet stands.
    Ordered,
    /// The fleet wants something to be done once.
    Commanded(Command),
}

/// Who is listened to.
pub(super) struct Told {
    /// Signals, the clock, the file of settings; and who hears of us.
    pub(super) service: service::Told,
    /// The fleet.
    pub(super) control: Control,
}

impl Told {
    /// Listens from now on; `file` has been read.
    pub(super) fn new(file: PathBuf, control: Control) -> Result<Self, NoSignal> {
        Ok(Self { service: service::Told::new(file)?, control })
    }

    /// The next word, whoever says it.
    pub(super) async fn next(&mut self) -> Word {
        tokio::select! {
            word = self.service.next() => Word::Service(word),
            asked = self.control.asked() => match asked {
                Asked::Order => Word::Ordered,
                Asked::Command(command) => Word::Commanded(command),
            },
        }
    }
}
