//! Community ID, version 1: what both ends of a connection call it, whoever looks
//! (<https://github.com/corelight/community-id-spec>).

use std::net::{IpAddr, SocketAddr};

use arrayvec::{ArrayString, ArrayVec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const SEED: u16 = 0;
const DIGEST_BYTES: usize = 20;
const DIGEST_CHARS: usize = 28;

/// `1:` and the digest in base64.
pub(super) type CommunityId = ArrayString<{ 2 + DIGEST_CHARS }>;

/// Of a connection; `protocol` is its number in the IP header.
pub(super) fn id(one: SocketAddr, other: SocketAddr, protocol: u8) -> CommunityId {
    // The smaller end first, so that the direction does not matter.
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    let mut bytes = ArrayVec::<u8, 40>::new();
    let mut push = |part: &[u8]| bytes.extend(part.iter().copied());
    push(&SEED.to_be_bytes());
    for end in [low, high] {
        match end.ip() {
            IpAddr::V4(ip) => push(&ip.octets()),
            IpAddr::V6(ip) => push(&ip.octets()),
        }
    }
    push(&[protocol, 0]);
    push(&low.port().to_be_bytes());
    push(&high.port().to_be_bytes());

    let digest: [u8; DIGEST_BYTES] = Sha1::digest(&bytes).into();
    let mut text = [0; DIGEST_CHARS];
    // Twenty bytes always fill 28 characters, and those are ASCII.
    let _ = STANDARD.encode_slice(digest, &mut text);
    let mut id = CommunityId::new();
    id.push_str("1:");
    id.push_str(std::str::from_utf8(&text).unwrap_or_default());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = 6;

    /// Vectors of the specification's own baseline.
    #[test]
    fn it_is_the_one_of_the_specification() {
        let id = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(id(one, other, TCP), id(other, one, TCP));
            id(one, other, TCP).to_string()
        };
        assert_eq!(
            id("128.232.110.120:34855", "66.35.250.204:80"),
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
        );
        assert_eq!(
            id("[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943", "[2607:f8b0:400c:c03::1a]:25"),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="
        );
    }
}
