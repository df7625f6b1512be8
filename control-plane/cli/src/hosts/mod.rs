//! `hosts`: who there is, how they are and what their sensors cost.

mod caveats;
mod live;
mod row;
mod watch;

use std::collections::BTreeMap;

use anyhow::Result;
pub(crate) use caveats::Caveats;
use jiff::Timestamp;
use prost_types::FieldMask;
pub(crate) use row::{breaker, id, labels, state, worker};
use wanglou_api::fleet::v1::{
    CountHostsRequest, Host, HostFilter, ListHostsRequest, ListHostsResponse,
};

use crate::Done;
use crate::cli::{Hosts, Output, Sort};
use crate::connection::Fleet;
use crate::failure::{CallError, one_line};
use crate::terminal::{Look, note, say, say_all};
use crate::{json, units};

/// Hosts of a page: the most that there may be.
const PAGE: u32 = 1_000;
const LIST: &str = "list hosts";

/// Lists them, once or for as long as somebody watches.
pub(crate) async fn run(fleet: &mut Fleet, options: &Hosts, output: Output) -> Result<Done> {
    let filter = options.filter.message()?;
    if options.watch {
        return watch::run(fleet, options, filter, output).await;
    }
    let mut pages = Pages::new(filter.clone(), options, output);
    let mut hosts = Vec::new();
    while let Some(page) = pages.next(fleet).await? {
        match output {
            Output::Json => {
                for host in &page {
                    say(&json::line(&json::Host::from(host))?)?;
                }
            }
            Output::Table => hosts.extend(page),
        }
    }
    if output == Output::Table {
        let look = Look::of_stdout();
        if !hosts.is_empty() {
            say_all(&row::table(hosts.iter()).lines(look.columns, look.colour))?;
        }
        let request = CountHostsRequest { filter: Some(filter), group_by: "state".to_owned() };
        let what = "count hosts";
        let counted =
            fleet.call(what, async |mut it| it.count_hosts(request.clone()).await).await?;
        let counts = counted.counts.iter().map(|(name, count)| (name.as_str(), u64::from(*count)));
        say(&summary(counts, look.colour))?;
        let left = u64::from(pages.total).saturating_sub(hosts.len() as u64);
        if left > 0 {
            say(&format!("and {} more", units::count(left)))?;
        }
    }
    pages.caveats.lines(Timestamp::now()).iter().for_each(|it| note(it));
    Ok(Done::Well)
}

/// How many there are of each state, the usual ones first: `3 hosts: 2 alive, 1 lost`.
pub(crate) fn summary<'n>(counts: impl Iterator<Item = (&'n str, u64)>, colour: bool) -> String {
    let mut by_state = BTreeMap::new();
    for (name, count) in counts {
        let name = json::name(name, "STATE_");
        let state = row::STATES.iter().position(|state| row::state_name(*state) == name);
        by_state.insert((state.unwrap_or(usize::MAX), name), count);
    }
    let total: u64 = by_state.values().sum();
    let states: Vec<_> = by_state.into_iter().filter(|(_, count)| *count > 0).collect();
    let hosts = if total == 1 { "host" } else { "hosts" };
    if states.is_empty() {
        return "no hosts".to_owned();
    }
    let states = states.into_iter().map(|((at, name), count)| {
        let tone = row::STATES.get(at).copied().map(row::tone).unwrap_or_default();
        tone.paint(&format!("{} {}", units::count(count), one_line(&name)), colour)
    });
    format!("{} {hosts}: {}", units::count(total), states.collect::<Vec<_>>().join(", "))
}

/// What a table shows of a host.
fn mask(output: Output) -> Option<FieldMask> {
    let fields = [
        "name",
        "labels",
        "state",
        "state_time",
        "replica",
        "version",
        "duplicate_instance_ids",
        "heartbeat",
    ];
    let paths = fields.map(str::to_owned).to_vec();
    (output == Output::Table).then_some(FieldMask { paths })
}

/// All pages of an answer, or as many as are wanted.
struct Pages {
    request: ListHostsRequest,
    left: u32,
    is_last: bool,
    /// Of all pages.
    total: u32,
    caveats: Caveats,
}

impl Pages {
    fn new(filter: HostFilter, options: &Hosts, output: Output) -> Self {
        let order_by = match options.sort {
            Sort::Name => "name",
            Sort::Cpu => "cpu desc",
            Sort::Memory => "memory desc",
        };
        let left = options.limit.unwrap_or(u32::MAX);
        let request = ListHostsRequest {
            page_size: left.min(PAGE) as i32,
            filter: Some(filter),
            order_by: order_by.to_owned(),
            read_mask: mask(output),
            ..ListHostsRequest::default()
        };
        Self { request, left, is_last: false, total: 0, caveats: Caveats::default() }
    }

    async fn next(&mut self, fleet: &mut Fleet) -> Result<Option<Vec<Host>>, CallError> {
        if self.is_last || self.left == 0 {
            return Ok(None);
        }
        let request = &self.request;
        let asked = fleet.call(LIST, async |mut it| it.list_hosts(request.clone()).await).await;
        let ListHostsResponse {
            mut hosts,
            next_page_token,
            total_size,
            missing_replicas,
            frozen_time,
        } = asked?;
        hosts.truncate(self.left as usize);
        self.left -= hosts.len() as u32;
        self.total = total_size.try_into().unwrap_or(0);
        let Caveats { missing_replicas: missing, frozen_time: frozen } = &mut self.caveats;
        for replica in missing_replicas {
            if !missing.contains(&replica) {
                missing.push(replica);
            }
        }
        *frozen = frozen_time.or(frozen.take());
        // A token that never ends would be followed for ever.
        self.is_last = next_page_token.is_empty() || next_page_token == self.request.page_token;
        self.request.page_token = next_page_token;
        Ok(Some(hosts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_usual_states_first_and_knows_both_spellings() {
        let counts = [("lost", 3), ("STATE_ALIVE", 2_400), ("stopped", 0), ("new", 1)];
        assert_eq!(summary(counts.into_iter(), false), "2,404 hosts: 2,400 alive, 3 lost, 1 new");
        assert_eq!(summary([("alive", 1)].into_iter(), false), "1 host: 1 alive");
        assert_eq!(summary([].into_iter(), false), "no hosts");
    }
}
