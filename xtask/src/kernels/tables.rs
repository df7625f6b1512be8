//! Tables of checks by kernel, in Markdown.

use std::fmt::Write as _;

use super::report::Report;

/// Rows of a table of their own: what they begin with, what it is about.
const TABLES: [(&str, &str); 2] = [
    ("probe: ", "Where each probe hangs"),
    (INSTRUCTIONS, "How many instructions the verifier walked (the kernel tells from 5.16 on)"),
];
const INSTRUCTIONS: &str = "verified instructions: ";

/// Not what depends on something else as well: numbers of instructions on the compiler (they have budgets), and what
/// the doctor says on the machine, such as its clock.
pub(super) fn is_compared(row: &str) -> bool {
    !row.starts_with(INSTRUCTIONS) && ![RELEASE, "doctor"].contains(&row)
}

const RELEASE: &str = "release";

/// Markdown: tables of rows by kernel, then what is not there and why, then what failed.
pub(super) fn document(reports: &[Report]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for group in reports.iter().flat_map(Report::groups) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let in_a_table = |group: &&str| TABLES.iter().any(|(prefix, _)| group.starts_with(prefix));
    let (of_tables, others): (Vec<&str>, Vec<&str>) = groups.into_iter().partition(in_a_table);

    let mut text = String::from("\n");
    let releases = reports.iter().map(|report| report.release.clone());
    text += &table(reports, "check", Some(releases.collect()), &others);
    for (prefix, about) in TABLES {
        let rows = of_tables.iter().filter(|group| group.starts_with(prefix)).copied();
        let _ = writeln!(text, "\n{about}:\n");
        text += &table(reports, "program", None, &rows.collect::<Vec<_>>());
    }
    for report in reports {
        let shortcomings = report.shortcomings();
        if !shortcomings.is_empty() {
            let _ = writeln!(text, "\nOn {}:\n", report.kernel);
        }
        for line in shortcomings {
            let _ = writeln!(text, "- {line}");
        }
    }
    text.push('\n');
    text
}

fn table(reports: &[Report], what: &str, releases: Option<Vec<String>>, groups: &[&str]) -> String {
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let kernels = reports.iter().map(|report| report.kernel.clone());
    let mut rows = vec![row(what, kernels.collect())];
    rows.extend(releases.map(|releases| row(RELEASE, releases)));
    for group in groups {
        rows.push(row(group, reports.iter().map(|report| report.cell(group)).collect()));
    }
    aligned(&rows)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "| {} ", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
}
