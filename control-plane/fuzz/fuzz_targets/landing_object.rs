//! A landing object, as a disk may have damaged it, and one that somebody has written on purpose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_lake::content::Content;
use wanglou_lake::landing::format::parse;

const BEGIN: &[u8] = b"WLLAND\x01\x00";

fuzz_target!(|bytes: &[u8]| {
    let object = [BEGIN, bytes].concat();
    let parsed = parse(&object).expect("its version is known");
    assert!(parsed.cut <= bytes.len() as u64);
    // The same bytes with sums that are right.
    let length = (bytes.len() as u32).to_le_bytes();
    let head = [length, crc32c::crc32c(bytes).to_le_bytes()].concat();
    let sum = crc32c::crc32c(&head).to_le_bytes();
    let object = [BEGIN, &head, &sum, bytes].concat();
    let parsed = parse(&object).expect("its version is known");
    assert_eq!(parsed.cut, 0);
    assert_eq!(parsed.records.len() as u64 + parsed.damaged, 1);
    for record in parsed.records {
        if let Some(Record::Batch(batch)) = record.record.and_then(|it| it.record) {
            let _ = Content::of(&batch);
        }
    }
});
