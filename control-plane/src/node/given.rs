//! Orders: from operators, peers, etcd and hosts; onto the disk, to the hosts, and into etcd.
//!
//! ```text
//! operator ──▶ give ──▶ disk ──▶ kept ──▶ hosts            a stop waits for the disk and for nothing else
//! peer, host ─▶ heard_of ─▶ disk ──┘  └──▶ peers, etcd     neither etcd nor a peer has to be there
//! ```

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wanglou_api::fleet::v1::OrderProgress;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, Selector, SignedOrder};
use wanglou_api::sensor::v1::control_response::Message as Say;
use wanglou_api::sensor::v1::order_receipt::{Refusal, Stage};
use wanglou_api::sensor::v1::{Hello, OrderReceipt};
use wanglou_api::signing::{self, OrderError, selects, verify};

use super::event::{Give, GiveError, Given};
use super::{Event, State};
use crate::clock;
use crate::fleet::Millis;
use crate::fleet::orders::{Key, Known, Last};
use crate::fleet::sessions::StreamId;
use crate::log::ids;
use crate::store::StoreError;
use prost::Message as _;

/// Time for the disk to take an order.
const DISK: Duration = Duration::from_secs(2);
/// Request ids that are remembered.
const REQUESTS: usize = 1_000;
/// Names of hosts that have not answered, at most.
const SILENT: usize = 100;

type Answer = oneshot::Sender<Result<Given, GiveError>>;

impl State {
    /// Begins with what is on the disk.
    pub(super) fn remember_orders(&mut self) {
        match self.settings.journal.read() {
            Ok((orders, damaged)) => {
                for path in damaged {
                    tracing::error!(id = ids::JOURNAL_DAMAGED.code, path = %path.display(), "an order cannot be read: others may have it");
                }
                for signed in orders {
                    match verify(&signed, &self.settings.keys, &self.settings.fleet) {
                        Ok(order) => drop(self.orders.take(signed, order, false)),
                        Err(error) => {
                            tracing::error!(id = ids::JOURNAL_DAMAGED.code, %error, "an order of the journal is not believed");
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(id = ids::JOURNAL_DAMAGED.code, %error, "the journal of orders cannot be read");
            }
        }
        self.tell_peers();
    }

    pub(super) fn give(&mut self, give: Give, answer: Answer) {
        let given = self.given(give);
        match given {
            Ok(Begun::Known(given)) => drop(answer.send(Ok(given))),
            Ok(Begun::New(new)) => {
                let (signed, order) = *new;
                self.keep(signed, order, Some(answer));
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    fn given(&mut self, give: Give) -> Result<Begun, GiveError> {
        let create_time = Some(clock::timestamp(clock::now()));
        let fleet = self.settings.fleet.to_string();
        match give {
            Give::Prepare { selector, author, reason } => {
                let order = self.orders.compose(Kind::Start, selector, author, reason);
                let order = Order { fleet, create_time, ..order };
                signing::check(&order)?;
                Ok(Begun::Known(Given::Prepared(order.encode_to_vec())))
            }
            Give::Stop { selector, author, reason, request_id } => {
                if let Some(given) = self.given_before(&request_id, &author) {
                    return Ok(Begun::Known(given));
                }
                let order = self.orders.compose(Kind::Stop, selector, author, reason);
                let order = Order { fleet, create_time, ..order };
                signing::check(&order)?;
                let signer = self.settings.signer.as_ref().ok_or(GiveError::NoKey)?;
                let signed = signer.sign(order.encode_to_vec());
                self.begin(signed, order, request_id)
            }
            Give::Signed { signed, author, request_id } => {
                if let Some(given) = self.given_before(&request_id, &author) {
                    return Ok(Begun::Known(given));
                }
                let order = verify(&signed, &self.settings.keys, &self.settings.fleet)?;
                if order.author != author {
                    return Err(GiveError::Author(order.author));
                }
                if order.epoch != self.orders.next_epoch() {
                    return Err(GiveError::Outdated);
                }
                self.begin(signed, order, request_id)
            }
        }
    }

    fn begin(&mut self, signed: SignedOrder, order: Order, id: String) -> Result<Begun, GiveError> {
        let known = Known { signed: signed.clone(), order: order.clone(), durable: false };
        self.orders.take(signed.clone(), order.clone(), false);
        if !id.is_empty() {
            if self.requests.len() >= REQUESTS {
                self.requests.remove(0);
            }
            self.requests.push((id, Given::Order(Box::new(known))));
        }
        Ok(Begun::New(Box::new((signed, order))))
    }

    fn given_before(&self, request_id: &str, author: &str) -> Option<Given> {
        let is_it = |(id, given): &&(String, Given)| {
            let by = |known: &Known| known.order.author == author;
            !id.is_empty() && id == request_id && matches!(given, Given::Order(known) if by(known))
        };
        self.requests.iter().find(is_it).map(|(_, given)| given.clone())
    }

    /// Puts one on the disk, which may take its time, and has it go out after that.
    fn keep(&self, signed: SignedOrder, order: Order, answer: Option<Answer>) {
        let (journal, node) = (self.settings.journal.clone(), self.node.clone());
        tokio::spawn(async move {
            let (epoch, kept) = (order.epoch, signed.clone());
            let kept = spawn_blocking(move || journal.keep(epoch, &kept));
            // A disk that hangs holds nobody up either.
            let error = match timeout(DISK, kept).await {
                Ok(Ok(kept)) => kept.err(),
                _ => Some(std::io::ErrorKind::TimedOut.into()),
            };
            node.tell(Event::Kept { signed, order, error, answer }).await;
        });
    }

    /// It goes out, even if the disk does not take it: a stop is not to fail for want of space.
    pub(super) fn kept(
        &mut self,
        signed: &SignedOrder,
        order: &Order,
        error: Option<&std::io::Error>,
        answer: Option<Answer>,
        now: Millis,
    ) {
        if let Some(error) = error {
            tracing::error!(id = ids::ORDER_NOT_KEPT.code, epoch = order.epoch, %error, "an order is not on this disk: it goes out all the same");
        }
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            self.deliver(stream, now);
        }
        self.tell_peers();
        if let Some(answer) = answer {
            let known = Known { signed: signed.clone(), order: order.clone(), durable: false };
            // Who asked may have gone.
            let _ = answer.send(Ok(Given::Order(Box::new(known))));
        }
    }

    /// Another replica, or a host, has shown orders.
    pub(super) fn heard_of(&mut self, orders: Vec<SignedOrder>) {
        for signed in orders {
            match verify(&signed, &self.settings.keys, &self.settings.fleet) {
                Ok(order) if self.orders.take(signed.clone(), order.clone(), false) => {
                    self.keep(signed, order, None);
                }
                Ok(_) => {}
                Err(error) => self.disbelieve(&error, "an order that was shown"),
            }
        }
    }

    /// etcd has one.
    pub(super) fn durable(&mut self, signed: SignedOrder) {
        match verify(&signed, &self.settings.keys, &self.settings.fleet) {
            Ok(order) => {
                if self.orders.take(signed.clone(), order.clone(), true) {
                    self.keep(signed, order, None);
                }
            }
            Err(error) => self.disbelieve(&error, "an order in etcd"),
        }
    }

    /// The order that a host says it has obeyed last, if it can show it.
    pub(super) fn shown(&mut self, hello: &Hello) -> Last {
        let Some(signed) = &hello.last_order else { return Last::default() };
        match verify(signed, &self.settings.keys, &self.settings.fleet) {
            Ok(order) => {
                let last = Last::of(&order);
                if self.orders.take(signed.clone(), order.clone(), false) {
                    self.keep(signed.clone(), order, None);
                }
                last
            }
            Err(error) => {
                self.disbelieve(&error, "the order that a host says it has obeyed");
                Last::default()
            }
        }
    }

    /// Tells a host what it is to do, if that is news to it.
    pub(super) fn deliver(&mut self, id: StreamId, now: Millis) {
        let Some(stream) = self.streams.get(&id) else { return };
        let knows_labels = self.knows_hosts;
        let means = |selector: &Selector| {
            if knows_labels {
                let label = |name: &str| stream.labels.get(name).map(String::as_str);
                selects(selector, stream.host.as_str(), label)
            } else {
                // The host knows what it is called, and judges for itself.
                selector.hosts.is_empty()
                    || selector.hosts.iter().any(|it| it == stream.host.as_str())
            }
        };
        let known = self.orders.for_host(means, stream.told);
        let Some((signed, told)) = known.map(|it| (it.signed.clone(), Last::of(&it.order))) else {
            return;
        };
        let host = stream.host.clone();
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.told = told;
        }
        self.orders.sent(told.epoch, &host, now);
        self.say(id, Say::Order(signed));
    }

    pub(super) fn receipt(
        &mut self,
        host: &Name,
        id: StreamId,
        receipt: OrderReceipt,
        now: Millis,
    ) {
        if receipt.refusal() == Refusal::Selector {
            // It knows itself by other labels: it is not meant, or will be told them first.
            self.orders.unmeant(receipt.epoch, host);
            return;
        }
        self.orders.answered(receipt.epoch, host, receipt.stage(), now);
        match receipt.stage() {
            Stage::Detached | Stage::Started => {
                if let Some(stream) = self.streams.get_mut(&id)
                    && stream.told.epoch == receipt.epoch
                {
                    stream.obeyed = stream.told;
                }
                if self.sessions.streams(host).next() == Some(id) {
                    self.change(host, |it| it.order_epoch = it.order_epoch.max(receipt.epoch));
                }
            }
            Stage::Refused => {
                self.counters.order_refused().add(1);
                let refusal = receipt.refusal().as_str_name();
                tracing::warn!(id = ids::ORDER_REFUSED.code, %host, epoch = receipt.epoch, refusal, "an order is refused");
            }
            Stage::Received | Stage::Unspecified => {}
        }
    }

    fn disbelieve(&self, error: &OrderError, what: &str) {
        self.counters.not_believed().add(1);
        tracing::warn!(id = ids::ORDER_NOT_BELIEVED.code, %error, "{what} is not believed");
    }

    /// How far an order is here.
    pub(super) fn progress(&self, epoch: u64) -> Option<(Known, OrderProgress)> {
        let known = self.orders.iter().find(|known| known.order.epoch == epoch)?.clone();
        let Some(progress) = self.orders.progress(epoch) else {
            return Some((known, OrderProgress::default()));
        };
        // Those that may come back have not heard it: nobody is to think that all have.
        let away = self.sessions.suspects().filter(|host| {
            let labels = self.labels(host);
            let label = |name: &str| labels.get(name).map(String::as_str);
            let selector = known.order.selector.as_ref();
            let is_meant = selector.is_some_and(|it| selects(it, host.as_str(), label));
            is_meant && !progress.has(host)
        });
        let away: Vec<_> = away.collect();
        let silent = progress.sent.iter().chain(&progress.received).chain(away.iter().copied());
        let mut silent_hosts: Vec<_> = silent.take(SILENT).map(ToString::to_string).collect();
        silent_hosts.sort();
        let count = |hosts: usize| u32::try_from(hosts).unwrap_or(u32::MAX);
        let (sent, received) = (progress.sent.len(), progress.received.len());
        let (done, refused) = (progress.done.len(), progress.refused.len());
        let all = sent + received + done + refused;
        let elapsed = progress.elapsed().map(Duration::from_millis);
        let told = OrderProgress {
            selected: count(all + away.len()),
            sent: count(all),
            received: count(received + done),
            done: count(done),
            refused: count(refused),
            silent_hosts,
            elapsed: elapsed.and_then(|elapsed| elapsed.try_into().ok()),
        };
        Some((known, told))
    }

    pub(super) fn all_orders(&self) -> Vec<Known> {
        self.orders.iter().cloned().collect()
    }

    /// Writes those to etcd that it does not have: one at a time, they are few.
    pub(super) fn write_orders(&mut self) {
        if self.is_writing_order {
            return;
        }
        let Some(known) = self.orders.not_durable().next().cloned() else { return };
        self.is_writing_order = true;
        let (store, node) = (self.store.clone(), self.node.clone());
        tokio::spawn(async move {
            let written = store.put_order(&known).await;
            let key = (known.order.epoch, known.signed.signature.clone());
            node.tell(Event::OrderWritten(key, written)).await;
        });
    }

    pub(super) fn order_written(&mut self, key: &Key, written: Result<(), StoreError>) {
        self.is_writing_order = false;
        match written {
            Ok(()) => self.orders.is_durable(key),
            Err(error) => tracing::debug!(%error, "an order is not in etcd yet"),
        }
        let (gone, journal) = (self.orders.take_superseded(), self.settings.journal.clone());
        if !gone.is_empty() {
            self.tell_peers();
            spawn_blocking(move || {
                for gone in gone {
                    // It does no harm there.
                    let _ = journal.forget(gone.order.epoch, &gone.signed);
                }
            });
        }
    }

    fn tell_peers(&self) {
        let all = self.orders.iter().map(|known| known.signed.clone()).collect();
        self.told_orders.send_replace(all);
    }
}

/// What became of an operator's wish.
enum Begun {
    /// It goes out once it is on the disk.
    New(Box<(SignedOrder, Order)>),
    /// There is nothing more to do.
    Known(Given),
}
