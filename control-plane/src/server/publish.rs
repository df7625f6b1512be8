//! `wanglou.sensor.v1.TelemetryService`: what hosts tell.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wanglou_api::identity::Role;
use wanglou_api::sensor::v1::telemetry_service_server::TelemetryService;
use wanglou_api::sensor::v1::{PublishRequest, PublishResponse};

use super::caller::caller;
use crate::ingest::{Ingest, Session};

/// Answers that wait to be written.
const WAITING: usize = 64;

/// Nothing yet, while the lake cannot be opened.
pub(crate) type Ingests = watch::Receiver<Option<Arc<Ingest>>>;

/// Serves sensors.
pub(crate) struct Publish(pub(crate) Ingests);

#[tonic::async_trait]
impl TelemetryService for Publish {
    type PublishStream = Pin<Box<ReceiverStream<Result<PublishResponse, Status>>>>;

    async fn publish(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let host = caller(&request, Role::Host)?.identity.id.clone();
        let ingest = open(&self.0)?;
        let (say, answers) = mpsc::channel(WAITING);
        tokio::spawn(Session::new(ingest, host, say).serve(request.into_inner()));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// What there is to serve with.
pub(super) fn open(ingests: &Ingests) -> Result<Arc<Ingest>, Status> {
    let ingest = ingests.borrow().clone();
    ingest.ok_or_else(|| {
        Status::unavailable("this replica has no lake: see its log, or ask another one")
    })
}
