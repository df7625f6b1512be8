//! Cases: something is done, then something is expected of the events that tell of it.
//!
//! A case is one function: it acts on the stage and gives back what it expects of the stream. All act
//! under one run of the sensor; when that has drained, the expectations are checked.

mod argv;
mod birth;
mod connection;
mod exit;
mod expect;
mod flow;
mod place;
mod program;
mod stage;

use std::{
    ops::Range,
    panic::{self, AssertUnwindSafe},
    time::{Duration, SystemTime},
};

use anyhow::Result;

pub use stage::{Skip, Stage};

use crate::{Stream, Watch};

/// Something done and what must be told of it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Unique.
    pub name: &'static str,
    /// Whether only the probes can know.
    pub needs_probes: bool,
    act: fn(&Stage) -> Result<Expect>,
}

/// What a case expects; it is given the events of the time in which it acted.
pub type Expect = Box<dyn FnOnce(&Stream) -> Result<()>>;

/// What became of each case, by name.
pub type Verdicts = Vec<(&'static str, Verdict)>;

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Not so.
    Failed(String),
    /// Could not be tried here.
    Skipped(String),
}

impl Case {
    const fn any(name: &'static str, act: fn(&Stage) -> Result<Expect>) -> Self {
        Self { name, needs_probes: false, act }
    }

    const fn probes(name: &'static str, act: fn(&Stage) -> Result<Expect>) -> Self {
        Self { name, needs_probes: true, act }
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = Case> {
    let files = [
        argv::CASES,
        program::CASES,
        birth::CASES,
        exit::CASES,
        place::CASES,
        connection::CASES,
        flow::CASES,
    ];
    files.into_iter().flatten().copied()
}

/// Long enough for a reader of /proc to come by on a busy machine.
pub const LINGER: Duration = Duration::from_millis(150);

/// Plays all cases under one run of the sensor with this backend, `ebpf` or `cn_proc`.
pub fn run(backend: &str, linger: Duration) -> Result<Verdicts> {
    let stage = Stage::new(backend, linger)?;
    let watch = Watch::builder().backend(backend).arg("--include-loopback").start()?;
    let acted: Vec<_> = all().map(|case| Acted::now(&stage, case)).collect();
    let stream = watch.stop()?.stream()?;
    let verdict = |acted: Acted| (acted.name, judge(acted.expect, &stream.during(&acted.time)));
    Ok(acted.into_iter().map(verdict).collect())
}

/// A case that has been played, and when: a small `pid_max` gives later ones the same pids.
struct Acted {
    name: &'static str,
    expect: Result<Expect>,
    time: Range<SystemTime>,
}

impl Acted {
    fn now(stage: &Stage, case: Case) -> Self {
        let start = SystemTime::now();
        let expect = stage.play(case);
        // Clocks are carried over to one another with a margin.
        let time = start - MARGIN..SystemTime::now() + MARGIN;
        Self { name: case.name, expect, time }
    }
}

const MARGIN: Duration = Duration::from_millis(20);

fn judge(acted: Result<Expect>, stream: &Stream) -> Verdict {
    let expect = match acted {
        Ok(expect) => expect,
        Err(error) => {
            return match error.downcast::<Skip>() {
                Ok(skip) => Verdict::Skipped(skip.to_string()),
                Err(error) => Verdict::Failed(format!("could not act: {error:#}")),
            };
        }
    };
    match panic::catch_unwind(AssertUnwindSafe(|| expect(stream))) {
        Ok(Ok(())) => Verdict::Passed,
        Ok(Err(error)) => Verdict::Failed(format!("{error:#}")),
        Err(_) => Verdict::Failed("the expectation panicked".into()),
    }
}

/// A test for each case, under a backend: `wanglou_testkit::case_tests!("ebpf");`.
#[macro_export]
macro_rules! case_tests {
    ($backend:literal) => {
        $crate::case_tests! { $backend:
            plain empty_strings newlines quotes_and_escapes not_utf8 long_argument long_in_many
            many_arguments just_whole other_argv0 no_argv
            script script_of_script memfd deleted exec_from_thread five_execs failed_exec
            fork_only vfork posix_spawn orphan clone_parent same_pid small_pid_max
            exit_0 exit_3 exit_255 killed segfault terminated resources unwaited leader_leaves threads_leave
            threads_exit
            held credentials mounts chroot pid_namespace terminal
            tcp_plain tcp_v6 tcp_mapped tcp_nonblocking tcp_accept_null tcp_worker tcp_fork_server
            tcp_hand_over tcp_io_uring tcp_silent tcp_idle tcp_half_closed tcp_reset tcp_refused tcp_timed_out
            tcp_namespace
            udp_connected udp_unconnected
        }
    };
    ($backend:literal: $($name:ident)*) => {
        // All under one run, whichever of the tests comes first.
        static VERDICTS: std::sync::LazyLock<Result<$crate::cases::Verdicts, String>> =
            std::sync::LazyLock::new(|| {
                let _turn = $crate::lock::alone().map_err(|error| error.to_string())?;
                $crate::cases::run($backend, $crate::cases::LINGER).map_err(|error| format!("{error:#}"))
            });

        $(#[test]
        fn $name() {
            if $crate::root_or_skip() {
                $crate::cases::assert_passed(&VERDICTS, stringify!($name));
            }
        })*

        #[test]
        fn every_case_has_its_test() {
            let tests = [$(stringify!($name)),*];
            let cases: Vec<_> = $crate::cases::all().map(|case| case.name).collect();
            assert_eq!(cases, tests);
        }
    };
}

/// For `case_tests`: panics unless the case passed or says why it could not be tried.
pub fn assert_passed(verdicts: &Result<Verdicts, String>, name: &str) {
    let verdicts = verdicts.as_ref().unwrap_or_else(|error| panic!("the run failed: {error}"));
    match verdicts.iter().find(|(case, _)| *case == name) {
        Some((_, Verdict::Passed)) => {}
        Some((_, Verdict::Skipped(reason))) => eprintln!("skipped: {reason}"),
        Some((_, Verdict::Failed(reason))) => panic!("{reason}"),
        None => panic!("no such case"),
    }
}
