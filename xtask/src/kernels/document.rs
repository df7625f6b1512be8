//! The tables in docs/kernels.md: written when all kernels have been run, compared with what a run has found.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::kernel::{ALL, Kernel};
use super::report::Report;
use super::tables;
use crate::tally::Tally;
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- Written by `cargo xtask test-kernels all --write`. -->\n";
const END: &str = "<!-- Up to here. -->\n";

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root.join("docs/kernels.md")
}

/// Puts what was found into the document.
pub(super) fn write(workspace: &Workspace, reports: &[Report]) -> Result<()> {
    ensure!(reports.len() == ALL.len(), "--write wants all kernels: one table shows all of them");
    let missing = reports.iter().find(|report| report.release.is_empty());
    ensure!(missing.is_none(), "nothing is written, as one of the kernels could not be booted");
    let path = path(workspace);
    let text = fs::read_to_string(&path)?;
    let (before, _, after) = parts(&text)?;
    let text = format!("{before}{BEGIN}{}{END}{after}", tables::document(reports));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// One passed or failed for each kernel that was booted and is anywhere the same: what this machine runs is its own.
pub(super) fn compare(workspace: &Workspace, reports: &[Report]) -> Result<Tally> {
    let text = fs::read_to_string(path(workspace))?;
    let written = Cells::of(parts(&text)?.1);
    let mut tally = Tally::default();
    let is_to_be_compared =
        |report: &&Report| report.kernel != Kernel::Native.name() && !report.release.is_empty();
    for report in reports.iter().filter(is_to_be_compared) {
        let differences = written.differences(report);
        for (row, is, was) in &differences {
            eprintln!(
                "xtask: docs/kernels.md: {}: {row}: written is {was:?}, found was {is:?}: if that is right, \
                 cargo xtask test-kernels all --write",
                report.kernel
            );
        }
        if differences.is_empty() {
            tally.passed += 1;
        } else {
            tally.failed += 1;
        }
    }
    Ok(tally)
}

/// Before the tables, the tables, and after them.
fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let missing = "docs/kernels.md has no place for the tables";
    let (before, rest) = text.split_once(BEGIN).context(missing)?;
    let (tables, after) = rest.split_once(END).context(missing)?;
    Ok((before, tables, after))
}

/// What is written: kernel, row, cell.
struct Cells<'a>(Vec<(&'a str, &'a str, &'a str)>);

impl<'a> Cells<'a> {
    /// Of all tables; the first row of each names the kernels.
    fn of(tables: &'a str) -> Self {
        let mut cells = Vec::new();
        let mut head: Vec<&str> = Vec::new();
        for line in tables.lines() {
            let Some(row) = line.strip_prefix('|') else {
                head.clear();
                continue;
            };
            let row: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
            if head.is_empty() {
                head = row;
                continue;
            }
            let Some((name, values)) = row.split_first() else { continue };
            if name.starts_with("--") {
                continue;
            }
            cells
                .extend(head[1..].iter().zip(values).map(|(kernel, cell)| (*kernel, *name, *cell)));
        }
        Self(cells)
    }

    /// Row, what was found, what is written.
    fn differences(&self, report: &Report) -> Vec<(String, String, String)> {
        let of_it = |(kernel, row, cell): &(&str, &str, &str)| {
            (*kernel == report.kernel && !cell.is_empty())
                .then(|| (row.to_string(), cell.to_string()))
        };
        let mut written: Vec<_> = self.0.iter().filter_map(of_it).collect();
        written.retain(|(row, _)| tables::is_compared(row));
        let mut differences = Vec::new();
        for row in report.groups().into_iter().filter(|row| tables::is_compared(row)) {
            let found = report.cell(row);
            let at = written.iter().position(|(name, _)| name == row);
            let was = at.map(|at| written.remove(at).1).unwrap_or_default();
            if found != was {
                differences.push((row.to_owned(), found, was));
            }
        }
        differences.extend(written.into_iter().map(|(row, was)| (row, String::new(), was)));
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 3] = [
        r#"@wanglou {"group":"probe: exec","check":"","outcome":"passed","detail":"","cell":"tp_btf/x"}"#,
        r#"@wanglou {"group":"ebpf: ready","check":"","outcome":"passed","detail":"after 9 ms"}"#,
        r#"@wanglou {"group":"verified instructions: exec","check":"","outcome":"passed","detail":"","cell":"7"}"#,
    ];

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::new("5.10");
        for line in lines {
            assert!(report.line(line).is_some(), "{line}");
        }
        report
    }

    #[test]
    fn what_was_written_is_found_again() {
        let found = report(&LINES);
        let text = tables::document(std::slice::from_ref(&found));
        assert_eq!(Cells::of(&text).differences(&found), []);
    }

    #[test]
    fn what_is_else_is_told() {
        let text = tables::document(&[report(&LINES)]);
        let other = LINES[0].replace("tp_btf/x", "kprobe/x");
        let of = |was: &str, is: &str| ("probe: exec".to_owned(), is.to_owned(), was.to_owned());
        let cells = Cells::of(&text);
        // Numbers of instructions change with the compiler, and have a budget.
        let more = LINES[2].replace('7', "8");
        assert_eq!(
            cells.differences(&report(&[&other, LINES[1], &more])),
            [of("tp_btf/x", "kprobe/x")]
        );
        // One that is not made any more is as bad as one that fails.
        assert_eq!(cells.differences(&report(&LINES[1..])), [of("tp_btf/x", "")]);
    }
}
