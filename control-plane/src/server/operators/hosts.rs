//! Lists of hosts, and what an operator changes of one.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;
use wanglou_api::fleet::v1::{
    CountHostsRequest, CountHostsResponse, GetHostRequest, Host, ListHostsRequest,
    ListHostsResponse, ListReplicasRequest, ListReplicasResponse, Replica, UpdateHostRequest,
};
use wanglou_api::identity::Name;

use super::filter::Filter;
use super::mask::Mask;
use super::page::{self, Token};
use super::{Operators, bad};
use crate::clock;
use crate::store::{Relabelled, StoreError};
use crate::view::{Seen, state_name};

/// Hosts that are looked at before others may change them.
const CHUNK: usize = 4_096;
/// Labels of a host, and bytes of a name and of a value.
const MOST_LABELS: usize = 64;
const MOST_BYTES: usize = 256;

/// By what a list is ordered.
type Order = fn(&Seen<'_>) -> u64;

impl Operators {
    pub(super) async fn list_hosts(
        &self,
        request: ListHostsRequest,
    ) -> Result<ListHostsResponse, Status> {
        let question = page::question(&(&request.filter, &request.order_by, &request.read_mask));
        let size = page::size(request.page_size)?;
        let token = Token::read(&request.page_token, question)?;
        let (filter, mask) = (Filter::new(request.filter)?, Mask::new(request.read_mask)?);
        let order = order(&request.order_by)?;
        let missing_replicas = self.peers.freshen().await;
        let all = self.matching(&filter, order, token.as_ref(), size).await;
        let total = token.as_ref().map_or(all.len() as i32, |token| token.total);
        let is_behind = |(value, name): &(u64, Name)| {
            let Some(token) = &token else { return true };
            *value < token.value || *value == token.value && name.as_str() > &*token.after
        };
        let mut rest = all.into_iter().filter(is_behind);
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token = match (page.last(), rest.next()) {
            (Some((value, name)), Some(_)) => {
                Token::write(name.to_string(), *value, total, question)
            }
            _ => String::new(),
        };
        let view = self.view.read();
        let hosts = page.iter().filter_map(|(_, name)| Some(mask.apply(view.host(name)?.copy())));
        Ok(ListHostsResponse {
            hosts: hosts.collect(),
            next_page_token,
            total_size: total,
            missing_replicas,
            frozen_time: view.hosts.blind_since().map(|since| clock::timestamp(clock::at(since))),
        })
    }

    /// Hosts that a filter takes, in their order; where that is the one in which they stand and they have been counted,
    /// only those of this page and one more.
    async fn matching(
        &self,
        filter: &Filter,
        order: Option<Order>,
        token: Option<&Token>,
        size: usize,
    ) -> Vec<(u64, Name)> {
        let token = token.filter(|_| order.is_none());
        let mut after = token.and_then(|token| token.after.parse().ok());
        let mut found = Vec::new();
        while token.is_none() || found.len() <= size {
            let last = self.look_on(after.as_ref(), |host| {
                if filter.takes(host) {
                    found.push((order.map_or(0, |order| order(host)), host.name.clone()));
                }
            });
            let Some(last) = last else { break };
            after = Some(last);
            tokio::task::yield_now().await;
        }
        if order.is_some() {
            found.sort_unstable_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
        }
        found
    }

    /// Looks at so many hosts that nobody waits long; the last of them, if there were any.
    pub(super) fn look_on(
        &self,
        after: Option<&Name>,
        mut look: impl FnMut(&Seen<'_>),
    ) -> Option<Name> {
        let view = self.view.read();
        let mut last = None;
        for host in view.after(after).take(CHUNK) {
            look(&host);
            last = Some(host.name);
        }
        last.cloned()
    }

    pub(super) async fn get_host(&self, request: GetHostRequest) -> Result<Host, Status> {
        let (name, mask) = (host_name(&request.name)?, Mask::new(request.read_mask)?);
        self.peers.freshen().await;
        let view = self.view.read();
        let host = view.host(&name).ok_or_else(|| unknown(&name))?;
        Ok(mask.apply(host.copy()))
    }

    pub(super) async fn count_hosts(
        &self,
        request: CountHostsRequest,
    ) -> Result<CountHostsResponse, Status> {
        let filter = Filter::new(request.filter)?;
        let label = request.group_by.strip_prefix("labels.").map(ToOwned::to_owned);
        if label.is_none() && !["state", "version"].contains(&&*request.group_by) {
            return Err(bad("group_by", "it is one of `state`, `version` and `labels.<one>`"));
        }
        self.peers.freshen().await;
        let mut counts = BTreeMap::<String, u32>::new();
        let mut after = None;
        loop {
            let last = self.look_on(after.as_ref(), |host| {
                if !filter.takes(host) {
                    return;
                }
                let group = match (&label, &*request.group_by) {
                    (Some(label), _) => host.label(label).unwrap_or_default(),
                    (None, "version") => host.version(),
                    _ => state_name(host.state()),
                };
                match counts.get_mut(group) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(group.to_owned(), 1)),
                }
            });
            let Some(last) = last else { break };
            after = Some(last);
            tokio::task::yield_now().await;
        }
        let blind = self.view.read().hosts.blind_since();
        Ok(CountHostsResponse {
            counts,
            read_time: Some(clock::timestamp(clock::now())),
            frozen_time: blind.map(|since| clock::timestamp(clock::at(since))),
        })
    }

    pub(super) async fn update_host(&self, request: UpdateHostRequest) -> Result<Host, Status> {
        let host = request.host.ok_or_else(|| bad("host", "it is missing"))?;
        let name = host_name(&host.name)?;
        let paths = request.update_mask.unwrap_or_default().paths;
        if host.labels.len() > MOST_LABELS {
            return Err(bad("host.labels", format!("there are more than {MOST_LABELS}")));
        }
        if let Some((label, _)) = host.labels.iter().find(|(label, value)| {
            label.is_empty() || label.len() > MOST_BYTES || value.len() > MOST_BYTES
        }) {
            return Err(bad(
                "host.labels",
                format!("{label:?} is empty, or longer than {MOST_BYTES} bytes"),
            ));
        }
        let current =
            self.view.read().host(&name).map(|host| host.copy()).ok_or_else(|| unknown(&name))?;
        let mut labels = current.labels;
        for path in if paths.is_empty() { vec!["labels".to_owned()] } else { paths } {
            match path.strip_prefix("labels.") {
                None if path == "labels" => labels.clone_from(&host.labels),
                Some(one) => match host.labels.get(one) {
                    Some(value) => drop(labels.insert(one.to_owned(), value.clone())),
                    None => drop(labels.remove(one)),
                },
                None => {
                    return Err(bad("update_mask", format!("{path:?} is no operator's to change")));
                }
            }
        }
        let etag = if host.etag.is_empty() { current.etag } else { host.etag };
        let revision =
            etag.parse().map_err(|_| bad("host.etag", "it is none that was given here"))?;
        match self.store.relabel(&name, labels.clone(), revision).await {
            Ok(Relabelled::Done(revision)) => {
                let view = self.view.read();
                let mut host =
                    view.host(&name).map(|host| host.copy()).ok_or_else(|| unknown(&name))?;
                (host.labels, host.etag) = (labels, revision.to_string());
                Ok(host)
            }
            Ok(Relabelled::Changed) => Err(Status::aborted(format!(
                "hosts/{name} has been changed meanwhile: look at it again"
            ))),
            Err(error) => Err(unavailable(&error)),
        }
    }

    pub(super) fn list_replicas(
        &self,
        request: &ListReplicasRequest,
    ) -> Result<ListReplicasResponse, Status> {
        let question = page::question(&"replicas");
        let size = page::size(request.page_size)?;
        let token = Token::read(&request.page_token, question)?;
        let view = self.view.read();
        let mut hosts = HashMap::<&Name, u32>::new();
        for live in view.hosts.after(None).filter_map(|(_, entry)| entry.live()) {
            *hosts.entry(&live.replica).or_default() += 1;
        }
        let is_behind = |id: &Name| token.as_ref().is_none_or(|token| id.as_str() > &*token.after);
        let mut rest = view.replicas.iter().filter(|(id, _)| is_behind(id));
        let replicas: Vec<_> = rest
            .by_ref()
            .take(size)
            .map(|(id, replica)| Replica {
                name: format!("replicas/{id}"),
                addresses: replica.addresses.clone(),
                version: replica.version.clone(),
                hosts: hosts.get(id).copied().unwrap_or_default(),
                start_time: Some(clock::timestamp(clock::of_rfc3339(&replica.since))),
                draining: replica.draining,
            })
            .collect();
        let next_page_token = match (replicas.last(), rest.next()) {
            (Some(last), Some(_)) => {
                let after = last.name.trim_start_matches("replicas/").to_owned();
                Token::write(after, 0, 0, question)
            }
            _ => String::new(),
        };
        Ok(ListReplicasResponse { replicas, next_page_token })
    }
}

fn order(by: &str) -> Result<Option<Order>, Status> {
    match by {
        "" | "name" => Ok(None),
        "cpu desc" => Ok(Some(|host| host.heartbeat().map_or(0, |it| it.cpu_millicores.into()))),
        "memory desc" => Ok(Some(|host| host.heartbeat().map_or(0, |it| it.memory_bytes))),
        _ => Err(bad("order_by", "it is one of `name`, `cpu desc` and `memory desc`")),
    }
}

fn host_name(name: &str) -> Result<Name, Status> {
    let id = name.strip_prefix("hosts/").and_then(|id| id.parse().ok());
    id.ok_or_else(|| bad("name", format!("{name:?} is not hosts/<id>")))
}

fn unknown(name: &Name) -> Status {
    Status::not_found(format!("there is no hosts/{name}"))
}

fn unavailable(error: &StoreError) -> Status {
    Status::unavailable(format!("{error}: nothing has been changed, or nobody knows; look again"))
}
