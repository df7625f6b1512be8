//! `wanglou.fleet.v1.FleetService`: what operators see and do.

mod commands;
mod filter;
mod hosts;
mod mask;
mod orders;
mod page;
mod watch;

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use wanglou_api::fleet::v1::fleet_service_server::FleetService;
use wanglou_api::fleet::v1::{
    CountHostsRequest, CountHostsResponse, GetHostRequest, GetOrderRequest, Host, ListHostsRequest,
    ListHostsResponse, ListOrdersRequest, ListOrdersResponse, ListReplicasRequest,
    ListReplicasResponse, Order, PrepareStartRequest, PrepareStartResponse, RunCommandRequest,
    RunCommandResponse, StartHostsRequest, StopHostsRequest, UpdateHostRequest, WatchHostsRequest,
    WatchHostsResponse, WatchOrderRequest, WatchOrderResponse,
};
use wanglou_api::identity::Role;
use wanglou_api::order::v1::Selector;

use super::caller::caller;
use crate::node::Node;
use crate::peers::Peers;
use crate::store::Store;
use crate::view::View;

/// Serves operators.
#[derive(Clone, Debug)]
pub(crate) struct Operators {
    pub(crate) node: Node,
    pub(crate) view: Arc<View>,
    pub(crate) store: Store,
    pub(crate) peers: Arc<Peers>,
}

type Stream<T> = Pin<Box<ReceiverStream<Result<T, Status>>>>;

#[tonic::async_trait]
impl FleetService for Operators {
    type WatchHostsStream = Stream<WatchHostsResponse>;
    type WatchOrderStream = Stream<WatchOrderResponse>;
    type RunCommandStream = Stream<RunCommandResponse>;

    async fn list_hosts(
        &self,
        request: Request<ListHostsRequest>,
    ) -> Result<Response<ListHostsResponse>, Status> {
        caller(&request, Role::Operator)?;
        self.list_hosts(request.into_inner()).await.map(Response::new)
    }

    async fn get_host(&self, request: Request<GetHostRequest>) -> Result<Response<Host>, Status> {
        caller(&request, Role::Operator)?;
        self.get_host(request.into_inner()).await.map(Response::new)
    }

    async fn update_host(
        &self,
        request: Request<UpdateHostRequest>,
    ) -> Result<Response<Host>, Status> {
        caller(&request, Role::Operator)?;
        self.update_host(request.into_inner()).await.map(Response::new)
    }

    async fn watch_hosts(
        &self,
        request: Request<WatchHostsRequest>,
    ) -> Result<Response<Self::WatchHostsStream>, Status> {
        caller(&request, Role::Operator)?;
        self.watch_hosts(request.into_inner()).map(Response::new)
    }

    async fn count_hosts(
        &self,
        request: Request<CountHostsRequest>,
    ) -> Result<Response<CountHostsResponse>, Status> {
        caller(&request, Role::Operator)?;
        self.count_hosts(request.into_inner()).await.map(Response::new)
    }

    async fn stop_hosts(
        &self,
        request: Request<StopHostsRequest>,
    ) -> Result<Response<Order>, Status> {
        let author = caller(&request, Role::Operator)?.identity.id.to_string();
        self.stop(request.into_inner(), author).await.map(Response::new)
    }

    async fn prepare_start(
        &self,
        request: Request<PrepareStartRequest>,
    ) -> Result<Response<PrepareStartResponse>, Status> {
        let author = caller(&request, Role::Operator)?.identity.id.to_string();
        self.prepare_start(request.into_inner(), author).await.map(Response::new)
    }

    async fn start_hosts(
        &self,
        request: Request<StartHostsRequest>,
    ) -> Result<Response<Order>, Status> {
        let author = caller(&request, Role::Operator)?.identity.id.to_string();
        self.start(request.into_inner(), author).await.map(Response::new)
    }

    async fn get_order(
        &self,
        request: Request<GetOrderRequest>,
    ) -> Result<Response<Order>, Status> {
        caller(&request, Role::Operator)?;
        self.get_order(&request.into_inner()).await.map(Response::new)
    }

    async fn list_orders(
        &self,
        request: Request<ListOrdersRequest>,
    ) -> Result<Response<ListOrdersResponse>, Status> {
        caller(&request, Role::Operator)?;
        self.list_orders(request.into_inner()).await.map(Response::new)
    }

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        caller(&request, Role::Operator)?;
        self.watch_order(&request.into_inner()).await.map(Response::new)
    }

    async fn run_command(
        &self,
        request: Request<RunCommandRequest>,
    ) -> Result<Response<Self::RunCommandStream>, Status> {
        caller(&request, Role::Operator)?;
        self.run_command(request.into_inner()).await.map(Response::new)
    }

    async fn list_replicas(
        &self,
        request: Request<ListReplicasRequest>,
    ) -> Result<Response<ListReplicasResponse>, Status> {
        caller(&request, Role::Operator)?;
        self.list_replicas(&request.into_inner()).map(Response::new)
    }
}

/// A field of a request that makes no sense, and why.
pub(super) fn bad(field: &str, why: impl Into<String>) -> Status {
    let why = why.into();
    let details = ErrorDetails::with_bad_request_violation(field, &why);
    Status::with_error_details(tonic::Code::InvalidArgument, format!("{field}: {why}"), details)
}

/// Which hosts are meant; nobody means all of them by forgetting to say which.
fn meant(selector: Option<Selector>, all: bool) -> Result<Selector, Status> {
    let selector = selector.unwrap_or_default();
    let is_empty = selector.hosts.is_empty() && selector.labels.is_empty();
    match (is_empty, all) {
        (true, false) => {
            Err(bad("selector", "it selects nobody in particular: set `all` to mean every host"))
        }
        (false, true) => {
            Err(bad("all", "it is set, and the selector selects some: which of both is meant?"))
        }
        _ => Ok(selector),
    }
}
