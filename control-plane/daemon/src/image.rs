//! The program's own file in memory.

use std::ffi::{c_int, c_void};
use std::ptr;

use rustix::mm::{Advice, madvise};

/// Gives the pages of the program's code and constants back, after what is done seldom or once; what is
/// needed again comes from the page cache. A third of a worker's memory, and more of a supervisor's, is the
/// code of their beginning.
pub fn give_back() {
    // SAFETY: the callback takes no data, and does not unwind.
    unsafe { libc::dl_iterate_phdr(Some(give_back_object), ptr::null_mut()) };
}

/// Of one object in memory: the program is the first.
unsafe extern "C" fn give_back_object(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: `dl_iterate_phdr(3)` hands us a valid object with so many headers, for as long as we look.
    let (object, headers) = unsafe {
        let object = &*object;
        (object, std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)))
    };
    let page = rustix::param::page_size() as u64;
    for header in headers {
        // What was never writable is the same in the file.
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let begin = (object.dlpi_addr + header.p_vaddr).next_multiple_of(page);
        let end = (object.dlpi_addr + header.p_vaddr + header.p_memsz) / page * page;
        let bytes = end.saturating_sub(begin) as usize;
        // SAFETY: whole pages of a private mapping of a file that nobody has written to: the next use
        // reads the same from the file. A failure leaves all as it is.
        let _ = unsafe { madvise(begin as *mut c_void, bytes, Advice::LinuxDontNeed) };
    }
    // The first is all.
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_still_there() {
        let text = "this is a constant of the program";
        give_back();
        assert_eq!(text.len(), 33);
        assert_eq!(std::hint::black_box(i32::abs)(-1), 1);
    }
}
