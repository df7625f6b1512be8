//! A landing object: records of many hosts, one after another, as a replica has taken them.
//!
//! ```text
//! object   magic "WLLAND", version (u16)                       8 bytes
//!          frame, frame, …                                     until the end
//! frame    length of the record                                u32
//!          CRC-32C of the record                               u32
//!          CRC-32C of the 8 bytes before                       u32
//!          record: protobuf of HostRecord                      so many bytes
//! ```
//!
//! Numbers are little-endian. The head of a frame has a sum of its own: where it holds, the length can be trusted, so a
//! record that is damaged costs no other one. Where it does not hold, nothing says where the next frame begins, and the
//! rest is given up. A frame that is not whole is where a write was torn; nobody was told that such a record is stored.

use prost::Message as _;
use wanglou_api::sensor::v1::PublishRequest;

const MAGIC: [u8; 6] = *b"WLLAND";
const VERSION: u16 = 1;
const HEAD: usize = 12;

/// Of a record, bytes at most: a batch's content, and room for what is beside it.
pub(crate) const MOST_RECORD: usize = 24 << 20;

/// What a host has told, and when.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HostRecord {
    /// Who, as the certificate says.
    #[prost(string, tag = "1")]
    pub host: String,
    /// When it was received, ms since 1970.
    #[prost(int64, tag = "2")]
    pub received_ms: i64,
    /// What.
    #[prost(message, optional, tag = "3")]
    pub record: Option<PublishRequest>,
}

/// What an object says.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    /// In order.
    pub records: Vec<HostRecord>,
    /// Frames whose record is damaged.
    pub damaged: u64,
    /// Bytes after which nothing could be trusted.
    pub cut: u64,
}

/// It is of a version that this program does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has version {0} of the format, and this program knows {VERSION}")]
pub struct Newer(u16);

/// What every object begins with.
pub(crate) fn begin() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes()].concat()
}

/// A record as a frame.
pub(crate) fn frame(record: &HostRecord) -> Vec<u8> {
    let mut frame = vec![0; HEAD];
    frame.reserve(record.encoded_len());
    record.encode_raw(&mut frame);
    let length = (frame.len() - HEAD) as u32;
    let sum = crc32c::crc32c(&frame[HEAD..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    let of_head = crc32c::crc32c(&frame[..8]);
    frame[8..HEAD].copy_from_slice(&of_head.to_le_bytes());
    frame
}

/// Reads an object, as far as it can be trusted.
pub fn parse(object: &[u8]) -> Result<Parsed, Newer> {
    let mut parsed = Parsed::default();
    let Some((start, mut rest)) = object.split_first_chunk::<8>() else {
        parsed.cut = object.len() as u64;
        return Ok(parsed);
    };
    let version = u16::from_le_bytes([start[6], start[7]]);
    if start[..6] != MAGIC {
        parsed.cut = object.len() as u64;
        return Ok(parsed);
    } else if version != VERSION {
        return Err(Newer(version));
    }
    while !rest.is_empty() {
        let Some((record, sum, after)) = split(rest) else {
            parsed.cut = rest.len() as u64;
            break;
        };
        let is_whole = crc32c::crc32c(record) == sum;
        match HostRecord::decode(record) {
            Ok(record) if is_whole => parsed.records.push(record),
            _ => parsed.damaged += 1,
        }
        rest = after;
    }
    Ok(parsed)
}

/// The first record, its sum, and what comes after it.
fn split(frames: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (head, rest) = frames.split_first_chunk::<HEAD>()?;
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| head[at + n]));
    if crc32c::crc32c(&head[..8]) != number(8) {
        return None;
    }
    let (record, after) = rest.split_at_checked(usize::try_from(number(0)).ok()?)?;
    Some((record, number(4), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(hosts: &[&str]) -> Vec<u8> {
        let record = |host: &&str| {
            let host = (*host).to_owned();
            frame(&HostRecord { host, received_ms: 7, record: None })
        };
        let frames: Vec<_> = hosts.iter().flat_map(record).collect();
        [begin(), frames].concat()
    }

    fn hosts(parsed: &Parsed) -> Vec<&str> {
        parsed.records.iter().map(|record| record.host.as_str()).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let parsed = parse(&object(&["a", "b"])).expect("our version");
        assert_eq!((hosts(&parsed), parsed.damaged, parsed.cut), (vec!["a", "b"], 0, 0));
    }

    #[test]
    fn a_torn_frame_is_cut_off() {
        let whole = object(&["a", "b"]);
        let one = object(&["a"]).len();
        for length in one + 1..whole.len() {
            let parsed = parse(&whole[..length]).expect("our version");
            assert_eq!((hosts(&parsed), parsed.cut), (vec!["a"], (length - one) as u64));
        }
    }

    #[test]
    fn a_damaged_record_costs_no_other_one() {
        let mut damaged = object(&["a", "b", "c"]);
        let second = object(&["a"]).len() + HEAD;
        damaged[second] ^= 1;
        let parsed = parse(&damaged).expect("our version");
        assert_eq!((hosts(&parsed), parsed.damaged, parsed.cut), (vec!["a", "c"], 1, 0));
    }

    #[test]
    fn a_damaged_length_costs_the_rest() {
        let mut damaged = object(&["a", "b", "c"]);
        let second = object(&["a"]).len();
        damaged[second] ^= 1;
        let parsed = parse(&damaged).expect("our version");
        assert_eq!(hosts(&parsed), ["a"]);
        assert_eq!(parsed.cut, (damaged.len() - second) as u64);
    }

    #[test]
    fn another_version_is_left_to_whoever_knows_it() {
        let mut newer = object(&["a"]);
        newer[6] = 2;
        assert_eq!(parse(&newer), Err(Newer(2)));
        assert_eq!(parse(b"not ours at all").expect("damage").cut, 15);
        assert_eq!(parse(b"").expect("nothing").cut, 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&[begin(), bytes].concat());
        }
    }
}
