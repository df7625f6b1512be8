//! `wanglou.fleet.v1.EventService`: what operators read of the lake.

pub(super) mod read;
mod reconcile;
mod tree;

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wanglou_api::fleet::v1::event_service_server::EventService;
use wanglou_api::fleet::v1::{
    ReadEventsRequest, ReadEventsResponse, ReadProcessTreeRequest, ReadProcessTreeResponse,
    ReconcileRunsRequest, ReconcileRunsResponse,
};
use wanglou_api::identity::Role;
use wanglou_lake::Error;
use wanglou_lake::query::QueryError;

use super::caller::caller;
use super::operators::bad;
use super::publish::{Ingests, open};
use crate::peers::Peers;

/// Serves operators.
pub(crate) struct Events {
    pub(crate) ingests: Ingests,
    pub(crate) peers: Arc<Peers>,
}

type Stream<T> = Pin<Box<ReceiverStream<Result<T, Status>>>>;

#[tonic::async_trait]
impl EventService for Events {
    type ReadEventsStream = Stream<ReadEventsResponse>;
    type ReconcileRunsStream = Stream<ReconcileRunsResponse>;

    async fn read_events(
        &self,
        request: Request<ReadEventsRequest>,
    ) -> Result<Response<Self::ReadEventsStream>, Status> {
        caller(&request, Role::Operator)?;
        read::read(open(&self.ingests)?, &self.peers, request.into_inner()).await.map(Response::new)
    }

    async fn read_process_tree(
        &self,
        request: Request<ReadProcessTreeRequest>,
    ) -> Result<Response<ReadProcessTreeResponse>, Status> {
        caller(&request, Role::Operator)?;
        tree::read(&*open(&self.ingests)?, request.into_inner()).await.map(Response::new)
    }

    async fn reconcile_runs(
        &self,
        request: Request<ReconcileRunsRequest>,
    ) -> Result<Response<Self::ReconcileRunsStream>, Status> {
        caller(&request, Role::Operator)?;
        reconcile::reconcile(&*open(&self.ingests)?, request.into_inner()).await.map(Response::new)
    }
}

/// What the lake cannot do now, another time or another replica may.
fn lake_status(error: &Error) -> Status {
    Status::unavailable(format!("the lake: {error}"))
}

/// Why a question has no answer.
fn status(error: QueryError) -> Status {
    match error {
        QueryError::Filter(error) => bad("filter", error.to_string()),
        QueryError::Late => Status::deadline_exceeded(QueryError::Late.to_string()),
        error => Status::unavailable(error.to_string()),
    }
}

/// ns since 1970.
fn nanos(time: &prost_types::Timestamp) -> Result<i64, Status> {
    let nanos = time.seconds.checked_mul(1_000_000_000);
    let nanos = nanos.and_then(|nanos| nanos.checked_add(time.nanos.into()));
    nanos.ok_or_else(|| bad("since_time", "times are between the years 1678 and 2262"))
}

fn timestamp(nanos: u64) -> prost_types::Timestamp {
    const SECOND: u64 = 1_000_000_000;
    prost_types::Timestamp { seconds: (nanos / SECOND) as i64, nanos: (nanos % SECOND) as i32 }
}
