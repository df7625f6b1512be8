//! What runs inside the guests of `cargo xtask test-kernels`: init, and the checks of the sensor on
//! the kernel it finds itself on. Started as anything but pid 1 it only runs the checks.

mod checks;
mod held;
mod init;
mod report;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        Some(held::ROLE) => held::run(),
        _ if std::process::id() == 1 => init::run(),
        _ => {
            checks::run();
            ExitCode::SUCCESS
        }
    }
}
