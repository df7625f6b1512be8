//! A segment of the spool, as a disk may have damaged it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::uplink::spool::records_of;

fuzz_target!(|bytes: &[u8]| {
    let segment = [b"WLSPOOL1", bytes].concat();
    let mut end = 0;
    for (offset, record) in records_of(&segment) {
        assert!(offset >= end && offset < segment.len() as u64);
        end = offset + 1;
        if let Some(record) = record {
            end = offset + record.bytes as u64;
            assert!(end <= segment.len() as u64);
            record.head.events_so_far();
        }
    }
});
