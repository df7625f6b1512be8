//! The checks, from "does it start" to "is every field right".

mod budget;
mod cases;
pub(crate) mod clock;
mod container;
mod credentials;
mod doctor;
mod fields;
mod known;
mod locked;
mod ready;
mod storm;

use rustix::system::uname;
use serde_json::json;

use wanglou_testkit::rules;

use crate::report::{self, Verdict, check};

/// Runs all of them, each failing for itself.
pub(crate) fn run() {
    report::line(&json!({"release": uname().release().to_string_lossy()}));
    let doctor = doctor::run();
    budget::run(&doctor);
    let backends: &[&str] = if locked::is_it() {
        locked::run(&doctor);
        &["cn_proc"]
    } else {
        &["ebpf", "cn_proc"]
    };
    for backend in backends {
        check(&format!("{backend}: ready"), "", || ready::run(backend));
        known::run(backend);
        check(&format!("{backend}: change of user"), "", || credentials::run(backend));
        check(&format!("{backend}: container"), "", || container::run(backend));
        cases::run(backend);
        check(&format!("{backend}: storm of {}", storm::TOTAL), "", || storm::run(backend));
    }
    if backends.contains(&"ebpf") {
        check("ebpf: a clock that jumps", "", || clock::run("ebpf"));
        check("ebpf: rules of connections", "", || {
            rules::decide("ebpf").map(|()| Verdict::Passed(String::new()))
        });
    }
    report::line(&json!({"end": true}));
}
