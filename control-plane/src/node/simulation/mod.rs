//! A fleet on a clock of our own: the real node against a model of etcd, with hosts, replicas and networks that fail in all
//! the ways we know. A seed says all that happens, and the same seed says the same.
//!
//! ```text
//! world    begins it all, and has time pass     etcd     the model, and the way to it
//! replica  the real node                        faults   what goes wrong with both
//! machine  a host, or its twin                  link     its stream to a replica
//! truth    what is so                           check    what replicas say of it        trace   what happened
//! ```

mod check;
mod etcd;
mod faults;
mod link;
mod machine;
mod replica;
mod trace;
mod truth;
mod world;

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use tokio::runtime::Builder;

use etcd::Lie;
use world::World;

use crate::clock;
use crate::journal::Journal;

/// Seeds of an ordinary test, and of a long one.
const SOME: u64 = 60;
const MANY: u64 = 2_000;

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a seed: how many lines its trace has and a figure for them, or what was found and why.
fn run(seed: u64, lie: Option<Lie>) -> Result<(usize, u64), String> {
    let state = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(state.path()).expect("a journal");
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        clock::begin();
        let mut random = Rng::with_seed(seed);
        let world = World::new(&mut random, &journal, lie);
        let ran = world.run(&mut random).await;
        ran.map(|()| world.trace.figure())
            .map_err(|finding| format!("seed {seed}: {finding}\n{}", world.trace.of(&finding.host)))
    })
}

/// All of these, or the one that `WANGLOU_SEED` says.
fn run_all(seeds: Range<u64>) {
    let one = std::env::var("WANGLOU_SEED").map(|seed| seed.parse().expect("a number"));
    let seeds = one.map_or(seeds, |seed: u64| seed..seed + 1);
    let found: Vec<_> = seeds.filter_map(|seed| run(seed, None).err()).collect();
    let Some(first) = found.first() else { return };
    let all: Vec<_> = found.iter().filter_map(|it| it.lines().next()).collect();
    panic!("{}\n\nthe first:\n{first}", all.join("\n"));
}

#[test]
fn what_replicas_say_of_hosts_is_true_whatever_happens() {
    run_all(0..SOME);
}

#[test]
#[ignore = "takes minutes"]
fn what_replicas_say_of_hosts_is_true_whatever_happens_thousands_of_times() {
    run_all(SOME..SOME + MANY);
}

#[test]
fn a_seed_says_all_that_happens() {
    for seed in 0..3 {
        assert_eq!(run(seed, None), run(seed, None));
    }
}

#[test]
fn an_etcd_that_lies_is_found_out() {
    for lie in [Lie::ComparesNothing, Lie::DeletesNothing, Lie::ForgetsChanges] {
        let found = (0..2 * SOME).find_map(|seed| run(seed, Some(lie)).err());
        println!("{lie:?}: {}", found.as_deref().unwrap_or_default());
        assert!(found.is_some(), "{lie:?} is not seen");
    }
}
