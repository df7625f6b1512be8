//! A datagram of the process connector.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::cn_proc::message;

fuzz_target!(|datagram: &[u8]| {
    let messages = message::parse(datagram).count();
    assert!(messages <= datagram.len());
});
