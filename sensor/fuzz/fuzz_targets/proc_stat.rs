//! /proc/PID/stat.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::procfs::stat;

fuzz_target!(|line: &[u8]| {
    if let Some(stat) = stat::parse(line) {
        assert!(stat.name.len() < line.len());
        stat.start();
    }
});
