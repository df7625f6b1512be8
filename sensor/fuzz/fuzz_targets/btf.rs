//! /sys/kernel/btf/vmlinux, and all that is looked up in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::kernel::btf::{Btf, Kind};

fuzz_target!(|bytes: &[u8]| {
    let Ok(btf) = Btf::parse(bytes) else { return };
    let wanted = [(Kind::Struct, "task_struct"), (Kind::Enum, "e"), (Kind::Typedef, "t")];
    for &id in btf.find(&wanted).values() {
        btf.offset(id, "se.sum_exec_runtime");
        btf.enumerator(id, "pids_cgrp_id");
        btf.arguments(id);
    }
});
