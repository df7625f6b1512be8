//! `wanglou.peer.v1.PeerService`: what other replicas ask for.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::interval;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wanglou_api::identity::{Name, Role};
use wanglou_api::order::v1::SignedOrder;
use wanglou_api::peer::v1::peer_service_server::PeerService;
use wanglou_api::peer::v1::{
    FollowLocalEventsRequest, FollowLocalEventsResponse, RelayCommandRequest, RelayCommandResponse,
    RelayRequest, RelayResponse, WatchLocalHostsRequest, WatchLocalHostsResponse,
    WatchLocalOrderRequest, WatchLocalOrderResponse,
};

use super::caller::caller;
use super::events;
use super::publish::{Ingests, open};
use crate::node::{Event, Node, RESULTS};
use crate::view::View;

/// From one look at how far an order is to the next.
const LOOK: Duration = Duration::from_millis(200);
/// Hosts of one answer.
const PAGE: usize = 500;

/// Serves replicas.
pub(crate) struct PeerHandlers {
    pub(crate) node: Node,
    pub(crate) view: Arc<View>,
    pub(crate) orders: watch::Receiver<Arc<[SignedOrder]>>,
    pub(crate) ingests: Ingests,
}

type Stream<T> = Pin<Box<ReceiverStream<Result<T, Status>>>>;

#[tonic::async_trait]
impl PeerService for PeerHandlers {
    type WatchLocalHostsStream = Stream<WatchLocalHostsResponse>;
    type WatchLocalOrderStream = Stream<WatchLocalOrderResponse>;
    type RelayCommandStream = Stream<RelayCommandResponse>;
    type FollowLocalEventsStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<FollowLocalEventsResponse, Status>> + Send>>;

    async fn relay(
        &self,
        request: Request<RelayRequest>,
    ) -> Result<Response<RelayResponse>, Status> {
        caller(&request, Role::Replica)?;
        let RelayRequest { orders, known_signatures, .. } = request.into_inner();
        let mut known: HashSet<_> = known_signatures.into_iter().collect();
        known.extend(orders.iter().map(|order| order.signature.clone()));
        if !orders.is_empty() {
            self.node.tell(Event::Heard(orders)).await;
        }
        let ours = Arc::clone(&self.orders.borrow());
        let new = ours.iter().filter(|order| !known.contains(&order.signature));
        Ok(Response::new(RelayResponse { orders: new.cloned().collect() }))
    }

    async fn watch_local_hosts(
        &self,
        request: Request<WatchLocalHostsRequest>,
    ) -> Result<Response<Self::WatchLocalHostsStream>, Status> {
        caller(&request, Role::Replica)?;
        let (to, answers) = mpsc::channel(4);
        tokio::spawn(tell_hosts(Arc::clone(&self.view), to));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn watch_local_order(
        &self,
        request: Request<WatchLocalOrderRequest>,
    ) -> Result<Response<Self::WatchLocalOrderStream>, Status> {
        caller(&request, Role::Replica)?;
        let (to, answers) = mpsc::channel(4);
        tokio::spawn(tell_order(self.node.clone(), request.into_inner().epoch, to));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn relay_command(
        &self,
        request: Request<RelayCommandRequest>,
    ) -> Result<Response<Self::RelayCommandStream>, Status> {
        caller(&request, Role::Replica)?;
        let RelayCommandRequest { selector, command } = request.into_inner();
        let (selector, command) = (selector.unwrap_or_default(), command.unwrap_or_default());
        let (to, mut results) = mpsc::channel(RESULTS);
        self.node.tell(Event::Command { selector, command, to }).await;
        let (say, said) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Some(result) = results.recv().await {
                let answer = RelayCommandResponse { result: Some(result) };
                if say.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }

    async fn follow_local_events(
        &self,
        request: Request<FollowLocalEventsRequest>,
    ) -> Result<Response<Self::FollowLocalEventsStream>, Status> {
        caller(&request, Role::Replica)?;
        let read = request.into_inner().read.unwrap_or_default();
        let coming = events::read::follow(&*open(&self.ingests)?, read)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(coming).map(Ok))))
    }
}

/// Those whose streams are here, and then what changes, until the caller is gone or too slow: it asks again.
async fn tell_hosts(view: Arc<View>, to: mpsc::Sender<Result<WatchLocalHostsResponse, Status>>) {
    let mut changed = view.watch();
    let mut after = None;
    let mut told = HashSet::new();
    loop {
        let page: Vec<_> = {
            let view = view.read();
            let own = view.own_after(after.as_ref()).take(PAGE);
            own.map(|(name, host)| (name.clone(), host.clone())).collect()
        };
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        told.extend(page.iter().map(|(name, _)| name.clone()));
        let hosts = page.into_iter().map(|(_, host)| host).collect();
        if to.send(Ok(WatchLocalHostsResponse { hosts, ..Default::default() })).await.is_err() {
            return;
        }
    }
    let whole = WatchLocalHostsResponse { complete: true, ..Default::default() };
    if to.send(Ok(whole)).await.is_err() {
        return;
    }
    loop {
        let names = tokio::select! {
            names = changed.recv() => names,
            () = to.closed() => return,
        };
        let names = match names {
            Ok(names) => names,
            Err(RecvError::Closed | RecvError::Lagged(_)) => return,
        };
        for names in names.chunks(PAGE) {
            let answer = what_changed(&view, names, &mut told);
            let is_empty = answer.hosts.is_empty() && answer.removed_hosts.is_empty();
            if !is_empty && to.send(Ok(answer)).await.is_err() {
                return;
            }
        }
    }
}

fn what_changed(view: &View, names: &[Name], told: &mut HashSet<Name>) -> WatchLocalHostsResponse {
    let view = view.read();
    let mut answer = WatchLocalHostsResponse::default();
    for name in names {
        match view.own.get(name) {
            Some(host) => {
                told.insert(name.clone());
                answer.hosts.push(host.clone());
            }
            None if told.remove(name) => answer.removed_hosts.push(format!("hosts/{name}")),
            None => {}
        }
    }
    answer
}

async fn tell_order(
    node: Node,
    epoch: u64,
    to: mpsc::Sender<Result<WatchLocalOrderResponse, Status>>,
) {
    let mut look = interval(LOOK);
    let mut told = None;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = to.closed() => return,
        }
        let Ok(known) = node.ask(|answer| Event::Progress { epoch, answer }).await else { return };
        let progress = known.map(|(_, progress)| progress);
        if progress != told {
            told.clone_from(&progress);
            if to.send(Ok(WatchLocalOrderResponse { progress })).await.is_err() {
                return;
            }
        }
    }
}
