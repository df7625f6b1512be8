use proptest::prelude::*;

use super::super::reduce;
use super::*;

fn kernel() -> Option<Vec<u8>> {
    std::fs::read("/sys/kernel/btf/vmlinux").ok()
}

#[test]
fn the_running_kernel_is_walked() {
    let Some(bytes) = kernel() else {
        eprintln!("skipped: this kernel has no BTF");
        return;
    };
    let btf = Btf::parse(&bytes).unwrap();
    let task = (Kind::Struct, "task_struct");
    let id = btf.find(&[task])[&task];

    let comm = btf.offset(id, "comm").unwrap();
    let runtime = btf.offset(id, "se.sum_exec_runtime").unwrap();
    assert!(comm > 0 && runtime > btf.offset(id, "se").unwrap());
    assert_eq!(btf.offset(id, "no_such_member"), None);
    assert_eq!(btf.offset(id, "comm.no_such_member"), None);
}

#[test]
fn a_reduced_copy_keeps_ids_and_names() {
    let Some(bytes) = kernel() else {
        eprintln!("skipped: this kernel has no BTF");
        return;
    };
    let wanted =
        [(Kind::Typedef, "btf_trace_sched_process_exec"), (Kind::Function, "bpf_iter_task")];
    let btf = Btf::parse(&bytes).unwrap();
    let ids = btf.find(&wanted);
    let small = reduce::reduce(&btf, &ids.values().copied().collect::<Vec<_>>());

    assert!(small.len() < bytes.len());
    assert_eq!(Btf::parse(&small).unwrap().find(&wanted), ids);
}

proptest! {
    #[test]
    fn any_bytes_are_walked_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..512), id in any::<u32>()) {
        if bytes.len() >= 24 {
            bytes[..2].copy_from_slice(&MAGIC.to_ne_bytes());
            let len = bytes.len() as u32 - 24;
            for (at, word) in [(4, 24), (8, 0), (12, len / 2), (16, len / 2), (20, len / 2)] {
                bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(word));
            }
        }
        if let Ok(btf) = Btf::parse(&bytes) {
            for id in [id, 1, 2, btf.len()] {
                btf.offset(id, "a.b");
                btf.enumerator(id, "a");
                btf.arguments(id);
            }
            btf.find(&[(Kind::Struct, "")]);
        }
    }
}
