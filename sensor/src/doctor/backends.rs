//! Both backends, tried.

use super::finding::{self, Finding};
use crate::cn_proc::CnProc;
use crate::kernel::{self, ProgramStatus};

/// Whether probes work, and what the verifier had to walk.
pub(super) struct Probes {
    pub(super) work: bool,
    pub(super) verified: Vec<String>,
}

/// Loads and attaches every program, and lets them go.
pub(super) fn probes() -> (Probes, Vec<Finding>) {
    match kernel::survey() {
        Ok(programs) => {
            let verified = programs.iter().filter_map(|program| {
                let (name, verified) = (program.name, program.verified?);
                Some(format!("program {name}: {verified} verified instructions"))
            });
            let found = programs.iter().map(program).collect();
            (Probes { work: true, verified: verified.collect() }, found)
        }
        Err(error) => {
            let found = Finding::bad("probes", finding::reason(&error), "cn_proc serves if it can");
            (Probes { work: false, verified: Vec::new() }, vec![found])
        }
    }
}

fn program(program: &ProgramStatus) -> Finding {
    let name = format!("probe: {}", program.name);
    match (&program.missing, program.instead) {
        (None, _) => Finding::good(name, &program.hook),
        (Some(reason), Some(instead)) => {
            Finding::less(name, format!("{}: {}", program.hook, finding::reason(reason)), instead)
        }
        (Some(reason), None) => {
            Finding::bad(name, format!("{}: {reason}", program.hook), "cn_proc serves if it can")
        }
    }
}

/// Listens to the process connector, and stops.
pub(super) fn cn_proc() -> (bool, Finding) {
    match CnProc::start() {
        Ok(_) => (true, Finding::good("cn_proc", "the kernel reports processes over netlink")),
        Err(error) => {
            let error = finding::reason(&error);
            let reason = error.strip_prefix("cn_proc: ").unwrap_or(&error);
            (false, Finding::bad("cn_proc", reason, "not needed where the probes work"))
        }
    }
}

pub(super) fn verdict(probes: bool, cn_proc: bool) -> &'static str {
    match (probes, cn_proc) {
        (true, _) => "`wanglou-sensor watch` takes ebpf here",
        (false, true) => "`wanglou-sensor watch` takes cn_proc here: ebpf does not work, see above",
        (false, false) => "no backend works here: see above what to do about either",
    }
}
