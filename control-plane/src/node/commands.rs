//! What an operator has hosts do once, and what came of it.

use std::collections::{HashMap, HashSet};

use tokio::sync::mpsc;
use wanglou_api::fleet::v1::RunCommandResponse;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::Selector;
use wanglou_api::sensor::v1::control_response::Message as Say;
use wanglou_api::sensor::v1::{Command, CommandResult};
use wanglou_api::signing::selects;

use super::State;
use crate::fleet::Millis;

/// Answers of hosts that wait to be told: as many as a replica has hosts.
pub(crate) const RESULTS: usize = 1 << 17;
/// Time for a host to answer.
const PATIENCE_MS: Millis = 15_000;

/// Those that are not answered by all.
#[derive(Debug, Default)]
pub(super) struct Commands(HashMap<String, Pending>);

#[derive(Debug)]
struct Pending {
    waiting: HashSet<Name>,
    to: mpsc::Sender<RunCommandResponse>,
    until: Millis,
}

impl Commands {
    pub(super) fn answered(&mut self, host: &Name, result: CommandResult) {
        let Some(pending) = self.0.get_mut(&result.command_id) else { return };
        if pending.waiting.remove(host) {
            pending.tell(host, result.error);
        }
        if pending.waiting.is_empty() {
            self.0.remove(&result.command_id);
        }
    }

    /// A host has no stream any more.
    pub(super) fn gone(&mut self, host: &Name) {
        self.0.retain(|_, pending| {
            if pending.waiting.remove(host) {
                pending.tell(host, "its connection broke before it answered".to_owned());
            }
            !pending.waiting.is_empty()
        });
    }

    pub(super) fn advance(&mut self, now: Millis) {
        self.0.retain(|_, pending| {
            let is_over = now >= pending.until || pending.to.is_closed();
            if is_over {
                for host in &pending.waiting {
                    pending.tell(host, format!("no answer after {} s", PATIENCE_MS / 1_000));
                }
            }
            !is_over
        });
    }
}

impl Pending {
    /// There is room for all; who asked may have gone.
    fn tell(&self, host: &Name, error: String) {
        let _ = self.to.try_send(RunCommandResponse { host: format!("hosts/{host}"), error });
    }
}

impl State {
    pub(super) fn command(
        &mut self,
        selector: &Selector,
        command: &Command,
        to: mpsc::Sender<RunCommandResponse>,
        now: Millis,
    ) {
        let meant = |host: &Name, labels: &std::collections::BTreeMap<String, String>| {
            selects(selector, host.as_str(), |name| labels.get(name).map(String::as_str))
        };
        let streams = self.streams.iter();
        let streams = streams.filter(|(_, stream)| meant(&stream.host, &stream.labels));
        let streams: Vec<_> = streams.map(|(id, stream)| (*id, stream.host.clone())).collect();
        if streams.is_empty() {
            return;
        }
        let waiting = streams.iter().map(|(_, host)| host.clone()).collect();
        let pending = Pending { waiting, to, until: now + PATIENCE_MS };
        self.commands.0.insert(command.command_id.clone(), pending);
        for (id, _) in streams {
            self.say(id, Say::Command(command.clone()));
        }
    }
}
