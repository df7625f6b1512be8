//! How far an order has come, in words. Decides, and neither reads nor writes.

use wanglou_api::fleet::v1::{Order, OrderProgress};
use wanglou_api::order::v1::Order as Said;
use wanglou_api::order::v1::order::Kind;

use crate::selection::in_words;
use crate::{json, units};

/// As many as the protocol names.
const MAX_NAMES: usize = 100;

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All have done it.
    Done,
    /// Nobody who lives is meant.
    Nobody,
    /// Some have not.
    Missing,
}

/// By what is known of it now.
pub(super) fn verdict(order: &Order) -> Verdict {
    match order.progress.as_ref().map(|it| (it.selected, it.done, it.refused)) {
        None | Some((0, _, _)) => Verdict::Nobody,
        Some((selected, done, 0)) if done >= selected => Verdict::Done,
        Some(_) => Verdict::Missing,
    }
}

/// Whether nobody has anything left to say.
pub(super) fn is_answered(order: &Order) -> bool {
    let progress = order.progress.as_ref();
    progress.is_none_or(|it| u64::from(it.done) + u64::from(it.refused) >= u64::from(it.selected))
}

/// Its number, as its name has it.
pub(super) fn epoch(order: &Order) -> &str {
    order.name.strip_prefix("orders/").unwrap_or(&order.name)
}

/// What it says: `order 7: stop of group=web`.
pub(super) fn title(order: &Order) -> String {
    let said = order.order.as_ref();
    let selector = said.and_then(|it| it.selector.as_ref()).map(in_words).unwrap_or_default();
    format!("order {}: {} of {selector}", epoch(order), kind(order))
}

/// `stop` or `start`.
pub(super) fn kind(order: &Order) -> String {
    let kind = order.order.as_ref().map_or(Kind::Unspecified, Said::kind);
    json::name(kind.as_str_name(), "KIND_")
}

/// Its numbers: `3 hosts selected, 3 sent, 2 received, 1 detached, 0 refused, 0.42 s`.
pub(super) fn line(order: &Order) -> String {
    let Some(progress) = &order.progress else { return "nothing is known yet".to_owned() };
    let OrderProgress { selected, sent, received, done, refused, elapsed, .. } = progress;
    let count = |number: &u32| units::count((*number).into());
    let done_word = done_word(order);
    let elapsed = elapsed.as_ref().map(|it| units::short_span(units::duration(it)));
    format!(
        "{} selected, {} sent, {} received, {} {done_word}, {} refused{}",
        count(selected),
        count(sent),
        count(received),
        count(done),
        count(refused),
        elapsed.map(|it| format!(", {it}")).unwrap_or_default()
    )
}

fn done_word(order: &Order) -> &'static str {
    match order.order.as_ref().map(Said::kind) {
        Some(Kind::Stop) => "detached",
        Some(Kind::Start) => "started",
        _ => "done",
    }
}

/// What has come of it, and of whom nothing is known.
pub(super) fn result(order: &Order) -> Vec<String> {
    let none = OrderProgress::default();
    let progress = order.progress.as_ref().unwrap_or(&none);
    let count = |number: u32| units::count(number.into());
    let done_word = done_word(order);
    let mut lines = Vec::new();
    match verdict(order) {
        Verdict::Done => {
            let elapsed =
                progress.elapsed.as_ref().map(|it| units::short_span(units::duration(it)));
            let within = elapsed.map(|it| format!(" within {it}")).unwrap_or_default();
            lines.push(match progress.selected {
                1 => format!("the host has {done_word}{within}"),
                all => format!("all {} hosts have {done_word}{within}", count(all)),
            });
        }
        Verdict::Nobody => lines
            .push("no host that lives is meant by it; those that come later hear of it".to_owned()),
        Verdict::Missing => {
            let missing = progress.selected.saturating_sub(progress.done);
            let (missing, all) = (count(missing), count(progress.selected));
            lines.push(format!("not {done_word}: {missing} of {all} hosts"));
        }
    }
    if progress.refused > 0 {
        lines.push(format!("{} refuse: their logs say why", count(progress.refused)));
    }
    if !progress.silent_hosts.is_empty() {
        lines.push("no answer from:".to_owned());
        lines.extend(
            progress.silent_hosts.iter().map(|host| format!("  {}", crate::hosts::id(host))),
        );
        if progress.silent_hosts.len() >= MAX_NAMES {
            lines.push("  and others".to_owned());
        }
    }
    if !order.durable {
        lines.push(NOT_DURABLE.to_owned());
    }
    lines
}

/// What it means that an order is not in etcd.
pub(super) const NOT_DURABLE: &str =
    "not durable yet: it is on the disks of the replicas that have it, and not in etcd";

#[cfg(test)]
mod tests {
    use wanglou_api::order::v1::Selector;

    use super::*;

    fn order(progress: Option<OrderProgress>) -> Order {
        let selector = Some(Selector { hosts: vec!["a".to_owned()], ..Selector::default() });
        let said = Said { kind: Kind::Stop.into(), selector, epoch: 7, ..Said::default() };
        Order { name: "orders/7".to_owned(), order: Some(said), durable: true, progress }
    }

    fn progress(selected: u32, done: u32, refused: u32) -> Option<OrderProgress> {
        let elapsed = Some(prost_types::Duration { seconds: 0, nanos: 420_000_000 });
        Some(OrderProgress { selected, done, refused, elapsed, ..OrderProgress::default() })
    }

    #[test]
    fn only_if_all_have_done_it_it_is_done() {
        assert_eq!(verdict(&order(None)), Verdict::Nobody);
        assert_eq!(verdict(&order(progress(0, 0, 0))), Verdict::Nobody);
        assert_eq!(verdict(&order(progress(2, 2, 0))), Verdict::Done);
        assert_eq!(verdict(&order(progress(2, 1, 0))), Verdict::Missing);
        assert_eq!(verdict(&order(progress(2, 1, 1))), Verdict::Missing);
        assert!(is_answered(&order(progress(2, 1, 1))) && !is_answered(&order(progress(2, 1, 0))));
    }

    #[test]
    fn people_read_numbers_and_names() {
        assert_eq!(title(&order(None)), "order 7: stop of a");
        let order = order(progress(2_000, 1_999, 0));
        let line = line(&order);
        assert_eq!(line, "2,000 selected, 0 sent, 0 received, 1,999 detached, 0 refused, 0.42 s");
        let mut silent = order.clone();
        silent.durable = false;
        if let Some(progress) = &mut silent.progress {
            progress.silent_hosts = vec!["hosts/web-1".to_owned()];
        }
        assert_eq!(
            result(&silent),
            ["not detached: 1 of 2,000 hosts", "no answer from:", "  web-1", NOT_DURABLE]
        );
    }
}
