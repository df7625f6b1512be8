//! The same work with and without the sensor, in pairs: each ratio is between neighbours in time.

use anyhow::Result;
use wanglou_testkit::Watch;

use super::table::median;

/// Whether the figure of a load is a cost or a yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Lower,
    Higher,
}

/// Measures so many pairs; prints each and the median of their ratios, in which more than 1 is what
/// the sensor costs.
pub(super) fn compare(
    pairs: usize,
    unit: &str,
    better: Better,
    load: impl FnMut() -> Result<f64>,
) -> Result<f64> {
    let watch = || Watch::builder().backend("ebpf").arg("--include-loopback").start();
    compare_beside(pairs, unit, better, load, watch, |watch| watch.stop().map(drop))
}

/// The same beside anything that begins and ends.
pub(super) fn compare_beside<T>(
    pairs: usize,
    unit: &str,
    better: Better,
    mut load: impl FnMut() -> Result<f64>,
    mut begin: impl FnMut() -> Result<T>,
    mut end: impl FnMut(T) -> Result<()>,
) -> Result<f64> {
    let mut beside = |load: &mut dyn FnMut() -> Result<f64>| {
        let it = begin()?;
        let figure = load()?;
        end(it)?;
        Ok::<_, anyhow::Error>(figure)
    };
    println!("| pair | {unit} without | with | cost |\n| --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        // Which comes first alternates: a machine that grows slower must not look like a cost.
        let (without, with) = if pair % 2 == 0 {
            let with = beside(&mut load)?;
            (load()?, with)
        } else {
            (load()?, beside(&mut load)?)
        };
        let ratio = match better {
            Better::Lower => with / without,
            Better::Higher => without / with,
        };
        println!("| {pair} | {without:.1} | {with:.1} | {ratio:.3} |");
        ratios.push(ratio);
    }
    let median = median(&ratios);
    println!("\nmedian {median:.3}\n");
    Ok(median)
}
