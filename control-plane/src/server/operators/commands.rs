//! What hosts are to do once.

use aws_lc_rs::rand;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use wanglou_api::fleet::v1::run_command_request::Action;
use wanglou_api::fleet::v1::{RunCommandRequest, RunCommandResponse};
use wanglou_api::sensor::v1::{Command, command};

use super::{Operators, Stream, bad, meant};
use crate::node::{Event, RESULTS};

impl Operators {
    pub(super) async fn run_command(
        &self,
        request: RunCommandRequest,
    ) -> Result<Stream<RunCommandResponse>, Status> {
        let selector = meant(request.selector, request.all)?;
        let action = request.action.ok_or_else(|| bad("action", "there is none"))?;
        let action = match action {
            Action::SetModule(it) => command::Action::SetModule(it),
            Action::SetLogLevel(it) => command::Action::SetLogLevel(it),
            Action::Snapshot(it) => command::Action::Snapshot(it),
        };
        // A host does a command with an id that it knows no second time: so a request is done once.
        let command_id = if request.request_id.is_empty() { random() } else { request.request_id };
        let command = Command { command_id, action: Some(action) };
        let (to, mut results) = mpsc::channel(RESULTS);
        self.peers.relay_command(&selector, &command, &to);
        self.node.tell(Event::Command { selector, command, to }).await;
        let (say, said) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(result) = results.recv().await {
                if say.send(Ok(result)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Box::pin(ReceiverStream::new(said)))
    }
}

/// 16 hexadecimal digits.
fn random() -> String {
    let mut bytes = [0; 8];
    // Without random numbers a command is not told from another one without: no harm is done.
    let _ = rand::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
