//! Stop and start, and how far they are.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use wanglou_api::fleet::v1::{
    GetOrderRequest, ListOrdersRequest, ListOrdersResponse, Order, OrderProgress,
    PrepareStartRequest, PrepareStartResponse, StartHostsRequest, StopHostsRequest,
    WatchOrderRequest, WatchOrderResponse,
};
use wanglou_api::peer::v1::WatchLocalOrderRequest;
use wanglou_api::peer::v1::peer_service_client::PeerServiceClient;

use super::page::{self, Token};
use super::{Operators, Stream, bad, meant};
use crate::fleet::orders::Known;
use crate::node::{Event, Give, GiveError, Given};

/// From one look at how far an order is to the next.
const LOOK: Duration = Duration::from_millis(200);
/// All have answered for so many looks: others have had time to say that they have hosts too.
const SETTLED: u32 = 5;
/// Names of hosts that have not answered, at most.
const SILENT: usize = 100;

impl Operators {
    pub(super) async fn stop(
        &self,
        request: StopHostsRequest,
        author: String,
    ) -> Result<Order, Status> {
        let selector = meant(request.selector, request.all)?;
        let (reason, request_id) = (request.reason, request.request_id);
        let given = self.give(Give::Stop { selector, author, reason, request_id }).await?;
        self.order_of(given).await
    }

    pub(super) async fn prepare_start(
        &self,
        request: PrepareStartRequest,
        author: String,
    ) -> Result<PrepareStartResponse, Status> {
        let selector = meant(request.selector, request.all)?;
        match self.give(Give::Prepare { selector, author, reason: request.reason }).await? {
            Given::Prepared(order) => Ok(PrepareStartResponse { order }),
            Given::Order(_) => Err(Status::internal("an order was given, and only prepared")),
        }
    }

    pub(super) async fn start(
        &self,
        request: StartHostsRequest,
        author: String,
    ) -> Result<Order, Status> {
        let signed = request.order.ok_or_else(|| bad("order", "it is missing"))?;
        let given =
            self.give(Give::Signed { signed, author, request_id: request.request_id }).await?;
        self.order_of(given).await
    }

    async fn give(&self, give: Give) -> Result<Given, Status> {
        let given = self.node.ask(|answer| Event::Give { give, answer }).await?;
        given.map_err(|error| match error {
            GiveError::NoKey => Status::failed_precondition(error.to_string()),
            GiveError::Refused(_) | GiveError::Author(_) => {
                Status::invalid_argument(error.to_string())
            }
            GiveError::Outdated => Status::aborted(error.to_string()),
        })
    }

    async fn order_of(&self, given: Given) -> Result<Order, Status> {
        let Given::Order(known) = given else {
            return Err(Status::internal("an order was prepared, and should have been given"));
        };
        let here = self.progress(known.order.epoch).await?;
        Ok(order(&known, here.map(|(_, progress)| progress)))
    }

    async fn progress(&self, epoch: u64) -> Result<Option<(Known, OrderProgress)>, Status> {
        self.node.ask(|answer| Event::Progress { epoch, answer }).await
    }

    pub(super) async fn get_order(&self, request: &GetOrderRequest) -> Result<Order, Status> {
        let epoch = epoch(&request.name)?;
        let mut answers = self.watch(epoch).await?;
        // Other replicas have a moment to say how far it is with them.
        let mut last = None;
        let until = tokio::time::sleep(LOOK * 3);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => break,
                answer = answers.recv() => match answer {
                    Some(answer) => last = Some(answer?),
                    None => break,
                },
            }
        }
        last.and_then(|it| it.order).ok_or_else(|| unknown(epoch))
    }

    pub(super) async fn list_orders(
        &self,
        request: ListOrdersRequest,
    ) -> Result<ListOrdersResponse, Status> {
        let question = page::question(&"orders");
        let size = page::size(request.page_size)?;
        let token = Token::read(&request.page_token, question)?;
        let all = self.node.ask(|answer| Event::Orders { answer }).await?;
        let is_behind =
            |known: &&Known| token.as_ref().is_none_or(|it| known.order.epoch < it.value);
        let mut rest = all.iter().filter(is_behind);
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token = match (page.last(), rest.next()) {
            (Some(last), Some(_)) => Token::write(String::new(), last.order.epoch, 0, question),
            _ => String::new(),
        };
        Ok(ListOrdersResponse {
            orders: page.into_iter().map(|known| order(known, None)).collect(),
            next_page_token,
        })
    }

    pub(super) async fn watch_order(
        &self,
        request: &WatchOrderRequest,
    ) -> Result<Stream<WatchOrderResponse>, Status> {
        let answers = self.watch(epoch(&request.name)?).await?;
        Ok(Box::pin(ReceiverStream::new(answers)))
    }

    /// Tells how far an order is, here and at all other replicas together, whenever that changes; ends when all replicas
    /// have told, and all hosts that it was sent to have answered for good.
    async fn watch(
        &self,
        epoch: u64,
    ) -> Result<mpsc::Receiver<Result<WatchOrderResponse, Status>>, Status> {
        self.progress(epoch).await?.ok_or_else(|| unknown(epoch))?;
        let (to, answers) = mpsc::channel(4);
        let operators = self.clone();
        tokio::spawn(async move {
            let mut elsewhere = BTreeMap::new();
            let request = WatchLocalOrderRequest { epoch };
            let ask = move |mut peer: PeerServiceClient<Channel>| async move {
                peer.watch_local_order(request).await
            };
            let mut peers = operators.peers.ask_each(ask);
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = None;
            let mut settled = 0;
            loop {
                tokio::select! {
                    _ = look.tick() => {}
                    Some((replica, answer)) = peers.recv() => {
                        elsewhere.insert(replica, answer.progress.unwrap_or_default());
                        continue;
                    }
                    () = to.closed() => return,
                }
                let Ok(Some((known, here))) = operators.progress(epoch).await else { return };
                // The hosts of a replica that is gone are with others, which tell of them.
                let others = operators.peers.others();
                elsewhere.retain(|replica, _| others.contains_key(replica));
                let is_whole = elsewhere.len() == others.len();
                let sum = elsewhere.values().fold(here, add);
                let is_over =
                    is_whole && sum.selected > 0 && sum.done + sum.refused == sum.selected;
                let now = Some(order(&known, Some(sum)));
                settled = if is_over && now == told { settled + 1 } else { 0 };
                if settled >= SETTLED {
                    return;
                }
                if now != told {
                    told.clone_from(&now);
                    if to.send(Ok(WatchOrderResponse { order: now })).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(answers)
    }
}

/// How far it is at two replicas together.
fn add(mut one: OrderProgress, other: &OrderProgress) -> OrderProgress {
    one.selected += other.selected;
    one.sent += other.sent;
    one.received += other.received;
    one.done += other.done;
    one.refused += other.refused;
    one.silent_hosts.extend(other.silent_hosts.iter().cloned());
    one.silent_hosts.sort();
    one.silent_hosts.truncate(SILENT);
    let millis = |of: &OrderProgress| of.elapsed.as_ref().map(|it| (it.seconds, it.nanos));
    if millis(other) > millis(&one) {
        one.elapsed.clone_from(&other.elapsed);
    }
    one
}

fn order(known: &Known, progress: Option<OrderProgress>) -> Order {
    Order {
        name: format!("orders/{}", known.order.epoch),
        order: Some(known.order.clone()),
        durable: known.durable,
        progress,
    }
}

fn epoch(name: &str) -> Result<u64, Status> {
    let epoch = name.strip_prefix("orders/").and_then(|epoch| epoch.parse().ok());
    epoch.ok_or_else(|| bad("name", format!("{name:?} is not orders/<epoch>")))
}

fn unknown(epoch: u64) -> Status {
    Status::not_found(format!("there is no orders/{epoch}"))
}
