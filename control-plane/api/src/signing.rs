//! Orders: made, signed, and believed or not.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use thiserror::Error;

use crate::identity::Name;
use crate::services::order::v1::order::Kind;
use crate::services::order::v1::{Order, Selector, SignedOrder};

/// Before what is signed, so that the signature serves for nothing else.
const CONTEXT: &[u8] = b"wanglou order v1\0";
/// Bytes of an order: a thousand hosts have room.
const MAX_ORDER: usize = 256 << 10;
const MAX_HOSTS: usize = 1_000;
/// Epochs from here on are for keys that may start too.
const OPERATORS: u64 = 1 << 62;
const MAX_LABELS: usize = 32;
const MAX_AUTHOR: usize = 256;
const MAX_REASON: usize = 1024;

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Stop, and nothing else: the control plane's own, which thieves may get.
    Stop,
    /// Stop and start: an operator's, which no replica has.
    StopAndStart,
}

/// A key that signs.
pub struct Signer {
    key: Ed25519KeyPair,
    id: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

/// A key that is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// An X.509 `SubjectPublicKeyInfo`.
    key: Vec<u8>,
    id: String,
    may: May,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({}, {:?})", self.id, self.may)
    }
}

/// Why there is no such key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It is not PEM.
    #[error("it is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// It is another one.
    #[error("it is no Ed25519 key, as `openssl genpkey -algorithm ed25519` makes one")]
    Other,
}

impl Signer {
    /// Of a private key: PKCS #8 in PEM.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|_| KeyError::Other)?;
        let id = key_id(key.public_key().as_ref());
        Ok(Self { key, id })
    }

    /// That believes it.
    pub fn verifier(&self, may: May) -> Verifier {
        let key = [&SPKI[..], self.key.public_key().as_ref()].concat();
        Verifier { key, id: self.id.clone(), may }
    }

    /// Signs what [`Order::encode_to_vec`](prost::Message::encode_to_vec) has made.
    pub fn sign(&self, order: Vec<u8>) -> SignedOrder {
        let signature = self.key.sign(&signed(&order)).as_ref().to_vec();
        SignedOrder { order, signature, key_id: self.id.clone() }
    }
}

/// RFC 8410, 4: all that is before the 32 bytes of a public key.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl Verifier {
    /// Of a public key: X.509 in PEM, as `openssl pkey -pubout` writes it.
    pub fn from_pem(pem: &[u8], may: May) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)?;
        let raw = der.as_ref().strip_prefix(&SPKI).filter(|raw| raw.len() == 32);
        let raw = raw.ok_or(KeyError::Other)?;
        Ok(Self { key: der.as_ref().to_vec(), id: key_id(raw), may })
    }

    /// Its id, by which an order names the key that signed it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn key_id(public: &[u8]) -> String {
    digest(&SHA256, public).as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(order: &[u8]) -> Vec<u8> {
    [CONTEXT, order].concat()
}

/// Why an order is not one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OrderError {
    /// Nobody we believe has signed it, or not one who may.
    #[error("its signature is of no key that may give it")]
    Signature,
    /// It is for others.
    #[error("it is for another fleet")]
    Fleet,
    /// It makes no sense.
    #[error("it is malformed")]
    Malformed,
}

/// What a signed order says, if one of the `keys` has signed it that may, and it is for this fleet.
pub fn verify(order: &SignedOrder, keys: &[Verifier], fleet: &Name) -> Result<Order, OrderError> {
    if order.order.len() > MAX_ORDER {
        return Err(OrderError::Malformed);
    }
    let key = keys.iter().find(|key| key.id == order.key_id).ok_or(OrderError::Signature)?;
    UnparsedPublicKey::new(&ED25519, &key.key)
        .verify(&signed(&order.order), &order.signature)
        .map_err(|_| OrderError::Signature)?;
    let order = Order::decode(&*order.order).map_err(|_| OrderError::Malformed)?;
    check(&order)?;
    match (order.kind(), key.may) {
        // Above it only operators give orders: whoever has stolen a key for stops shall not be the last.
        (Kind::Stop, May::Stop) if order.epoch >= OPERATORS => return Err(OrderError::Malformed),
        (Kind::Stop, _) | (Kind::Start, May::StopAndStart) => {}
        _ => return Err(OrderError::Signature),
    }
    if order.fleet != fleet.as_str() {
        return Err(OrderError::Fleet);
    }
    Ok(order)
}

/// Whether an order is one that could be given.
pub fn check(order: &Order) -> Result<(), OrderError> {
    let selector = order.selector.as_ref().ok_or(OrderError::Malformed)?;
    let is_whole = order.kind() != Kind::Unspecified
        && order.epoch > 0
        && order.author.len() <= MAX_AUTHOR
        && order.reason.len() <= MAX_REASON
        && selector.hosts.len() <= MAX_HOSTS
        && selector.labels.len() <= MAX_LABELS;
    if is_whole { Ok(()) } else { Err(OrderError::Malformed) }
}

/// Whether a sensor that has obeyed `last` before obeys an order of this kind with this epoch.
///
/// Two replicas that do not hear each other may give a stop the same epoch: either is obeyed. A start
/// that was obeyed once does not undo the stop after it.
pub fn is_current(kind: Kind, epoch: u64, last: u64) -> bool {
    match kind {
        Kind::Unspecified => false,
        Kind::Stop => epoch >= last,
        Kind::Start => epoch > last,
    }
}

/// Whether a host is meant.
pub fn selects<'l>(
    selector: &Selector,
    host: &str,
    label: impl Fn(&str) -> Option<&'l str>,
) -> bool {
    let is_named = selector.hosts.is_empty() || selector.hosts.iter().any(|it| it == host);
    is_named && selector.labels.iter().all(|(name, value)| label(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of RFC 8410, 10.3 and 10.1, which belong together.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn fleet() -> Name {
        "blue".parse().expect("a name")
    }

    fn signer() -> Signer {
        Signer::from_pem(PRIVATE.as_bytes()).expect("a key")
    }

    fn keys(may: May) -> Vec<Verifier> {
        vec![Verifier::from_pem(PUBLIC.as_bytes(), may).expect("a key")]
    }

    fn order(kind: Kind) -> Order {
        Order {
            fleet: "blue".to_owned(),
            kind: kind.into(),
            selector: Some(Selector::default()),
            epoch: 7,
            author: "ops".to_owned(),
            ..Order::default()
        }
    }

    #[test]
    fn who_has_the_key_is_believed_and_nobody_else() {
        let signed = signer().sign(order(Kind::Stop).encode_to_vec());
        let keys = keys(May::Stop);
        assert_eq!(signed.key_id, keys[0].id());
        assert_eq!(signer().verifier(May::Stop), keys[0]);
        assert_eq!(verify(&signed, &keys, &fleet()), Ok(order(Kind::Stop)));
        assert_eq!(verify(&signed, &[], &fleet()), Err(OrderError::Signature));
        assert_eq!(verify(&signed, &keys, &"red".parse().expect("a name")), Err(OrderError::Fleet));
        for at in 0..signed.order.len() {
            let mut forged = signed.clone();
            forged.order[at] ^= 1;
            assert_eq!(verify(&forged, &keys, &fleet()), Err(OrderError::Signature), "{at}");
        }
    }

    #[test]
    fn a_key_for_stops_starts_nothing() {
        let signed = signer().sign(order(Kind::Start).encode_to_vec());
        assert_eq!(verify(&signed, &keys(May::Stop), &fleet()), Err(OrderError::Signature));
        assert!(verify(&signed, &keys(May::StopAndStart), &fleet()).is_ok());
    }

    #[test]
    fn a_key_for_stops_has_not_the_last_word() {
        let last = Order { epoch: u64::MAX, ..order(Kind::Stop) };
        let signed = signer().sign(last.encode_to_vec());
        assert_eq!(verify(&signed, &keys(May::Stop), &fleet()), Err(OrderError::Malformed));
        assert!(verify(&signed, &keys(May::StopAndStart), &fleet()).is_ok());
    }

    #[test]
    fn what_is_signed_and_makes_no_sense_is_refused() {
        let nobody = Order { selector: None, ..order(Kind::Stop) };
        let never = Order { epoch: 0, ..order(Kind::Stop) };
        let nothing = order(Kind::Unspecified);
        let many = Selector { hosts: vec!["a".to_owned(); 1_001], ..Selector::default() };
        let many = Order { selector: Some(many), ..order(Kind::Stop) };
        for wrong in [nobody, never, nothing, many] {
            let signed = signer().sign(wrong.encode_to_vec());
            let seen = verify(&signed, &keys(May::StopAndStart), &fleet());
            assert_eq!(seen, Err(OrderError::Malformed));
        }
    }

    #[test]
    fn an_old_order_is_not_obeyed_again() {
        assert!(is_current(Kind::Stop, 7, 7) && is_current(Kind::Stop, 7, 0));
        assert!(!is_current(Kind::Stop, 6, 7));
        assert!(is_current(Kind::Start, 8, 7) && !is_current(Kind::Start, 7, 7));
    }

    #[test]
    fn a_selector_means_those_that_all_of_it_is_true_of() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        let label = |name: &str| (name == "project").then_some("web");
        let of = |hosts: &[&str], pairs: &[(&str, &str)]| Selector {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            labels: labels(pairs),
        };
        assert!(selects(&of(&[], &[]), "a", label));
        assert!(selects(&of(&["b", "a"], &[("project", "web")]), "a", label));
        assert!(!selects(&of(&["b"], &[]), "a", label));
        assert!(!selects(&of(&[], &[("project", "db")]), "a", label));
        assert!(!selects(&of(&[], &[("group", "x")]), "a", label));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(order: Vec<u8>, signature: Vec<u8>) {
            let signed = SignedOrder { order, signature, key_id: keys(May::Stop)[0].id().to_owned() };
            prop_assert!(verify(&signed, &keys(May::Stop), &fleet()).is_err());
        }
    }
}
