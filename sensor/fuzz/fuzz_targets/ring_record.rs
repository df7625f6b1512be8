//! A record of the ring: as it is, and with a header that leads to each kind's body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::decode::{Decoder, kind, record_len};

fuzz_target!(|record: &[u8]| {
    let _ = kind(record);
    if let Ok(length) = record_len(record) {
        assert!(length <= record.len());
    }
    let mut decoder = Decoder::default();
    let _ = decoder.decode(record);

    // struct Header: u16 version, u16 kind, u32 length, …
    let mut record = record.to_vec();
    if record.len() >= 8 {
        let length = record.len() as u32;
        record[0..2].copy_from_slice(&1u16.to_ne_bytes());
        record[4..8].copy_from_slice(&length.to_ne_bytes());
        for kind in 1..=5u16 {
            record[2..4].copy_from_slice(&kind.to_ne_bytes());
            let _ = decoder.decode(&record);
        }
    }
});
