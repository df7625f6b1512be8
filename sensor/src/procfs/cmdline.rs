//! /proc/PID/cmdline: the arguments as they lie in the process's memory now, each ended by a NUL.
//!
//! A process may have written over them (`setproctitle`): then this is what it wants to be seen,
//! and the NULs with which such programs fill what is left read as empty arguments. Nothing tells
//! them from real ones, so they are kept.

use wanglou_sensor_common::{ARGS_MAX, ARGS_TAIL};

use crate::observation::Args;

/// Keeps the first and the last bytes of arguments of any length, in a buffer of fixed size.
///
/// ```text
/// |<------ ARGS_MAX - ARGS_TAIL ------>|<-- ARGS_TAIL -->|
/// | head                               | more head, or, once more than that has come, the tail
/// ```
pub struct Cmdline {
    kept: Box<[u8; ARGS_MAX]>,
    bytes: u64,
    count: u64,
    last: u8,
}

const HEAD: usize = ARGS_MAX - ARGS_TAIL;

impl Default for Cmdline {
    fn default() -> Self {
        Self { kept: Box::new([0; ARGS_MAX]), bytes: 0, count: 0, last: 0 }
    }
}

impl Cmdline {
    /// Forgets the process before.
    pub fn clear(&mut self) {
        self.bytes = 0;
        self.count = 0;
        self.last = 0;
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, chunk: &[u8]) {
        let Some(&last) = chunk.last() else { return };
        self.last = last;
        self.count += chunk.iter().filter(|&&byte| byte == 0).count() as u64;

        let kept = usize::try_from(self.bytes).unwrap_or(ARGS_MAX).min(ARGS_MAX);
        self.bytes += chunk.len() as u64;
        let (fits, rest) = chunk.split_at(chunk.len().min(ARGS_MAX - kept));
        self.kept[kept..kept + fits.len()].copy_from_slice(fits);
        if rest.is_empty() {
            return;
        }
        let rest = &rest[rest.len().saturating_sub(ARGS_TAIL)..];
        self.kept.copy_within(HEAD + rest.len().., HEAD);
        self.kept[ARGS_MAX - rest.len()..].copy_from_slice(rest);
    }

    /// What was kept; `None` if the file was empty, as it is for kernel threads and zombies.
    pub fn args(&self) -> Option<Args<'_>> {
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let (head, tail) = match bytes {
            0 => return None,
            all if all <= ARGS_MAX => (&self.kept[..all], &[][..]),
            _ => self.kept.split_at(HEAD),
        };
        // A title that fills the whole area has lost its last NUL.
        let count = self.count + u64::from(self.last != 0);
        Some(Args { head, tail, bytes: self.bytes, count: Some(count) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(bytes: &[u8], chunk: usize) -> Cmdline {
        let mut cmdline = Cmdline::default();
        bytes.chunks(chunk).for_each(|chunk| cmdline.push(chunk));
        cmdline
    }

    #[test]
    fn an_empty_last_argument_counts() {
        let cmdline = feed(b"a\0\0", 3);
        let args = cmdline.args().expect("arguments");
        assert_eq!((args.head, args.bytes, args.count), (&b"a\0\0"[..], 3, Some(2)));
    }

    #[test]
    fn a_title_without_a_nul_is_one_argument() {
        assert_eq!(feed(b"nginx: master", 4).args().and_then(|args| args.count), Some(1));
    }

    #[test]
    fn no_bytes_are_no_arguments() {
        assert!(feed(b"", 1).args().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn head_and_tail_are_those_of_the_whole(
            bytes in prop::collection::vec(0u8..4, 0..3 * ARGS_MAX),
            chunk in 1usize..2 * ARGS_MAX,
        ) {
            let mut cmdline = feed(b"someone else's\0", 15);
            cmdline.clear();
            bytes.chunks(chunk).for_each(|chunk| cmdline.push(chunk));
            let args = cmdline.args().unwrap_or_default();
            prop_assert_eq!(args.bytes, bytes.len() as u64);
            if bytes.len() <= ARGS_MAX {
                prop_assert_eq!(args.head, &bytes[..]);
                prop_assert!(args.tail.is_empty());
            } else {
                prop_assert_eq!(args.head, &bytes[..HEAD]);
                prop_assert_eq!(args.tail, &bytes[bytes.len() - ARGS_TAIL..]);
            }
        }
    }
}
