//! How a host obeys.

use std::collections::BTreeMap;
use std::sync::Arc;

use wanglou_api::order::v1::SignedOrder;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::sensor::v1::OrderReceipt;
use wanglou_api::sensor::v1::order_receipt::{Refusal, Stage};
use wanglou_api::signing::{OrderError, is_current, selects};

use crate::world::World;

/// What a host remembers of orders.
#[derive(Default)]
pub(crate) struct Obedience {
    pub(crate) is_stopped: bool,
    epoch: u64,
    /// The last that it has obeyed.
    pub(crate) last: Option<Arc<SignedOrder>>,
}

/// What an order leads to.
pub(crate) struct Verdict {
    pub(crate) epoch: u64,
    /// What happens to the host.
    pub(crate) outcome: &'static str,
    /// At once.
    pub(crate) receipt: OrderReceipt,
    /// Once it is done, if it is obeyed.
    pub(crate) done: Option<OrderReceipt>,
}

impl Obedience {
    pub(crate) fn hear(
        &mut self,
        world: &World,
        host: &str,
        labels: &BTreeMap<String, String>,
        signed: SignedOrder,
    ) -> Verdict {
        let order = match world.verify(&signed) {
            Ok(order) => order,
            Err(OrderError::Signature) => return refused(0, Refusal::Signature),
            Err(OrderError::Fleet) => return refused(0, Refusal::Fleet),
            Err(OrderError::Malformed) => return refused(0, Refusal::Malformed),
        };
        let selector = order.selector.clone().unwrap_or_default();
        if !selects(&selector, host, |name| labels.get(name).map(String::as_str)) {
            return refused(order.epoch, Refusal::Selector);
        }
        if !is_current(order.kind(), order.epoch, self.epoch) {
            return refused(order.epoch, Refusal::Epoch);
        }
        self.is_stopped = order.kind() == Kind::Stop;
        self.epoch = order.epoch;
        self.last = Some(Arc::new(signed));
        let (outcome, stage) =
            if self.is_stopped { ("stop", Stage::Detached) } else { ("start", Stage::Started) };
        Verdict {
            epoch: order.epoch,
            outcome,
            receipt: receipt(order.epoch, Stage::Received, Refusal::Unspecified),
            done: Some(receipt(order.epoch, stage, Refusal::Unspecified)),
        }
    }
}

fn refused(epoch: u64, why: Refusal) -> Verdict {
    let receipt = receipt(epoch, Stage::Refused, why);
    Verdict { epoch, outcome: "refused", receipt, done: None }
}

pub(crate) fn receipt(epoch: u64, stage: Stage, refusal: Refusal) -> OrderReceipt {
    OrderReceipt { epoch, stage: stage.into(), refusal: refusal.into() }
}
