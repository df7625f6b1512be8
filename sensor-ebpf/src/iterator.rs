//! What the programs that run when they are read have in common.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;

/// `struct bpf_iter_meta`, include/linux/bpf.h.
#[repr(C)]
pub struct Meta {
    seq: *mut c_void,
}

/// `struct bpf_iter__bpf_map_elem`, kernel/bpf/map_iter.c.
#[repr(C)]
pub struct Element<K, V> {
    pub meta: *const Meta,
    map: *const c_void,
    key: *const K,
    value: *mut V,
}

impl<K: Copy, V> Element<K, V> {
    /// A copy of the key, and the value; `None` when there are no more.
    #[inline(always)]
    pub fn parts<'a>(ctx: *const Self) -> Option<(K, &'a mut V)> {
        // SAFETY: the kernel hands a context of this type.
        let (key, value) = unsafe {
            ((&raw const (*ctx).key).read_volatile(), (&raw const (*ctx).value).read_volatile())
        };
        if key.is_null() || value.is_null() {
            return None;
        }
        // SAFETY: not null: a live key and a live map value.
        Some(unsafe { (*key, &mut *value) })
    }
}

/// Writes a record for whoever reads; `false` if the buffer is full: then the kernel runs the program
/// again for the same thing.
#[inline(always)]
pub fn write<T>(meta: *const Meta, record: *const T, len: u32) -> bool {
    // SAFETY: the context that `meta` is from is live.
    let seq = unsafe { (*meta).seq };
    // SAFETY: the verifier proves that `record` has `len` bytes.
    unsafe { bpf_seq_write(seq.cast(), record.cast_mut().cast(), len) == 0 }
}
