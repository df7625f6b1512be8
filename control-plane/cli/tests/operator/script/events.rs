//! The service of events, by the same script.

use tonic::{Request, Response};
use wanglou_api::fleet::v1::event_service_server::EventService;
use wanglou_api::fleet::v1::{self as fleet};

use super::{Answer, Answers, Scripted, stream};

#[tonic::async_trait]
impl EventService for Scripted {
    type ReadEventsStream = Answers<fleet::ReadEventsResponse>;

    async fn read_events(
        &self,
        request: Request<fleet::ReadEventsRequest>,
    ) -> Answer<Self::ReadEventsStream> {
        let mut script = self.script("read_events")?;
        script.read.push(request.into_inner());
        stream(&mut script.events)
    }

    async fn read_process_tree(
        &self,
        request: Request<fleet::ReadProcessTreeRequest>,
    ) -> Answer<fleet::ReadProcessTreeResponse> {
        let script = self.script("read_process_tree")?;
        let request = request.into_inner();
        let is_known = script.tree.processes.iter().any(|it| it.entity_id == request.entity_id);
        Ok(Response::new(if is_known { script.tree.clone() } else { Default::default() }))
    }

    type ReconcileRunsStream = Answers<fleet::ReconcileRunsResponse>;

    async fn reconcile_runs(
        &self,
        request: Request<fleet::ReconcileRunsRequest>,
    ) -> Answer<Self::ReconcileRunsStream> {
        let mut script = self.script("reconcile_runs")?;
        script.reconciled.push(request.into_inner());
        stream(&mut script.runs)
    }
}
