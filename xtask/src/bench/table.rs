//! The figures as a Markdown table, and where it goes.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use rustix::system::uname;

use super::probes::Runs;
use super::tracer::{Figures, Tracer};

const BEGIN: &str = "<!-- cargo xtask bench: begin -->\n";
const END: &str = "<!-- cargo xtask bench: end -->\n";

/// What was measured, how, and on what.
pub(super) fn markdown(
    args: &super::Args,
    measured: &[(Tracer, Vec<Figures>)],
    in_kernel: &[Runs],
) -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "`cargo xtask bench --rounds {} --total {} --workers {}` on Linux {}, {processors} \
         processors. Medians over the rounds, (lowest-highest) for the time.\n\n\
         | tracer | wall, s | processes/s | of none | CPU to start, s | CPU per event, µs | \
         in kernel per event, ns | delivered | lost | peak RSS, MB | \
         of its loader, MB | PSS, MB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        args.rounds,
        args.total,
        args.workers,
        uname().release().to_string_lossy(),
    );
    let rate = |figures: &[Figures]| median_of(figures, |one| one.rate);
    let none = measured.first().map_or(f64::NAN, |(_, figures)| rate(figures));
    for ((tracer, figures), runs) in measured.iter().zip(in_kernel) {
        let walls: Vec<f64> = figures.iter().map(|one| one.wall.as_secs_f64()).collect();
        let lowest = walls.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = walls.iter().copied().fold(0.0, f64::max);
        let wall = median(&walls);
        let (rate, ratio) = (rate(figures), rate(figures) / none);
        let name = tracer.name();
        let _ = write!(
            text,
            "| {name} | {wall:.2} ({lowest:.2}-{highest:.2}) | {rate:.0} | {ratio:.3} |"
        );
        if *tracer == Tracer::Nobody {
            text.push_str(" | | | | | | | |\n");
            continue;
        }
        let start = median_of(figures, |one| one.start_cpu.as_secs_f64());
        let per_event = median_of(figures, |one| {
            one.storm_cpu.as_secs_f64() * 1e6 / one.delivered.max(1) as f64
        });
        // Every process of a storm is three events, whether they were delivered or not.
        let kernel = match runs.count {
            0 => "-".to_owned(),
            _ => format!("{:.0}", runs.ns as f64 / (3 * args.total) as f64),
        };
        let delivered = median_of(figures, |one| one.delivered as f64);
        let lost = median_of(figures, |one| one.lost as f64);
        let rss = median_of(figures, |one| one.rss_kb as f64 / 1024.0);
        let loader = median_of(figures, |one| one.loader_kb as f64 / 1024.0);
        let loader = if loader > 0.0 { format!("{loader:.1}") } else { "-".to_owned() };
        let pss = median_of(figures, |one| one.pss_kb as f64 / 1024.0);
        let _ = writeln!(
            text,
            " {start:.2} | {per_event:.2} | {kernel} | {delivered:.0} | {lost:.0} | {rss:.1} | \
             {loader} | {pss:.1} |"
        );
    }
    text
}

/// Replaces what the last run put there.
pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    let old = match fs::read_to_string(file) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{BEGIN}{END}"),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let Some((head, (_, tail))) =
        old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?)))
    else {
        bail!("{} has no place for the table: {}", file.display(), BEGIN.trim_end());
    };
    fs::write(file, format!("{head}{BEGIN}\n{text}\n{END}{tail}"))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn median_of(figures: &[Figures], what: impl Fn(&Figures) -> f64) -> f64 {
    median(&figures.iter().map(what).collect::<Vec<_>>())
}

/// The one in the middle, or between the two there; NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
