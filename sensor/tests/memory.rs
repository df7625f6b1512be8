//! The resident set stays small and flat, however many processes come and go.

use anyhow::{Result, ensure};
use wanglou_testkit::{Watch, field, lock, root_or_skip, storm};

/// What the leanest peer needs at rest.
const LIMIT_KB: u64 = 12 * 1024;
/// What may come and go with the allocator's mood.
const FLAT_KB: u64 = 512;

#[test]
fn the_resident_set_is_small_and_flat() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().backend("ebpf").start()?;
    // Tables fill, and every path of the program has run, the ledger's among them.
    storm::run(15_000, 2)?;
    watch.wait_for("a ledger", |event| field(event, "wanglou.ledger").is_some())?;
    let began = watch.age();
    storm::run(12_000, 2)?;
    let half = watch.age();
    storm::run(12_000, 2)?;
    let over = watch.age();
    let memory = watch.stop()?.memory;

    let (first, second) = (memory.most_between(began, half), memory.most_between(half, over));
    println!(
        "VmRSS: first storm {first} kB, second {second} kB; peak {} kB, with children {} kB {:?}",
        memory.peak_kb, memory.tree_peak_kb, memory.children_kb
    );
    ensure!(first > 0 && second > 0, "no sample was taken");
    ensure!(memory.peak_kb <= LIMIT_KB, "{} kB resident at the peak", memory.peak_kb);
    ensure!(second <= first + FLAT_KB, "memory grows: {first} kB, then {second} kB");
    Ok(())
}
