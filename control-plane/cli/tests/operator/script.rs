//! A replica that says what its script says, over real TLS.

mod events;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use wanglou_api::fleet::v1::event_service_server::EventServiceServer;
use wanglou_api::fleet::v1::fleet_service_server::{FleetService, FleetServiceServer};
use wanglou_api::fleet::v1::{self as fleet, Host, Order, OrderProgress};
use wanglou_api::identity::Role;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{self as order, Selector, SignedOrder};
use wanglou_api::tls::{self, Credentials};

/// What a stream says, one message after another; then it stays open if it is the last, else it ends.
pub(crate) type Streams<T> = VecDeque<Vec<T>>;

/// What is said, and what was heard.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) hosts: Vec<Host>,
    pub(crate) missing_replicas: Vec<String>,
    pub(crate) watch: Streams<fleet::WatchHostsResponse>,
    pub(crate) progress: Streams<OrderProgress>,
    pub(crate) events: Streams<fleet::ReadEventsResponse>,
    pub(crate) tree: fleet::ReadProcessTreeResponse,
    pub(crate) runs: Streams<fleet::ReconcileRunsResponse>,
    pub(crate) outcomes: Vec<fleet::RunCommandResponse>,
    pub(crate) refusal: Option<Status>,
    /// What this replica makes of a start before it wants it signed.
    pub(crate) lie: Option<fn(&mut order::Order)>,
    pub(crate) not_durable: bool,
    /// How often labels are changed by somebody else in the meantime.
    pub(crate) races: u32,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) commands: Vec<fleet::RunCommandRequest>,
    pub(crate) read: Vec<fleet::ReadEventsRequest>,
    pub(crate) reconciled: Vec<fleet::ReconcileRunsRequest>,
    pub(crate) signed: Option<SignedOrder>,
    pub(crate) given: Option<order::Order>,
}

/// The replica; ends with the value.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Replica {
    pub(crate) fn start(credentials: &Credentials, script: Script) -> Self {
        let fleet = &credentials.identity().fleet;
        let config = tls::server(credentials, fleet, &[Role::Operator]).expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let script = Arc::new(Mutex::new(script));
        let service = FleetServiceServer::new(Scripted(Arc::clone(&script)));
        let events = EventServiceServer::new(Scripted(Arc::clone(&script)));
        let (end, ended) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build().expect("an event loop");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
                let (ready, taken) = mpsc::channel(8);
                tokio::spawn(async move {
                    loop {
                        let (stream, _) = listener.accept().await.expect("a connection");
                        if let Ok(stream) = acceptor.accept(stream).await {
                            drop(ready.send(Ok::<_, std::io::Error>(stream)).await);
                        }
                    }
                });
                let serving = Server::builder()
                    .add_service(service)
                    .add_service(events)
                    .serve_with_incoming(ReceiverStream::new(taken));
                tokio::select! {
                    served = serving => served.expect("it serves"),
                    _ = ended => {}
                }
            });
        });
        let address = told.recv().expect("an address");
        Self { address, script, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// What it has heard so far.
    pub(crate) fn heard(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("nobody has panicked")
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Scripted(Arc<Mutex<Script>>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

impl Scripted {
    fn script(&self, call: &'static str) -> Result<MutexGuard<'_, Script>, Status> {
        let mut script = self.0.lock().expect("nobody has panicked");
        script.calls.push(call);
        match &script.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(script),
        }
    }
}

fn stream<T: Send + 'static>(streams: &mut Streams<T>) -> Answer<Answers<T>> {
    let messages = streams.pop_front().unwrap_or_default();
    let said = tokio_stream::iter(messages.into_iter().map(Ok)).throttle(Duration::from_millis(20));
    if streams.is_empty() {
        return Ok(Response::new(Box::pin(said.chain(tokio_stream::pending()))));
    }
    Ok(Response::new(Box::pin(said)))
}

impl Script {
    fn order(&self, progress: Option<OrderProgress>) -> Order {
        let given = self.given.clone().unwrap_or_default();
        let name = format!("orders/{}", given.epoch);
        Order { name, order: Some(given), durable: !self.not_durable, progress }
    }

    fn give(&mut self, kind: Kind, selector: Option<Selector>, reason: String) -> Order {
        self.selectors.extend(selector.clone());
        self.given = Some(order::Order {
            fleet: "blue".to_owned(),
            kind: kind.into(),
            selector,
            epoch: 7,
            author: "spiffe://blue/operator/ann".to_owned(),
            reason,
            create_time: Some(prost_types::Timestamp { seconds: 1_795_000_000, nanos: 0 }),
        });
        self.order(None)
    }

    fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for host in &self.hosts {
            let state = host.state().as_str_name().trim_start_matches("STATE_").to_lowercase();
            *counts.entry(state).or_default() += 1;
        }
        counts
    }
}

#[tonic::async_trait]
impl FleetService for Scripted {
    async fn list_hosts(
        &self,
        request: Request<fleet::ListHostsRequest>,
    ) -> Answer<fleet::ListHostsResponse> {
        let script = self.script("list_hosts")?;
        let request = request.into_inner();
        let from: usize = request.page_token.parse().unwrap_or(0);
        // Two at a time, however many are wanted.
        let to = script.hosts.len().min(from + 2.min(request.page_size as usize));
        let next = if to < script.hosts.len() { to.to_string() } else { String::new() };
        Ok(Response::new(fleet::ListHostsResponse {
            hosts: script.hosts[from..to].to_vec(),
            next_page_token: next,
            total_size: script.hosts.len() as i32,
            missing_replicas: script.missing_replicas.clone(),
            frozen_time: None,
        }))
    }

    async fn get_host(&self, request: Request<fleet::GetHostRequest>) -> Answer<Host> {
        let script = self.script("get_host")?;
        let name = &request.get_ref().name;
        let host = script.hosts.iter().find(|host| host.name == *name);
        host.cloned()
            .map(Response::new)
            .ok_or_else(|| Status::not_found(format!("there is no {name}")))
    }

    async fn update_host(&self, request: Request<fleet::UpdateHostRequest>) -> Answer<Host> {
        let mut script = self.script("update_host")?;
        let request = request.into_inner();
        let wanted = request.host.unwrap_or_default();
        if script.races > 0 {
            script.races -= 1;
            script.hosts[0].etag.push('+');
        }
        let host = &mut script.hosts[0];
        if host.etag != wanted.etag {
            return Err(Status::aborted("the host has changed"));
        }
        for path in request.update_mask.unwrap_or_default().paths {
            let label = path.strip_prefix("labels.").expect("a label");
            host.labels.remove(label);
            host.labels
                .extend(wanted.labels.get(label).map(|value| (label.to_owned(), value.clone())));
        }
        Ok(Response::new(host.clone()))
    }

    type WatchHostsStream = Answers<fleet::WatchHostsResponse>;

    async fn watch_hosts(
        &self,
        _: Request<fleet::WatchHostsRequest>,
    ) -> Answer<Self::WatchHostsStream> {
        stream(&mut self.script("watch_hosts")?.watch)
    }

    async fn count_hosts(
        &self,
        _: Request<fleet::CountHostsRequest>,
    ) -> Answer<fleet::CountHostsResponse> {
        let counts = self.script("count_hosts")?.counts();
        Ok(Response::new(fleet::CountHostsResponse {
            counts,
            ..fleet::CountHostsResponse::default()
        }))
    }

    async fn stop_hosts(&self, request: Request<fleet::StopHostsRequest>) -> Answer<Order> {
        let request = request.into_inner();
        assert_eq!(request.all, request.selector == Some(Selector::default()));
        assert_eq!(request.request_id.len(), 16);
        let mut script = self.script("stop_hosts")?;
        Ok(Response::new(script.give(Kind::Stop, request.selector, request.reason)))
    }

    async fn prepare_start(
        &self,
        request: Request<fleet::PrepareStartRequest>,
    ) -> Answer<fleet::PrepareStartResponse> {
        let request = request.into_inner();
        let mut script = self.script("prepare_start")?;
        let mut order =
            script.give(Kind::Start, request.selector, request.reason).order.expect("an order");
        if let Some(lie) = script.lie {
            lie(&mut order);
        }
        Ok(Response::new(fleet::PrepareStartResponse {
            order: prost::Message::encode_to_vec(&order),
        }))
    }

    async fn start_hosts(&self, request: Request<fleet::StartHostsRequest>) -> Answer<Order> {
        let mut script = self.script("start_hosts")?;
        script.signed = request.into_inner().order;
        Ok(Response::new(script.order(None)))
    }

    async fn get_order(&self, _: Request<fleet::GetOrderRequest>) -> Answer<Order> {
        let mut script = self.script("get_order")?;
        script.give(Kind::Stop, Some(Selector::default()), "too loud".to_owned());
        let progress = script.progress.pop_front().and_then(|mut all| all.pop());
        Ok(Response::new(script.order(progress)))
    }

    async fn list_orders(
        &self,
        _: Request<fleet::ListOrdersRequest>,
    ) -> Answer<fleet::ListOrdersResponse> {
        let mut script = self.script("list_orders")?;
        script.give(Kind::Stop, Some(Selector::default()), "too loud".to_owned());
        let progress = script.progress.pop_front().and_then(|mut all| all.pop());
        let orders = vec![script.order(progress)];
        Ok(Response::new(fleet::ListOrdersResponse { orders, next_page_token: String::new() }))
    }

    type WatchOrderStream = Answers<fleet::WatchOrderResponse>;

    async fn watch_order(
        &self,
        _: Request<fleet::WatchOrderRequest>,
    ) -> Answer<Self::WatchOrderStream> {
        let mut script = self.script("watch_order")?;
        let messages = script.progress.pop_front().unwrap_or_default();
        let messages: Vec<_> = messages
            .into_iter()
            .map(|progress| fleet::WatchOrderResponse { order: Some(script.order(Some(progress))) })
            .collect();
        let mut streams = VecDeque::from([messages]);
        let is_answered = streams[0].last().and_then(|last| last.order.as_ref()?.progress.clone());
        // As a replica does it: it ends when all have answered, and waits for those that may come.
        if is_answered.is_none_or(|it| it.selected > 0 && it.done + it.refused >= it.selected)
            || !script.progress.is_empty()
        {
            streams.push_back(Vec::new());
        }
        stream(&mut streams)
    }

    type RunCommandStream = Answers<fleet::RunCommandResponse>;

    async fn run_command(
        &self,
        request: Request<fleet::RunCommandRequest>,
    ) -> Answer<Self::RunCommandStream> {
        let mut script = self.script("run_command")?;
        script.commands.push(request.into_inner());
        stream(&mut VecDeque::from([script.outcomes.clone(), Vec::new()]))
    }

    async fn list_replicas(
        &self,
        _: Request<fleet::ListReplicasRequest>,
    ) -> Answer<fleet::ListReplicasResponse> {
        drop(self.script("list_replicas")?);
        let replica = |name: &str, hosts, draining| fleet::Replica {
            name: format!("replicas/{name}"),
            addresses: vec![format!("{name}.example:7443")],
            version: "0.1.0".to_owned(),
            hosts,
            start_time: None,
            draining,
        };
        let replicas = vec![replica("one", 2_413, false), replica("two", 0, true)];
        Ok(Response::new(fleet::ListReplicasResponse { replicas, next_page_token: String::new() }))
    }
}
