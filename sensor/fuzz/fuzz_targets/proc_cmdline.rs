//! /proc/PID/cmdline, in pieces of any size: the first two bytes say which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::procfs::cmdline::Cmdline;

fuzz_target!(|input: &[u8]| {
    let Some((size, text)) = input.split_first_chunk() else { return };
    let size = usize::from(u16::from_ne_bytes(*size)).max(1);
    let mut cmdline = Cmdline::default();
    // Longer than what is kept, whatever libFuzzer's limit for inputs.
    for chunk in text.repeat(20).chunks(size) {
        cmdline.push(chunk);
    }
    let args = cmdline.args().unwrap_or_default();
    assert_eq!(args.bytes, text.len() as u64 * 20);
    assert!(text.repeat(20).starts_with(args.head) && text.repeat(20).ends_with(args.tail));
});
