//! A start, signed by the operator's own key: by no replica's word alone.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use prost::Message as _;
use thiserror::Error;
use wanglou_api::identity::Identity;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, Selector, SignedOrder};
use wanglou_api::signing::{Signer, check};

use crate::failure::one_line;
use crate::selection::in_words;

/// What somebody wants to sign.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Whom.
    pub(super) selector: &'a Selector,
    /// Why.
    pub(super) reason: &'a str,
    /// Who.
    pub(super) operator: &'a Identity,
}

/// What a replica wants signed is not what was asked for.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "nothing is signed: the replica wants a signature under {0}; it may be broken or stolen, ask another one (--endpoint)"
)]
pub(super) struct Lie(String);

/// The key of a file.
pub(super) fn signer(path: &Path) -> Result<Signer> {
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Signer::from_pem(&pem).with_context(|| format!("{} does not sign", path.display()))
}

/// Signs what says what is wanted, and nothing else.
pub(super) fn sign(
    signer: &Signer,
    bytes: Vec<u8>,
    wanted: &Wanted<'_>,
) -> Result<SignedOrder, Lie> {
    compare(&bytes, wanted)?;
    Ok(signer.sign(bytes))
}

fn compare(bytes: &[u8], wanted: &Wanted<'_>) -> Result<(), Lie> {
    let order = Order::decode(bytes).map_err(|_| Lie("what is no order".to_owned()))?;
    check(&order).map_err(|error| Lie(format!("an order that no sensor obeys: {error}")))?;
    // What this program does not know it cannot answer for.
    if order.encoded_len() != bytes.len() {
        return Err(Lie("more than this program understands".to_owned()));
    }
    if order.kind() != Kind::Start {
        return Err(Lie("what is no start".to_owned()));
    }
    if order.fleet != wanted.operator.fleet.as_str() {
        return Err(Lie(format!("a start of the fleet {:?}", one_line(&order.fleet))));
    }
    let selector = order.selector.unwrap_or_default();
    if !is_same(&selector, wanted.selector) {
        return Err(Lie(format!("a start of {}", one_line(&in_words(&selector)))));
    }
    let id = wanted.operator.id.as_str();
    if order.author != id && order.author != wanted.operator.to_string() {
        return Err(Lie(format!("a start by {:?}", one_line(&order.author))));
    }
    if order.reason != wanted.reason {
        return Err(Lie("a start for another reason".to_owned()));
    }
    Ok(())
}

fn is_same(one: &Selector, other: &Selector) -> bool {
    let hosts = |selector: &Selector| {
        let mut hosts = selector.hosts.clone();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    };
    one.labels == other.labels && hosts(one) == hosts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: &str = "spiffe://blue/operator/ann";

    fn start() -> Order {
        let hosts = vec!["b".to_owned(), "a".to_owned()];
        Order {
            fleet: "blue".to_owned(),
            kind: Kind::Start.into(),
            selector: Some(Selector { hosts, ..Selector::default() }),
            epoch: 7,
            author: OPERATOR.to_owned(),
            reason: "it is over".to_owned(),
            ..Order::default()
        }
    }

    fn told(bytes: &[u8]) -> Result<(), String> {
        let operator = OPERATOR.parse().expect("an identity");
        let hosts = vec!["a".to_owned(), "b".to_owned()];
        let selector = Selector { hosts, ..Selector::default() };
        let wanted = Wanted { selector: &selector, reason: "it is over", operator: &operator };
        compare(bytes, &wanted).map_err(|Lie(what)| what)
    }

    #[test]
    fn what_was_asked_for_is_signed() {
        assert_eq!(told(&start().encode_to_vec()), Ok(()));
    }

    #[test]
    fn whatever_else_is_not() {
        type Change = fn(&mut Order);
        let lies: [(&str, Change); 8] = [
            ("no start", |it| it.kind = Kind::Stop.into()),
            ("fleet \"red\"", |it| it.fleet = "red".to_owned()),
            ("all hosts", |it| it.selector = Some(Selector::default())),
            ("a start of a, b, c", |it| {
                let hosts = ["a", "b", "c"].map(str::to_owned).into();
                it.selector = Some(Selector { hosts, ..Selector::default() });
            }),
            ("no sensor obeys", |it| it.selector = None),
            ("no sensor obeys", |it| it.epoch = 0),
            ("by \"spiffe://blue/operator/bob\"", |it| it.author = OPERATOR.replace("ann", "bob")),
            ("another reason", |it| it.reason = String::new()),
        ];
        for (expected, lie) in lies {
            let mut order = start();
            lie(&mut order);
            let error = told(&order.encode_to_vec()).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
        let mut more = start().encode_to_vec();
        // Field 100, a varint.
        more.extend([0xa0, 0x06, 0x01]);
        assert!(told(&more).is_err_and(|error| error.contains("understands")));
        assert!(told(b"\xff").is_err());
    }
}
