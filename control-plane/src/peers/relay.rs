//! Orders to and from one replica, for as long as it is there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use wanglou_api::dial::Dialer;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::SignedOrder;
use wanglou_api::peer::v1::RelayRequest;

use super::client;
use crate::node::{Event, Node};

/// From one exchange to the next, where there is nothing new.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Keeps a channel open to one of the addresses, and both sides' orders the same.
pub(super) async fn keep(
    us: Name,
    dialer: Dialer,
    addresses: Vec<String>,
    mut orders: watch::Receiver<Arc<[SignedOrder]>>,
    node: Node,
    say: watch::Sender<Option<Channel>>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        for address in &addresses {
            match dialer.dial(address).await {
                Ok(channel) => {
                    pause = FIRST_PAUSE;
                    say.send_replace(Some(channel.clone()));
                    exchange(&us, channel, &mut orders, &node).await;
                    say.send_replace(None);
                }
                Err(error) => tracing::debug!(%error, "another replica is not reached"),
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Until it fails.
async fn exchange(
    us: &Name,
    channel: Channel,
    orders: &mut watch::Receiver<Arc<[SignedOrder]>>,
    node: &Node,
) {
    let mut client = client(channel);
    // What the other side has of us.
    let mut there: HashSet<Vec<u8>> = HashSet::new();
    loop {
        let all = Arc::clone(&orders.borrow_and_update());
        let new = all.iter().filter(|order| !there.contains(&order.signature)).cloned();
        let request = RelayRequest {
            replica_id: us.to_string(),
            orders: new.collect(),
            known_signatures: all.iter().map(|order| order.signature.clone()).collect(),
        };
        let Ok(Ok(answer)) = timeout(PATIENCE, client.relay(request)).await else { return };
        there.extend(all.iter().map(|order| order.signature.clone()));
        let heard = answer.into_inner().orders;
        if !heard.is_empty() {
            node.tell(Event::Heard(heard)).await;
        }
        // Nothing new for a while is a reason to ask what is new there.
        if let Ok(Err(_)) = timeout(EXCHANGE, orders.changed()).await {
            return;
        }
    }
}
