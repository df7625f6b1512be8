//! The allocator of a whole program: jemalloc, as it can say who holds how much.

#[doc(hidden)]
pub use tikv_jemallocator::Jemalloc;

/// Makes jemalloc the allocator of the program that says so once, in its `main.rs`, with the options that suit it
/// (jemalloc(3), TUNING): they are read before `main`. Profiles are possible and begin when they are switched
/// on, one sample in 64 KiB.
///
/// ```
/// wanglou_daemon::allocator!("background_thread:false");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! allocator {
    ($options:literal) => {
        #[global_allocator]
        static ALLOCATOR: $crate::allocator::Jemalloc = $crate::allocator::Jemalloc;

        #[unsafe(export_name = "_rjem_malloc_conf")]
        #[used]
        static OPTIONS: Option<&'static ::std::ffi::c_char> = {
            const TEXT: &str =
                concat!($options, ",prof:true,prof_active:false,lg_prof_sample:16\0");
            // SAFETY: the text lives for ever, and ends with a zero.
            Some(unsafe { &*TEXT.as_ptr().cast() })
        };
    };
}
