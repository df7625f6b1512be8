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
    mut load: impl FnMut() -> Result<f64>,
) -> Result<f64> {
    println!("| pair | {unit} without | with | cost |\n| --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        // Which comes first alternates: a machine that grows slower must not look like a cost.
        let (without, with) = if pair % 2 == 0 {
            let with = watched(&mut load)?;
            (load()?, with)
        } else {
            (load()?, watched(&mut load)?)
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

fn watched(load: &mut impl FnMut() -> Result<f64>) -> Result<f64> {
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let figure = load()?;
    watch.stop()?;
    Ok(figure)
}
