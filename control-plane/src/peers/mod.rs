//! The other replicas: found in etcd, or where the settings say that they are.
//!
//! ```text
//! relay   orders, both ways, whether or not etcd is there      hosts   what they know of theirs, while somebody asks
//! ```

mod hosts;
mod relay;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, interval, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};
use wanglou_api::dial::Dialer;
use wanglou_api::fleet::v1::RunCommandResponse;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::{Selector, SignedOrder};
use wanglou_api::peer::v1::RelayCommandRequest;
use wanglou_api::peer::v1::peer_service_client::PeerServiceClient;
use wanglou_api::sensor::v1::Command;

use crate::node::{Handles, Node};
use crate::view::View;

/// For so long after somebody has asked, replicas tell each other of their hosts.
pub(crate) const WANTED: Duration = Duration::from_secs(60);
/// From one look at which replicas there are to the next.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of an answer.
const MESSAGE: usize = 16 << 20;
/// Who asks waits for replicas for so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of them.
pub(crate) struct Peers {
    us: Name,
    dialer: Dialer,
    node: Node,
    view: Arc<View>,
    orders: watch::Receiver<Arc<[SignedOrder]>>,
    links: Mutex<BTreeMap<Name, Link>>,
    /// When somebody asked last.
    wanted: watch::Sender<Option<Instant>>,
    /// Those that have told all, and those that do not answer.
    fresh: watch::Sender<HashMap<Name, bool>>,
}

/// The way to one.
struct Link {
    addresses: Vec<String>,
    channel: watch::Receiver<Option<Channel>>,
    tasks: [AbortHandle; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peers({})", self.us)
    }
}

impl Peers {
    /// Those of a replica; `seeds` are addresses where there may be others whatever etcd says.
    pub(crate) fn new(us: Name, dialer: Dialer, handles: &Handles, seeds: &[String]) -> Arc<Self> {
        let (wanted, _) = watch::channel(None);
        let (fresh, _) = watch::channel(HashMap::new());
        let peers = Arc::new(Self {
            us,
            dialer,
            node: handles.node.clone(),
            view: Arc::clone(&handles.view),
            orders: handles.orders.clone(),
            links: Mutex::default(),
            wanted,
            fresh,
        });
        for seed in seeds {
            let (say, _) = watch::channel(None);
            tokio::spawn(peers.relay(vec![seed.clone()], say));
        }
        tokio::spawn(Arc::clone(&peers).look());
        peers
    }

    /// Somebody asks for hosts of other replicas.
    pub(crate) fn want(&self) {
        self.wanted.send_replace(Some(Instant::now()));
    }

    /// Has the others tell of their hosts; those that do not.
    pub(crate) async fn freshen(&self) -> Vec<String> {
        self.want();
        let others: Vec<_> = self.others().into_keys().collect();
        let mut fresh = self.fresh.subscribe();
        let all = fresh.wait_for(|fresh| others.iter().all(|other| fresh.contains_key(other)));
        // Whoever is silent is missing.
        let _ = timeout(PATIENCE, all).await;
        let fresh = self.fresh.borrow();
        let missing = others.iter().filter(|other| fresh.get(*other) != Some(&true));
        missing.map(|other| format!("replicas/{other}")).collect()
    }

    /// Asks each of the others, and each that comes later, and tells what they answer for as long as somebody listens.
    /// Over connections of their own: what is followed for long takes no place from orders.
    pub(crate) fn ask_each<T, F>(
        self: &Arc<Self>,
        ask: impl Fn(PeerServiceClient<Channel>) -> F + Clone + Send + Sync + 'static,
    ) -> mpsc::Receiver<(Name, T)>
    where
        T: Send + 'static,
        F: Future<Output = Result<Response<Streaming<T>>, Status>> + Send,
    {
        let (to, told) = mpsc::channel(16);
        let peers = Arc::clone(self);
        tokio::spawn(async move {
            let mut asked: HashMap<Name, JoinHandle<()>> = HashMap::new();
            let mut look = interval(LOOK);
            loop {
                tokio::select! {
                    _ = look.tick() => {}
                    () = to.closed() => return,
                }
                asked.retain(|_, asking| !asking.is_finished());
                for (peer, addresses) in peers.others() {
                    let (dialer, ask, to) = (peers.dialer.clone(), ask.clone(), to.clone());
                    asked.entry(peer).or_insert_with_key(|peer| {
                        let peer = peer.clone();
                        tokio::spawn(async move {
                            let hearing = hear(&peer, &dialer, &addresses, ask, &to);
                            tokio::select! {
                                () = hearing => {}
                                () = to.closed() => {}
                            }
                        })
                    });
                }
            }
        });
        told
    }

    /// Has the others' hosts do something once, and tells what came of it.
    pub(crate) fn relay_command(
        &self,
        selector: &Selector,
        command: &Command,
        to: &mpsc::Sender<RunCommandResponse>,
    ) {
        for (_, channel) in self.channels() {
            let to = to.clone();
            let request = RelayCommandRequest {
                selector: Some(selector.clone()),
                command: Some(command.clone()),
            };
            tokio::spawn(async move {
                let Ok(answers) = client(channel).relay_command(request).await else {
                    return;
                };
                let mut answers = answers.into_inner();
                while let Ok(Some(answer)) = answers.message().await {
                    let Some(result) = answer.result else { continue };
                    if to.send(result).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    fn channels(&self) -> Vec<(Name, Channel)> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let open = links
            .iter()
            .filter_map(|(id, link)| Some((id.clone(), link.channel.borrow().clone()?)));
        open.collect()
    }

    /// As etcd has them.
    pub(crate) fn others(&self) -> BTreeMap<Name, Vec<String>> {
        let view = self.view.read();
        let others = view.replicas.iter().filter(|(id, _)| **id != self.us);
        others.map(|(id, replica)| (id.clone(), replica.addresses.clone())).collect()
    }

    /// Sees to it that there is a link to each, and none to those that are no more.
    async fn look(self: Arc<Self>) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            let others = self.others();
            let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain(|id, link| others.get(id) == Some(&link.addresses));
            self.fresh.send_if_modified(|fresh| {
                let before = fresh.len();
                fresh.retain(|id, _| links.contains_key(id));
                fresh.len() != before
            });
            self.view.write().others.retain(|id, _| links.contains_key(id));
            for (id, addresses) in others {
                links.entry(id).or_insert_with_key(|id| self.link(id, addresses));
            }
        }
    }

    fn link(&self, id: &Name, addresses: Vec<String>) -> Link {
        let (say, channel) = watch::channel(None);
        let relaying = self.relay(addresses.clone(), say);
        let following = hosts::follow(
            id.clone(),
            channel.clone(),
            self.wanted.subscribe(),
            Arc::clone(&self.view),
            self.fresh.clone(),
        );
        let tasks = [tokio::spawn(relaying).abort_handle(), tokio::spawn(following).abort_handle()];
        Link { addresses, channel, tasks }
    }

    fn relay(
        &self,
        addresses: Vec<String>,
        say: watch::Sender<Option<Channel>>,
    ) -> impl Future<Output = ()> + use<> {
        let (orders, node) = (self.orders.clone(), self.node.clone());
        relay::keep(self.us.clone(), self.dialer.clone(), addresses, orders, node, say)
    }
}

/// Of a channel: a page of hosts, or many orders, are more than is usual.
fn client(channel: Channel) -> PeerServiceClient<Channel> {
    PeerServiceClient::new(channel).max_decoding_message_size(MESSAGE)
}

/// Until the stream ends, or nobody listens any more.
async fn hear<T, F>(
    peer: &Name,
    dialer: &Dialer,
    addresses: &[String],
    ask: impl Fn(PeerServiceClient<Channel>) -> F,
    to: &mpsc::Sender<(Name, T)>,
) where
    F: Future<Output = Result<Response<Streaming<T>>, Status>>,
{
    for address in addresses {
        let Ok(channel) = dialer.dial(address).await else { continue };
        let Ok(answers) = ask(client(channel)).await else { return };
        let mut answers = answers.into_inner();
        while let Ok(Some(answer)) = answers.message().await {
            if to.send((peer.clone(), answer)).await.is_err() {
                break;
            }
        }
        return;
    }
}
