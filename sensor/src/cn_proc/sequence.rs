//! Exact losses: the kernel numbers the messages of each CPU, whatever their kind, before it tries
//! to deliver them (`send_msg`, `drivers/connector/cn_proc.c`).
//!
//! A loss shows in the next message of that CPU that arrives. [`sound`] makes one come from each
//! CPU, so that there is a first number to count from and no loss stays at the end, unseen.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_name};

/// What number each CPU is expected to send next.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    next: Vec<Option<u32>>,
}

/// More CPUs than any kernel supports.
const CPUS: usize = 1 << 16;

impl Sequences {
    /// Takes the number of a message that arrived; says how many before it did not.
    pub(super) fn note(&mut self, cpu: u32, sequence: u32) -> u32 {
        let Ok(cpu) = usize::try_from(cpu) else { return 0 };
        if cpu >= CPUS {
            return 0;
        }
        if cpu >= self.next.len() {
            self.next.resize(cpu + 1, None);
        }
        let missing = self.next[cpu].map_or(0, |expected| sequence.wrapping_sub(expected));
        self.next[cpu] = Some(sequence.wrapping_add(1));
        // A number from before cannot be a loss of billions: the count began anew.
        if missing > u32::MAX / 2 { 0 } else { missing }
    }
}

/// Has each CPU that this program may use send a message: a thread goes from one to the next and
/// gives itself a name, which the connector reports. A CPU that it may not use stays silent.
pub(super) fn sound() {
    let sounding = std::thread::Builder::new().name("sounding".into()).spawn(|| {
        let Ok(allowed) = sched_getaffinity(None) else { return };
        for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)) {
            let mut only = CpuSet::new();
            only.set(cpu);
            if sched_setaffinity(None, &only).is_ok() {
                let _ = set_name(c"sounding");
            }
        }
    });
    if let Ok(thread) = sounding {
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_number_of_a_cpu_is_no_loss() {
        let mut sequences = Sequences::default();
        assert_eq!(sequences.note(3, 1000), 0);
        assert_eq!(sequences.note(0, 7), 0);
        assert_eq!(sequences.note(3, 1003), 2);
        assert_eq!(sequences.note(u32::MAX, 9), 0);
    }

    proptest! {
        #[test]
        fn counts_what_is_missing_across_the_wrap(
            first: u32,
            arrives in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let mut sequences = Sequences::default();
            sequences.note(1, first);
            let mut counted = 0;
            let mut last = 0;
            for (n, _) in arrives.iter().enumerate().filter(|&(_, &arrives)| arrives) {
                last = n + 1;
                counted += sequences.note(1, first.wrapping_add(last as u32));
            }
            let missing = arrives[..last].iter().filter(|&&arrives| !arrives).count();
            prop_assert_eq!(counted as usize, missing);
        }
    }
}
