//! What one replica knows of its hosts, while somebody here asks for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::transport::Channel;
use wanglou_api::identity::Name;
use wanglou_api::peer::v1::{WatchLocalHostsRequest, WatchLocalHostsResponse};

use super::{WANTED, client};
use crate::view::View;

/// Before another attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows its hosts whenever they are wanted.
pub(super) async fn follow(
    peer: Name,
    channel: watch::Receiver<Option<Channel>>,
    mut wanted: watch::Receiver<Option<Instant>>,
    view: Arc<View>,
    fresh: watch::Sender<HashMap<Name, bool>>,
) {
    loop {
        if wanted.wait_for(is_wanted).await.is_err() {
            return;
        }
        let open = channel.borrow().clone();
        let Some(channel) = open else {
            is_fresh(&fresh, &peer, Some(false));
            sleep(PAUSE).await;
            continue;
        };
        let ended = tokio::select! {
            () = read(&peer, channel, &view, &fresh) => false,
            () = unwanted(wanted.clone()) => true,
        };
        view.write().others.remove(&peer);
        if ended {
            is_fresh(&fresh, &peer, None);
        } else {
            is_fresh(&fresh, &peer, Some(false));
            sleep(PAUSE).await;
        }
    }
}

/// Whether it has told all; `None`: nobody has asked it.
fn is_fresh(fresh: &watch::Sender<HashMap<Name, bool>>, peer: &Name, is: Option<bool>) {
    fresh.send_modify(|fresh| match is {
        Some(is) => {
            fresh.insert(peer.clone(), is);
        }
        None => {
            fresh.remove(peer);
        }
    });
}

fn is_wanted(since: &Option<Instant>) -> bool {
    since.is_some_and(|since| since.elapsed() < WANTED)
}

/// Until nobody asks any more.
async fn unwanted(wanted: watch::Receiver<Option<Instant>>) {
    loop {
        let Some(since) = *wanted.borrow() else { return };
        if since.elapsed() >= WANTED {
            return;
        }
        sleep_until(since + WANTED).await;
    }
}

/// Until the stream ends.
async fn read(
    peer: &Name,
    channel: Channel,
    view: &View,
    fresh: &watch::Sender<HashMap<Name, bool>>,
) {
    let mut client = client(channel);
    let Ok(answers) = client.watch_local_hosts(WatchLocalHostsRequest {}).await else { return };
    let mut answers = answers.into_inner();
    while let Ok(Some(answer)) = answers.message().await {
        let is_whole = answer.complete;
        view.changed(take(peer, answer, view));
        if is_whole {
            is_fresh(fresh, peer, Some(true));
        }
    }
}

fn take(peer: &Name, answer: WatchLocalHostsResponse, view: &View) -> Vec<Name> {
    let name = |text: &str| text.strip_prefix("hosts/")?.parse::<Name>().ok();
    let mut view = view.write();
    let theirs = view.others.entry(peer.clone()).or_default();
    let mut changed = Vec::new();
    for host in answer.hosts {
        let Some(name) = name(&host.name) else { continue };
        changed.push(name.clone());
        theirs.insert(name, host);
    }
    for name in answer.removed_hosts.iter().filter_map(|host| name(host)) {
        theirs.remove(&name);
        changed.push(name);
    }
    changed
}
