//! The texts of /proc/PID/{exe,cwd,root,ns/*}: a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wanglou_sensor::procfs::links;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |&byte| byte == b'\n');
    let (text, root) = (lines.next().unwrap_or_default(), lines.next().unwrap_or(b"/"));
    for unlinked in [false, true] {
        let target = links::target(text, root, unlinked);
        assert!(target.path == b"/" || text.len() >= target.path.len());
    }
    links::namespace(text);
});
