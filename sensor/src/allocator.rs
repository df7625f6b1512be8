//! The allocator of the whole binary: jemalloc, as it can say who holds how much.

use std::ffi::c_char;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads before `main` (jemalloc(3), TUNING): one arena, as hardly two threads ever allocate
/// at once; freed pages go back at once, or a storm leaves 1 MB behind; no thread of its own; profiles are
/// possible and begin when they are switched on, one sample in 64 KiB.
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static OPTIONS: Option<&'static c_char> = {
    let text = c"narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0,background_thread:false,\
        prof:true,prof_active:false,lg_prof_sample:16";
    // SAFETY: the text lives for ever, and ends with a zero.
    Some(unsafe { &*text.as_ptr() })
};
