use proptest::prelude::*;
use wanglou_api::order::v1::Selector;
use wanglou_api::signing::{May, Signer};

use super::*;

/// Of RFC 8410, 10.3 and 10.1, which belong together.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";

fn trust(may: May) -> Trust {
    let key = Verifier::from_pem(PUBLIC.as_bytes(), may).expect("a key");
    let name = |text: &str| text.parse().expect("a name");
    Trust { fleet: name("blue"), host: name("a"), keys: vec![key] }
}

fn order(kind: Kind, epoch: u64, reason: &str) -> Order {
    Order {
        fleet: "blue".to_owned(),
        kind: kind.into(),
        selector: Some(Selector::default()),
        epoch,
        author: "ops".to_owned(),
        reason: reason.to_owned(),
        ..Order::default()
    }
}

fn sign(order: &Order) -> SignedOrder {
    Signer::from_pem(PRIVATE.as_bytes()).expect("a key").sign(order.encode_to_vec())
}

fn judge(orders: &mut Orders, order: &Order) -> Verdict {
    orders.judge(sign(order), &trust(May::StopAndStart), &BTreeMap::new())
}

fn stages(orders: &Orders) -> Vec<Stage> {
    orders.receipts().iter().map(OrderReceipt::stage).collect()
}

fn refusal_of(verdict: Verdict) -> Option<Refusal> {
    match verdict {
        Verdict::Refuse(receipt) => Some(receipt.refusal()),
        _ => None,
    }
}

#[test]
fn an_order_is_received_once_it_is_kept_and_done_after_that() {
    let mut orders = Orders::default();
    let stop = order(Kind::Stop, 7, "a fire");
    assert_eq!(judge(&mut orders, &stop), Verdict::Obey);
    assert_eq!(orders.stopped().as_deref(), Some("stopped by order 7 of ops: a fire"));
    assert!(orders.done(true) && !orders.done(true), "it is done once");
    assert_eq!(stages(&orders), [], "the disk has not answered");
    let (turn, bytes) = orders.to_keep().expect("to be kept");
    assert_eq!(bytes, sign(&stop).encode_to_vec());
    orders.kept(turn, true);
    assert_eq!(stages(&orders), [Stage::Received, Stage::Detached]);
    assert_eq!(orders.to_keep(), None);

    assert_eq!(judge(&mut orders, &order(Kind::Start, 8, "")), Verdict::Obey);
    assert_eq!(orders.stopped(), None);
    assert!(!orders.done(true), "a start is not done by who stops");
    let (turn, _) = orders.to_keep().expect("to be kept");
    orders.kept(turn - 1, true);
    assert_eq!(stages(&orders), [], "the one before is not this one");
    orders.kept(turn, true);
    assert!(orders.done(false));
    assert_eq!(stages(&orders), [Stage::Received, Stage::Started]);
}

#[test]
fn one_that_cannot_be_kept_is_obeyed_and_tried_again() {
    let mut orders = Orders::default();
    let stop = order(Kind::Stop, 7, "");
    judge(&mut orders, &stop);
    let (turn, _) = orders.to_keep().expect("to be kept");
    orders.kept(turn, false);
    assert!(orders.stopped().is_some() && orders.to_keep().is_none());
    assert_eq!(orders.receipts()[0].refusal(), Refusal::NotKept);
    assert_eq!(judge(&mut orders, &stop), Verdict::Again);
    assert!(orders.to_keep().is_some());
}

#[test]
fn what_comes_again_is_acknowledged_and_what_is_old_is_not() {
    let mut orders = Orders::default();
    let (stop, start) = (order(Kind::Stop, 7, ""), order(Kind::Start, 8, ""));
    assert_eq!(judge(&mut orders, &stop), Verdict::Obey);
    assert_eq!(judge(&mut orders, &stop), Verdict::Again);
    assert_eq!(judge(&mut orders, &order(Kind::Stop, 7, "of another replica")), Verdict::Obey);
    assert_eq!(judge(&mut orders, &start), Verdict::Obey);
    assert_eq!(judge(&mut orders, &start), Verdict::Again);
    let old = judge(&mut orders, &stop);
    assert_eq!(refusal_of(old), Some(Refusal::Epoch));
    assert_eq!(judge(&mut orders, &order(Kind::Stop, 8, "")), Verdict::Obey);
    assert_eq!(refusal_of(judge(&mut orders, &start)), Some(Refusal::Epoch));
    assert_eq!(orders.epoch(), 8);
}

#[test]
fn what_is_for_others_changes_nothing() {
    let mut orders = Orders::default();
    let of = |order: &Order, trust: &Trust, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        refusal_of(Orders::default().judge(sign(order), trust, &labels))
    };
    let all = trust(May::StopAndStart);
    let hosts = Selector { hosts: vec!["b".to_owned()], ..Selector::default() };
    let web = Selector {
        labels: [("project".to_owned(), "web".to_owned())].into(),
        ..Selector::default()
    };
    let stop = order(Kind::Stop, 7, "");
    let foreign = Order { fleet: "red".to_owned(), ..stop.clone() };
    let for_b = Order { selector: Some(hosts), ..stop.clone() };
    let for_web = Order { selector: Some(web), ..stop.clone() };
    let nonsense = Order { epoch: 0, ..stop.clone() };
    assert_eq!(of(&foreign, &all, &[]), Some(Refusal::Fleet));
    assert_eq!(of(&for_b, &all, &[]), Some(Refusal::Selector));
    assert_eq!(of(&for_web, &all, &[]), Some(Refusal::Selector));
    assert_eq!(of(&for_web, &all, &[("project", "web")]), None);
    assert_eq!(of(&nonsense, &all, &[]), Some(Refusal::Malformed));
    assert_eq!(of(&order(Kind::Start, 7, ""), &trust(May::Stop), &[]), Some(Refusal::Signature));
    let mut forged = sign(&stop);
    forged.signature[0] ^= 1;
    let verdict = orders.judge(forged, &all, &BTreeMap::new());
    assert_eq!(refusal_of(verdict), Some(Refusal::Signature));
    assert_eq!((orders.epoch(), orders.stopped()), (0, None));
}

#[test]
fn what_was_kept_stands_and_what_cannot_be_believed_stops() {
    let keys = trust(May::StopAndStart).keys;
    let recall = |order: &Order| Orders::recall(Some(sign(order)), &keys);
    let stopped = recall(&order(Kind::Stop, 7, ""));
    assert!(stopped.stopped().is_some() && stopped.damage().is_none());
    assert_eq!((stopped.epoch(), stages(&stopped)), (7, vec![Stage::Received]));
    assert_eq!(recall(&order(Kind::Start, 8, "")).stopped(), None);
    assert_eq!(Orders::recall(None, &keys).stopped(), None);

    let mut damaged = Orders::recall(Some(sign(&order(Kind::Start, 8, ""))), &[]);
    assert!(
        damaged.stopped().is_some() && damaged.damage().is_some() && damaged.signed().is_none()
    );
    assert_eq!(judge(&mut damaged, &order(Kind::Start, 9, "")), Verdict::Obey);
    assert_eq!((damaged.stopped(), damaged.damage()), (None, None));
}

proptest! {
    /// Whatever comes in whatever order: the epoch never falls, a start never follows with the same one, and what is
    /// said fits what stands.
    #[test]
    fn an_order_is_never_undone_by_an_older_one(
        given in prop::collection::vec((any::<bool>(), 1_u64..6, 0_u8..3), 1..40),
    ) {
        let mut orders = Orders::default();
        for (is_stop, epoch, reason) in given {
            let (before, was_stopped) = (orders.epoch(), orders.stopped().is_some());
            let kind = if is_stop { Kind::Stop } else { Kind::Start };
            match judge(&mut orders, &order(kind, epoch, &reason.to_string())) {
                Verdict::Obey => {
                    prop_assert!(epoch > before || is_stop && epoch == before);
                    prop_assert_eq!((orders.epoch(), orders.stopped().is_some()), (epoch, is_stop));
                    prop_assert!(orders.receipts().is_empty());
                }
                Verdict::Again | Verdict::Refuse(_) => {
                    prop_assert_eq!((orders.epoch(), orders.stopped().is_some()), (before, was_stopped));
                }
            }
            if let Some((turn, _)) = orders.to_keep() {
                orders.kept(turn, true);
            }
            orders.done(is_stop);
        }
    }
}
