//! Hosts as they are, and then every change.

use std::collections::HashSet;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::interval;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use wanglou_api::fleet::v1::{Host, WatchHostsRequest, WatchHostsResponse};
use wanglou_api::identity::Name;

use super::filter::Filter;
use super::mask::Mask;
use super::{Operators, Stream};
use crate::clock;
use crate::peers::WANTED;

/// Answers that wait to be written.
const WAITING: usize = 4;
/// Hosts of one answer.
const PAGE: usize = 500;

struct Watcher {
    operators: Operators,
    filter: Filter,
    mask: Mask,
    to: mpsc::Sender<Result<WatchHostsResponse, Status>>,
    /// Those that the caller has been told of.
    told: HashSet<Name>,
}

/// The caller has gone.
struct Gone;

impl Operators {
    pub(super) fn watch_hosts(
        &self,
        request: WatchHostsRequest,
    ) -> Result<Stream<WatchHostsResponse>, Status> {
        let (filter, mask) = (Filter::new(request.filter)?, Mask::new(request.read_mask)?);
        let (to, answers) = mpsc::channel(WAITING);
        let watcher = Watcher { operators: self.clone(), filter, mask, to, told: HashSet::new() };
        tokio::spawn(watcher.watch());
        Ok(Box::pin(ReceiverStream::new(answers)))
    }
}

impl Watcher {
    async fn watch(mut self) {
        // It ends when the caller does.
        let _ = self.tell_all().await;
    }

    async fn tell_all(&mut self) -> Result<(), Gone> {
        let mut changed = self.operators.view.watch();
        let mut wanted = interval(WANTED / 2);
        let mut lost = 0;
        loop {
            self.tell_what_is(lost).await?;
            lost = loop {
                let hosts = tokio::select! {
                    hosts = changed.recv() => hosts,
                    _ = wanted.tick() => {
                        self.operators.peers.want();
                        continue;
                    }
                    () = self.to.closed() => return Err(Gone),
                };
                match hosts {
                    Ok(hosts) => self.tell_changes(&hosts).await?,
                    Err(RecvError::Lagged(batches)) => break batches,
                    Err(RecvError::Closed) => return Ok(()),
                }
            };
        }
    }

    async fn tell_what_is(&mut self, lost_changes: u64) -> Result<(), Gone> {
        let missing_replicas = self.operators.peers.freshen().await;
        self.told.clear();
        if lost_changes > 0 {
            self.say(WatchHostsResponse { lost_changes, ..WatchHostsResponse::default() }).await?;
        }
        let mut after = None;
        loop {
            let mut hosts = Vec::new();
            let (filter, mask) = (&self.filter, &self.mask);
            let last = self.operators.look_on(after.as_ref(), |host| {
                if filter.takes(host) {
                    hosts.push((host.name.clone(), mask.apply(host.copy())));
                }
            });
            self.say_hosts(hosts).await?;
            let Some(last) = last else { break };
            after = Some(last);
        }
        let blind = self.operators.view.read().hosts.blind_since();
        self.say(WatchHostsResponse {
            complete: true,
            missing_replicas,
            frozen_time: blind.map(|since| clock::timestamp(clock::at(since))),
            ..WatchHostsResponse::default()
        })
        .await
    }

    async fn tell_changes(&mut self, changed: &[Name]) -> Result<(), Gone> {
        let (mut hosts, mut removed) = (Vec::new(), Vec::new());
        {
            let view = self.operators.view.read();
            for name in changed {
                match view.host(name).filter(|host| self.filter.takes(host)) {
                    Some(host) => hosts.push((name.clone(), self.mask.apply(host.copy()))),
                    None => removed.push(name.clone()),
                }
            }
        }
        removed.retain(|name| self.told.remove(name));
        self.say_hosts(hosts).await?;
        let removed_hosts: Vec<_> = removed.iter().map(|name| format!("hosts/{name}")).collect();
        if removed_hosts.is_empty() {
            return Ok(());
        }
        self.say(WatchHostsResponse { removed_hosts, ..WatchHostsResponse::default() }).await
    }

    async fn say_hosts(&mut self, hosts: Vec<(Name, Host)>) -> Result<(), Gone> {
        let mut hosts = hosts.into_iter().peekable();
        while hosts.peek().is_some() {
            let page = hosts.by_ref().take(PAGE).map(|(name, host)| {
                self.told.insert(name);
                host
            });
            let page =
                WatchHostsResponse { hosts: page.collect(), ..WatchHostsResponse::default() };
            self.say(page).await?;
        }
        Ok(())
    }

    async fn say(&self, answer: WatchHostsResponse) -> Result<(), Gone> {
        self.to.send(Ok(answer)).await.map_err(|_| Gone)
    }
}
