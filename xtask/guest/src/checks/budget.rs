//! No program may need more of the verifier than it is allowed: sensors have been broken by stable
//! kernel updates that made the verifier walk further, and a budget shows how near that is.

use anyhow::{Result, bail};

use crate::report::{Verdict, passed, tell, tell_as};

/// `<program> <instructions>` a line.
const BUDGET: &str = include_str!("../../budget.txt");
const GROUP: &str = "verified instructions";

/// One check for each program that the doctor could load.
pub(crate) fn run(doctor: &str) {
    let used: Vec<(&str, u64)> = doctor.lines().filter_map(measured).collect();
    if used.is_empty() {
        let why = "the kernel tells from 5.16 on, of programs that it takes";
        tell(GROUP, "", Ok(Verdict::Absent(why.to_owned())));
    }
    for (name, instructions) in used {
        let group = format!("{GROUP}: {name}");
        tell_as(&instructions.to_string(), &group, within_budget(name, instructions));
    }
}

fn within_budget(program: &str, instructions: u64) -> Result<Verdict> {
    let budget = BUDGET.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (name, most) = line.split_once(' ')?;
        if name == program { most.trim().parse::<u64>().ok() } else { None }
    });
    match budget {
        None => bail!("{program} has no budget in xtask/guest/budget.txt"),
        Some(most) if instructions > most => {
            bail!("{program} needs {instructions} verified instructions, its budget is {most}")
        }
        Some(_) => passed(),
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
