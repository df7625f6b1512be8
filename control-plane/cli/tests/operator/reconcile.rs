//! The books of runs, told to operators.

use unicode_width::UnicodeWidthStr as _;
use wanglou_api::fleet::v1::run_balance::State;
use wanglou_api::fleet::v1::{MissingBatches, ReconcileRunsResponse, RunBalance};
use wanglou_api::sensor::v1::{ActionCounts, RunId};

use crate::bench::{Bench, Terminal};
use crate::script::Script;

fn run_of(host: &str, state: State) -> RunBalance {
    let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let lost = ActionCounts { counts: [("fork".to_owned(), 40)].into() };
    RunBalance {
        host: host.to_owned(),
        run: Some(RunId {
            boot_id: "1d0f6a52-3c1e-4a53-9c4f-0d9d3f8b6f10".to_owned(),
            run_id: 8_123_456_789_012,
        }),
        state: state.into(),
        produced: [("exec".to_owned(), 1_000), ("fork".to_owned(), 500)].into(),
        stored: [("exec".to_owned(), 1_000), ("fork".to_owned(), 460)].into(),
        lost: [("ring_full".to_owned(), lost)].into(),
        last_number: 17,
        first_event_time: moment(1_796_032_800),
        last_event_time: moment(1_796_033_112),
        ..RunBalance::default()
    }
}

fn unbalanced(host: &str) -> RunBalance {
    let missing = |first_number, last_number| MissingBatches {
        first_number,
        last_number,
        ..MissingBatches::default()
    };
    RunBalance {
        stored: [("exec".to_owned(), 988), ("fork".to_owned(), 457)].into(),
        unexplained: [("exec".to_owned(), 12), ("fork".to_owned(), 3)].into(),
        missing: vec![missing(7, 9), missing(12, 12)],
        reason: "batches are missing".to_owned(),
        ..run_of(host, State::Unbalanced)
    }
}

fn script(runs: Vec<RunBalance>) -> Script {
    let of = |state| runs.iter().filter(|run| run.state() == state).count() as u64;
    let last = ReconcileRunsResponse {
        complete: true,
        runs_balanced: of(State::Balanced),
        runs_open: of(State::Open),
        runs_unbalanced: of(State::Unbalanced),
        ..ReconcileRunsResponse::default()
    };
    let first = ReconcileRunsResponse { runs, ..ReconcileRunsResponse::default() };
    Script { runs: vec![vec![first, last]].into(), ..Script::default() }
}

#[test]
fn it_is_said_plainly_that_nothing_is_missing() {
    let bench = Bench::new();
    let runs = vec![run_of("web-1", State::Balanced), run_of("web-2", State::Open)];
    let replica = bench.replica(script(runs));
    let ran = bench.run(&replica, &["reconcile"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(
        ran.out,
        "2 runs: 1 balanced, 1 open\n3,000 events produced: 2,920 stored, 80 lost (ring_full 80)\nnothing is missing\n"
    );
}

#[test]
fn each_run_that_does_not_balance_has_a_line_that_fits() {
    let bench = Bench::new();
    for columns in [80, 160] {
        let runs = vec![
            unbalanced("web-2.berlin.example.net"),
            unbalanced("a"),
            run_of("b", State::Balanced),
        ];
        let replica = bench.replica(script(runs));
        let mut command = bench.command(&[replica.endpoint()], &["reconcile"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(command, columns, 24);
        let (code, shown) = terminal.end();
        println!("{shown}");
        assert_eq!(code, Some(1));
        let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
        assert_eq!(lines.len(), 5, "{shown}");
        assert!(lines[..4].iter().all(|line| line.width() <= columns.into()), "{shown}");
        assert!(lines[2].contains("exec 12, fork 3") && lines[2].contains("7-9, 12"), "{shown}");
        assert_eq!(lines[3], "3 runs: 1 balanced, 2 unbalanced");
        assert!(lines[4].ends_with("30 missing"), "{shown}");
    }
}

#[test]
fn only_those_that_do_not_balance_are_asked_for() {
    let bench = Bench::new();
    let mut script = script(vec![unbalanced("a")]);
    script.runs[0][1].runs_balanced = 12;
    let replica = bench.replica(script);
    let ran = bench.run(&replica, &["reconcile", "--host", "a", "--unbalanced"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.ends_with("13 runs: 12 balanced, 1 unbalanced\nof those that do not balance: 1,500 events produced: 1,445 stored, 40 lost (ring_full 40), 15 missing\n"),
        "{}",
        ran.out
    );
    let heard = replica.heard();
    let request = heard.reconciled.first().expect("a request");
    assert!(request.unbalanced_only && request.hosts == ["a"]);
}

#[test]
fn programs_get_every_run_and_a_last_object() {
    let bench = Bench::new();
    let replica = bench.replica(script(vec![unbalanced("a"), run_of("b", State::Open)]));
    let ran = bench.run(&replica, &["reconcile", "--output", "json"]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["state"], "unbalanced");
    assert_eq!(lines[0]["run"]["run_id"], 8_123_456_789_012u64);
    assert_eq!(lines[0]["missing"][0]["last_number"], 9);
    assert_eq!(lines[1]["lost"]["ring_full"]["fork"], 40);
    assert_eq!(lines[2]["complete"], true);
    assert_eq!(lines[2]["runs_open"], 1);
}

#[test]
fn a_check_of_nothing_or_of_a_part_is_no_success() {
    let bench = Bench::new();
    let replica = bench.replica(script(Vec::new()));
    let ran = bench.run(&replica, &["reconcile", "--host", "wbe-1"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "no runs\n"));
    assert!(ran.err.contains("no run is known, so nothing was checked"), "{}", ran.err);
    let mut script = script(vec![run_of("b", State::Open)]);
    script.runs[0].pop();
    script.runs.push_back(Vec::new());
    let replica = bench.replica(script);
    let ran = bench.run(&replica, &["reconcile"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("it ended before all runs were told of"), "{}", ran.err);
}
