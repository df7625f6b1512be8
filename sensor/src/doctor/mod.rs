//! `wanglou-sensor doctor`: what this kernel and these rights allow, and what to do about the rest.

mod backends;
mod bpf;
mod finding;
mod rights;
mod system;

use std::io::{self, Write as _};
use std::process::ExitCode;

use finding::Finding;

/// Prints the findings and a verdict on stdout; fails if no backend would work.
pub fn run() -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for section in [system::findings(), rights::findings()] {
        write_section(&mut out, &section)?;
    }
    let (probes, found) = backends::probes();
    write_section(&mut out, &found)?;
    for program in &probes.verified {
        writeln!(out, "{program}")?;
    }
    let (cn_proc, found) = backends::cn_proc();
    writeln!(out, "{found}")?;

    let verdict = backends::verdict(probes.work, cn_proc);
    writeln!(out, "\n{verdict}")?;
    Ok(if probes.work || cn_proc { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_section(out: &mut impl io::Write, findings: &[Finding]) -> io::Result<()> {
    findings.iter().try_for_each(|finding| writeln!(out, "{finding}"))
}
