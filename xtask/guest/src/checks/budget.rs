//! No program may need more of the verifier than it is allowed: sensors have been broken by stable
//! kernel updates that made the verifier walk further, and a budget shows how near that is.

use anyhow::{Result, bail};

use crate::report::{Verdict, check};

/// `<program> <instructions>` a line.
const BUDGET: &str = include_str!("../../budget.txt");

/// One check for each program that the doctor could load.
pub(crate) fn run(doctor: &str) {
    check("verified instructions", "", || {
        let used: Vec<(&str, u64)> = doctor.lines().filter_map(measured).collect();
        if used.is_empty() {
            return Ok(Verdict::Absent("the doctor tells none (the kernel does from 5.16)".into()));
        }
        let shown: Vec<String> = used.iter().map(|(name, n)| format!("{name} {n}")).collect();
        for (name, instructions) in used {
            within_budget(name, instructions)?;
        }
        Ok(Verdict::Passed(shown.join(", ")))
    });
}

fn within_budget(program: &str, instructions: u64) -> Result<()> {
    let budget = BUDGET.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (name, most) = line.split_once(' ')?;
        if name == program { most.trim().parse::<u64>().ok() } else { None }
    });
    match budget {
        None => bail!("{program} has no budget in xtask/guest/budget.txt"),
        Some(most) if instructions > most => {
            bail!("{program} needs {instructions} verified instructions, its budget is {most}")
        }
        Some(_) => Ok(()),
    }
}

/// Reads `program <name>: <n> verified instructions`.
fn measured(line: &str) -> Option<(&str, u64)> {
    let (_, rest) = line.split_once("program ")?;
    let (name, rest) = rest.split_once(':')?;
    let (number, what) = rest.trim().split_once(' ')?;
    if what.starts_with("verified instructions") {
        Some((name.trim(), number.parse().ok()?))
    } else {
        None
    }
}
