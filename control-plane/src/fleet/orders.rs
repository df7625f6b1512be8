//! Orders that this replica knows, which of them each host is to hear, and how far each has come.
//!
//! Epochs are dense from 1 only where replicas hear each other: whoever gives an order takes the next after all that it
//! knows of, its own, its peers' and its hosts'. Two that do not hear each other may take the same; then both are kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use wanglou_api::identity::Name;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, Selector, SignedOrder};
use wanglou_api::sensor::v1::order_receipt::Stage;
use wanglou_api::signing::is_current;

use super::Millis;

/// Orders of which the progress is known; of older ones it is no longer.
const WATCHED: usize = 64;

/// Orders are told apart by their signatures.
pub(crate) type Key = (u64, Vec<u8>);

/// One order.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// As it travels.
    pub(crate) signed: SignedOrder,
    /// What it says.
    pub(crate) order: Order,
    /// It is in etcd.
    pub(crate) durable: bool,
}

/// The last order that a host has heard; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) epoch: u64,
    is_stop: bool,
}

impl Last {
    pub(crate) fn of(order: &Order) -> Self {
        Self { epoch: order.epoch, is_stop: order.kind() == Kind::Stop }
    }
}

/// What hosts of this replica have said of an order. A host is in one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// It was sent to these, and they have not answered.
    pub(crate) sent: HashSet<Name>,
    /// These have it.
    pub(crate) received: HashSet<Name>,
    /// These have done it.
    pub(crate) done: HashSet<Name>,
    /// These refuse it.
    pub(crate) refused: HashSet<Name>,
    /// When it was sent first, and when the last answer came.
    began: Option<Millis>,
    last: Option<Millis>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    by_key: BTreeMap<Key, Known>,
    progress: HashMap<u64, Progress>,
    /// The greatest epoch of all that anybody has shown us.
    highest: u64,
}

impl Orders {
    /// The epoch of the next order.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.highest.saturating_add(1)
    }

    /// Takes an order that has been verified; `true` if it is new.
    pub(crate) fn take(&mut self, signed: SignedOrder, order: Order, durable: bool) -> bool {
        self.highest = self.highest.max(order.epoch);
        let key = (order.epoch, signed.signature.clone());
        match self.by_key.get_mut(&key) {
            Some(known) => {
                known.durable |= durable;
                false
            }
            None => {
                self.progress.entry(order.epoch).or_default();
                self.by_key.insert(key, Known { signed, order, durable });
                self.forget_old_progress();
                true
            }
        }
    }

    /// etcd has one.
    pub(crate) fn is_durable(&mut self, key: &Key) {
        if let Some(known) = self.by_key.get_mut(key) {
            known.durable = true;
        }
    }

    /// Those that etcd does not have yet.
    pub(crate) fn not_durable(&self) -> impl Iterator<Item = &Known> {
        self.by_key.values().filter(|known| !known.durable)
    }

    /// All of them, the last first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.by_key.values().rev()
    }

    /// What a host is to hear that has heard `last`: the last order that means it, if it would obey it. Of two with the
    /// same epoch a stop goes before a start.
    pub(crate) fn for_host(&self, means: impl Fn(&Selector) -> bool, last: Last) -> Option<&Known> {
        let means = |known: &&Known| known.order.selector.as_ref().is_some_and(&means);
        let newest = self.iter().find(means)?.order.epoch;
        let of_newest = self.iter().filter(|known| known.order.epoch == newest).filter(means);
        let known = of_newest.max_by_key(|known| known.order.kind() == Kind::Stop)?;
        // A stop might be obeyed twice, but need not be said twice.
        let is_news = Last::of(&known.order) != last;
        (is_news && is_current(known.order.kind(), known.order.epoch, last.epoch)).then_some(known)
    }

    /// It was sent to a host that is not meant.
    pub(crate) fn unmeant(&mut self, epoch: u64, host: &Name) {
        if let Some(progress) = self.progress.get_mut(&epoch) {
            progress.take_out(host);
        }
    }

    /// An order goes to a host.
    pub(crate) fn sent(&mut self, epoch: u64, host: &Name, now: Millis) {
        if let Some(progress) = self.progress.get_mut(&epoch) {
            progress.began.get_or_insert(now);
            progress.take_out(host);
            progress.sent.insert(host.clone());
        }
    }

    /// A host has answered. What comes late does not undo what came before: who has done it has received it.
    pub(crate) fn answered(&mut self, epoch: u64, host: &Name, stage: Stage, now: Millis) {
        let Some(progress) = self.progress.get_mut(&epoch) else { return };
        if stage == Stage::Unspecified || stage == Stage::Received && progress.done.contains(host) {
            return;
        }
        progress.last = Some(now);
        progress.take_out(host);
        let of = match stage {
            Stage::Received => &mut progress.received,
            Stage::Detached | Stage::Started => &mut progress.done,
            Stage::Refused | Stage::Unspecified => &mut progress.refused,
        };
        of.insert(host.clone());
    }

    /// How far an order has come here, if that is still known.
    pub(crate) fn progress(&self, epoch: u64) -> Option<&Progress> {
        self.progress.get(&epoch)
    }

    /// A host is another replica's now, which knows how far it is.
    pub(crate) fn leave(&mut self, host: &Name) {
        for progress in self.progress.values_mut() {
            progress.take_out(host);
        }
    }

    /// What a new order has to say.
    pub(crate) fn compose(
        &self,
        kind: Kind,
        selector: Selector,
        author: String,
        reason: String,
    ) -> Order {
        let (kind, epoch) = (kind.into(), self.next_epoch());
        Order { kind, epoch, author, reason, selector: Some(selector), ..Order::default() }
    }

    /// Takes out those that mean nothing any more, as a later one means every host; the last are kept to be shown.
    pub(crate) fn take_superseded(&mut self) -> Vec<Known> {
        let is_all = |known: &Known| {
            let selector = known.order.selector.as_ref();
            selector.is_some_and(|it| it.hosts.is_empty() && it.labels.is_empty())
        };
        let newest = self.iter().find(|known| is_all(known)).map_or(0, |known| known.order.epoch);
        let shown = self.iter().nth(WATCHED).map_or(0, |known| known.order.epoch);
        let later = self.by_key.split_off(&(newest.min(shown), Vec::new()));
        let (gone, kept) = std::mem::replace(&mut self.by_key, later)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, known)| known.durable);
        self.by_key.extend(kept);
        gone.into_iter().map(|(_, known)| known).collect()
    }

    fn forget_old_progress(&mut self) {
        while self.progress.len() > WATCHED
            && let Some(oldest) = self.progress.keys().min().copied()
        {
            self.progress.remove(&oldest);
        }
    }
}

impl Progress {
    /// How long it has taken so far, ms.
    pub(crate) fn elapsed(&self) -> Option<Millis> {
        Some(self.last?.saturating_sub(self.began?))
    }

    /// Whether it was sent to a host.
    pub(crate) fn has(&self, host: &Name) -> bool {
        [&self.sent, &self.received, &self.done, &self.refused].iter().any(|of| of.contains(host))
    }

    fn take_out(&mut self, host: &Name) {
        for of in [&mut self.sent, &mut self.received, &mut self.done, &mut self.refused] {
            of.remove(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use wanglou_api::signing::selects;

    use super::*;

    fn host(name: &str) -> Name {
        name.parse().expect("a name")
    }

    fn give(orders: &mut Orders, kind: Kind, epoch: u64, hosts: &[&str]) -> bool {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let selector = Some(Selector { hosts, ..Selector::default() });
        let order = Order { kind: kind.into(), epoch, selector, ..Order::default() };
        let signature = format!("{order:?}").into_bytes();
        orders.take(SignedOrder { signature, ..SignedOrder::default() }, order, false)
    }

    /// What a host hears that has obeyed a start of this epoch before.
    fn heard(orders: &Orders, name: &str, epoch: u64) -> Option<(Kind, u64)> {
        let means = |selector: &Selector| selects(selector, name, |_| None);
        let known = orders.for_host(means, Last { epoch, is_stop: false })?;
        Some((known.order.kind(), known.order.epoch))
    }

    #[test]
    fn a_host_hears_the_last_order_that_means_it() {
        let mut orders = Orders::default();
        assert!(give(&mut orders, Kind::Stop, 1, &[]));
        assert!(give(&mut orders, Kind::Start, 2, &["a"]));
        assert!(give(&mut orders, Kind::Stop, 3, &["c"]));
        assert_eq!(heard(&orders, "a", 0), Some((Kind::Start, 2)));
        assert_eq!(heard(&orders, "a", 2), None);
        assert_eq!(heard(&orders, "b", 0), Some((Kind::Stop, 1)));
        let stopped = Last { epoch: 1, is_stop: true };
        assert!(orders.for_host(|selector| selector.hosts.is_empty(), stopped).is_none());
        // Of the same epoch as a start that it has obeyed: whoever gave it did not know of that.
        assert_eq!(heard(&orders, "b", 1), Some((Kind::Stop, 1)));
        assert_eq!(heard(&orders, "c", 1), Some((Kind::Stop, 3)));
    }

    #[test]
    fn of_two_with_the_same_epoch_a_host_hears_the_stop() {
        for kinds in [[Kind::Stop, Kind::Start], [Kind::Start, Kind::Stop]] {
            let mut orders = Orders::default();
            for kind in kinds {
                assert!(give(&mut orders, kind, 4, &[]));
            }
            assert_eq!(heard(&orders, "a", 3), Some((Kind::Stop, 4)));
        }
    }

    #[test]
    fn the_next_epoch_is_after_all_that_anybody_has_shown() {
        let mut orders = Orders::default();
        assert_eq!(orders.next_epoch(), 1);
        give(&mut orders, Kind::Stop, 5, &[]);
        assert_eq!(orders.next_epoch(), 6);
        // Of an order that nobody can show, a host may say what it likes.
        orders.answered(20, &host("a"), Stage::Received, 0);
        assert_eq!(orders.next_epoch(), 6);
    }

    #[test]
    fn an_order_is_new_once_and_durable_for_good() {
        let mut orders = Orders::default();
        assert!(give(&mut orders, Kind::Stop, 1, &[]));
        assert!(!give(&mut orders, Kind::Stop, 1, &[]));
        assert_eq!(orders.not_durable().count(), 1);
        let known = orders.iter().next().expect("it is there").clone();
        assert!(!orders.take(known.signed, known.order, true));
        assert_eq!(orders.not_durable().count(), 0);
    }

    #[test]
    fn an_answer_that_is_late_undoes_nothing() {
        let mut orders = Orders::default();
        give(&mut orders, Kind::Stop, 1, &[]);
        let a = host("a");
        orders.sent(1, &a, 5);
        assert_eq!(orders.progress(1).map(|it| it.sent.len()), Some(1));
        orders.answered(1, &a, Stage::Detached, 9);
        orders.answered(1, &a, Stage::Received, 11);
        let done = Progress {
            done: HashSet::from([a]),
            began: Some(5),
            last: Some(9),
            ..Progress::default()
        };
        assert_eq!(orders.progress(1), Some(&done));
        assert_eq!(done.elapsed(), Some(4));
    }

    #[test]
    fn what_a_later_one_makes_meaningless_is_let_go_of_once_it_is_durable() {
        let mut orders = Orders::default();
        let count = WATCHED as u64 + 10;
        for epoch in 1..=count {
            give(&mut orders, Kind::Stop, epoch, &["a"]);
        }
        assert!(orders.take_superseded().is_empty());
        give(&mut orders, Kind::Stop, count + 1, &[]);
        assert!(orders.take_superseded().is_empty());
        for known in orders.iter().cloned().collect::<Vec<_>>() {
            orders.take(known.signed, known.order, true);
        }
        assert_eq!(orders.take_superseded().len(), 10);
        assert_eq!(heard(&orders, "a", 0), Some((Kind::Stop, count + 1)));
    }

    #[test]
    fn progress_is_known_of_the_last_orders_only() {
        let mut orders = Orders::default();
        for epoch in 1..=WATCHED as u64 + 1 {
            give(&mut orders, Kind::Stop, epoch, &[]);
        }
        assert!(orders.progress(1).is_none() && orders.progress(2).is_some());
        assert_eq!(orders.iter().count(), WATCHED + 1);
    }
}
