//! Answers of sock_diag.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::sock_diag::message;

fuzz_target!(|datagram: &[u8]| {
    let _ = message::read(datagram, &mut |socket| {
        assert!(socket.local.is_ipv4() || socket.local.is_ipv6());
    });
});
