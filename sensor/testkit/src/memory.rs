//! Samples the resident memory of a process and its children while they live.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::proc;

const EVERY: Duration = Duration::from_millis(20);

/// Resident memory in kB.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The most that the kernel saw of the process itself (`VmHWM`).
    pub peak_kb: u64,
    /// The most that the process and its children had together, as sampled (`VmRSS`).
    pub tree_peak_kb: u64,
    /// The most of each child (`VmHWM`), such as the loader.
    pub children_kb: BTreeMap<u32, u64>,
    /// When, since the start, the process itself had how much (`VmRSS`).
    pub samples: Vec<(Duration, u64)>,
}

/// Samples until dropped or finished.
#[derive(Debug)]
pub(crate) struct Sampler {
    memory: Arc<Mutex<Memory>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    pub(crate) fn start(pid: u32) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (memory, stop, start) = (memory.clone(), stop.clone(), Instant::now());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    memory.lock().expect("no panic while held").sample(pid, start.elapsed());
                    thread::sleep(EVERY);
                }
            }
        });
        Self { memory, stop, thread: Some(thread) }
    }

    pub(crate) fn so_far(&self) -> Memory {
        self.memory.lock().expect("no panic while held").clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only reads files: nothing in it that would be worth a second panic.
            let _ = thread.join();
        }
    }
}

impl Memory {
    fn sample(&mut self, pid: u32, at: Duration) {
        let Some(now) = proc::status_kb(pid, "VmRSS:") else { return };
        self.samples.push((at, now));
        self.peak_kb = self.peak_kb.max(proc::status_kb(pid, "VmHWM:").unwrap_or_default());
        let mut tree = now;
        for child in proc::children(pid) {
            tree += proc::status_kb(child, "VmRSS:").unwrap_or_default();
            let peak = proc::status_kb(child, "VmHWM:").unwrap_or_default();
            let known = self.children_kb.entry(child).or_default();
            *known = peak.max(*known);
        }
        self.tree_peak_kb = self.tree_peak_kb.max(tree);
    }

    /// The most at any sample in a span of time since the start.
    pub fn most_between(&self, from: Duration, to: Duration) -> u64 {
        let within = self.samples.iter().filter(|(at, _)| (from..to).contains(at));
        within.map(|&(_, kb)| kb).max().unwrap_or_default()
    }
}
