//! How a replica goes: its hosts go first.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wanglou_api::identity::Name;

use crate::node::{Event, Node};
use crate::view::View;

/// Over so long hosts go elsewhere, each at a moment of its own.
const WITHIN: Duration = Duration::from_secs(10);
/// After that, time for the last of them to be there.
const GRACE: Duration = Duration::from_secs(3);
/// From one look at whether they have gone to the next.
const LOOK: Duration = Duration::from_millis(50);

/// Sends hosts to other replicas, if there are any, and waits until they are there.
pub(super) async fn drain(us: &Name, node: &Node, view: &View) {
    let is_alone = view.read().replicas.keys().all(|replica| replica == us);
    if is_alone {
        return;
    }
    node.tell(Event::Drain(WITHIN)).await;
    let until = Instant::now() + WITHIN + GRACE;
    while Instant::now() < until && !view.read().own.is_empty() {
        sleep(LOOK).await;
    }
}
