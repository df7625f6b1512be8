//! /proc/PID/cgroup, /proc/self/mountinfo, and the container that a path names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::container;
use wanglou_sensor::procfs::cgroup;

fuzz_target!(|text: &[u8]| {
    let controller = cgroup::hierarchy(text).and_then(|hierarchy| hierarchy.controller);
    cgroup::path(text, controller);
    cgroup::path(text, Some("pids"));
    container::named(text);
});
