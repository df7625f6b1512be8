//! /proc/PID/status.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::procfs::status;

fuzz_target!(|text: &[u8]| {
    status::parse(text);
});
