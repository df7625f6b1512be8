//! Which order stands, and what is to be said of it. Whoever calls carries it out, and keeps it.
//!
//! ```text
//! judge   obeyed ─▶ to_keep ─▶ kept    RECEIVED, or REFUSED because it could not be kept
//!              └──▶ carried out ─▶ done    DETACHED or STARTED, never before the other
//! ```

use std::collections::BTreeMap;

use prost::Message as _;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, SignedOrder};
use wanglou_api::sensor::v1::OrderReceipt;
use wanglou_api::sensor::v1::order_receipt::{Refusal, Stage};
use wanglou_api::signing::{OrderError, Verifier, is_current, selects, verify};

/// Who we are, and whom we believe.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) fleet: Name,
    pub(super) host: Name,
    pub(super) keys: Vec<Verifier>,
}

/// The one that was obeyed last.
#[derive(Clone, Debug)]
struct Standing {
    signed: SignedOrder,
    order: Order,
    /// Of those that this process has obeyed.
    turn: u64,
    /// Whether it is on the disk, once that is known.
    is_kept: Option<bool>,
    is_done: bool,
}

/// What an order led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stands from now on.
    Obey,
    /// It stands already.
    Again,
    /// Nothing.
    Refuse(OrderReceipt),
}

/// The order that stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    standing: Option<Standing>,
    /// Why it is not known which stands.
    damage: Option<String>,
    turns: u64,
}

impl Orders {
    /// With one that was kept, if it can be believed. It was for this fleet when it was kept: whoever could write
    /// another one to the disk could also remove it. One that cannot be believed may have been a stop.
    pub(super) fn recall(signed: Option<SignedOrder>, keys: &[Verifier]) -> Self {
        let Some(signed) = signed else { return Self::default() };
        let fleet = Order::decode(&*signed.order).ok().and_then(|it| it.fleet.parse().ok());
        let order = fleet.ok_or(OrderError::Malformed).and_then(|it| verify(&signed, keys, &it));
        match order {
            Ok(order) => {
                let is_kept = Some(true);
                let standing = Standing { signed, order, turn: 1, is_kept, is_done: false };
                Self { standing: Some(standing), damage: None, turns: 1 }
            }
            Err(error) => Self::damaged(error.to_string()),
        }
    }

    /// Where it cannot be known whether one was kept.
    pub(super) fn damaged(why: String) -> Self {
        Self { damage: Some(why), ..Self::default() }
    }

    /// Takes an order.
    pub(super) fn judge(
        &mut self,
        signed: SignedOrder,
        trust: &Trust,
        labels: &BTreeMap<String, String>,
    ) -> Verdict {
        let order = match verify(&signed, &trust.keys, &trust.fleet) {
            Ok(order) => order,
            Err(error) => {
                // For whoever looks for it: nobody believes the number.
                let epoch = Order::decode(&*signed.order).map_or(0, |order| order.epoch);
                return refuse(epoch, refusal(error));
            }
        };
        let label = |name: &str| labels.get(name).map(String::as_str);
        let selector = order.selector.as_ref();
        if !selector.is_some_and(|it| selects(it, trust.host.as_str(), label)) {
            return refuse(order.epoch, Refusal::Selector);
        }
        if let Some(standing) = self.standing.as_mut().filter(|it| it.signed.order == signed.order)
        {
            // There may be room for it by now.
            standing.is_kept = standing.is_kept.filter(|is_kept| *is_kept);
            return Verdict::Again;
        }
        if !is_current(order.kind(), order.epoch, self.epoch()) {
            return refuse(order.epoch, Refusal::Epoch);
        }
        self.turns += 1;
        let turn = self.turns;
        let standing = Standing { signed, order, turn, is_kept: None, is_done: false };
        (self.standing, self.damage) = (Some(standing), None);
        Verdict::Obey
    }

    /// Why nobody is to work, if so.
    pub(super) fn stopped(&self) -> Option<String> {
        if let Some(why) = &self.damage {
            return Some(format!("stopped: the order that was kept may be a stop: {why}"));
        }
        let Order { epoch, author, reason, .. } = &self.order().filter(|it| is_stop(it))?;
        Some(format!("stopped by order {epoch} of {author}: {reason}"))
    }

    /// Why it is not known which stands, if so.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Of the one that stands; 0 if there is none.
    pub(super) fn epoch(&self) -> u64 {
        self.order().map_or(0, |order| order.epoch)
    }

    /// The one that stands, as it travels.
    pub(super) fn signed(&self) -> Option<&SignedOrder> {
        self.standing.as_ref().map(|standing| &standing.signed)
    }

    /// Which is to be kept, and its turn.
    pub(super) fn to_keep(&self) -> Option<(u64, Vec<u8>)> {
        let standing = self.standing.as_ref().filter(|standing| standing.is_kept.is_none())?;
        Some((standing.turn, standing.signed.encode_to_vec()))
    }

    /// It is on the disk, or cannot be.
    pub(super) fn kept(&mut self, turn: u64, is_kept: bool) {
        if let Some(standing) = self.standing.as_mut().filter(|standing| standing.turn == turn) {
            standing.is_kept = Some(is_kept);
        }
    }

    /// It is to be kept once more, elsewhere.
    pub(super) fn forget_kept(&mut self) {
        if let Some(standing) = &mut self.standing {
            standing.is_kept = None;
        }
    }

    /// Nobody works, or somebody does: `true` if that is what was ordered, and news.
    pub(super) fn done(&mut self, is_stopped: bool) -> bool {
        let of = |it: &&mut Standing| is_stop(&it.order) == is_stopped && !it.is_done;
        let standing = self.standing.as_mut().filter(of);
        standing.map(|standing| standing.is_done = true).is_some()
    }

    /// All that there is to say of the one that stands, in order.
    pub(super) fn receipts(&self) -> Vec<OrderReceipt> {
        let Some(standing) = &self.standing else { return Vec::new() };
        let epoch = standing.order.epoch;
        let said = |stage: Stage, refusal: Refusal| OrderReceipt {
            epoch,
            stage: stage.into(),
            refusal: refusal.into(),
        };
        let mut receipts = match standing.is_kept {
            None => return Vec::new(),
            Some(true) => vec![said(Stage::Received, Refusal::Unspecified)],
            Some(false) => vec![said(Stage::Refused, Refusal::NotKept)],
        };
        if standing.is_done {
            let stage = if is_stop(&standing.order) { Stage::Detached } else { Stage::Started };
            receipts.push(said(stage, Refusal::Unspecified));
        }
        receipts
    }

    fn order(&self) -> Option<&Order> {
        self.standing.as_ref().map(|standing| &standing.order)
    }
}

fn is_stop(order: &Order) -> bool {
    order.kind() == Kind::Stop
}

fn refuse(epoch: u64, refusal: Refusal) -> Verdict {
    Verdict::Refuse(OrderReceipt { epoch, stage: Stage::Refused.into(), refusal: refusal.into() })
}

fn refusal(error: OrderError) -> Refusal {
    match error {
        OrderError::Signature => Refusal::Signature,
        OrderError::Fleet => Refusal::Fleet,
        OrderError::Malformed => Refusal::Malformed,
    }
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
