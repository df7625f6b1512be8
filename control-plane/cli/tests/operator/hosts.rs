//! The list of hosts, once and live.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use wanglou_api::fleet::v1::host::State;
use wanglou_api::fleet::v1::{Host, WatchHostsResponse};
use wanglou_api::sensor::v1::heartbeat::State as WorkerState;
use wanglou_api::sensor::v1::{Breaker, Heartbeat, Ledger, Module};

use crate::bench::{Bench, Terminal, eventually, interrupt, run};
use crate::script::Script;

pub(crate) fn host(name: &str, state: State) -> Host {
    let labels = [("datacentre", "berlin"), ("environment", "production"), ("group", "web")];
    let module =
        |name: &str, state: &str| Module { name: name.to_owned(), state: state.to_owned() };
    Host {
        name: format!("hosts/{name}"),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        state: state.into(),
        state_time: Some(std::time::SystemTime::now().into()),
        replica: "replicas/one".to_owned(),
        hostname: format!("{name}.example"),
        version: "0.1.0".to_owned(),
        kernel_release: "6.1.0-37-amd64".to_owned(),
        architecture: "x86_64".to_owned(),
        heartbeat: Some(Heartbeat {
            state: WorkerState::Working.into(),
            breaker: Some(Breaker::default()),
            cpu_millicores: 12,
            probe_millicores: 4,
            memory_bytes: 14_900_000,
            ledger: Some(Ledger {
                produced: 120_443,
                delivered: 120_400,
                dropped: [("ring_full".to_owned(), 40)].into(),
                in_flight: 3,
            }),
            modules: vec![module("process", "running"), module("network", "resting")],
            ..Heartbeat::default()
        }),
        clock_skew: Some(prost_types::Duration { seconds: -2, nanos: -500_000_000 }),
        order_epoch: 6,
        etag: "a1".to_owned(),
        ..Host::default()
    }
}

/// One that costs too much.
fn resting(name: &str) -> Host {
    let mut host = host(name, State::Alive);
    if let Some(heartbeat) = &mut host.heartbeat {
        let rest = Some(prost_types::Duration { seconds: 43, nanos: 0 });
        heartbeat.state = WorkerState::Resting.into();
        heartbeat.breaker = Some(Breaker { trips: 2, level: 3, rest });
        heartbeat.cpu_millicores = 304;
    }
    host
}

fn some() -> Vec<Host> {
    let mut copied = host("db-1", State::Alive);
    copied.duplicate_instance_ids = vec!["00ff00ff00ff00ff".to_owned()];
    let lost = Host { heartbeat: None, ..host("web-3", State::Lost) };
    vec![copied, host("web-1", State::Alive), resting("web-2"), lost, host("web-4", State::Stopped)]
}

fn told(hosts: Vec<Host>, complete: bool) -> WatchHostsResponse {
    WatchHostsResponse { hosts, complete, ..WatchHostsResponse::default() }
}

#[test]
fn all_pages_are_listed_with_a_summary() {
    let bench = Bench::new();
    let missing_replicas = vec!["replicas/two".to_owned()];
    let replica = bench.replica(Script { hosts: some(), missing_replicas, ..Script::default() });
    let ran = bench.run(&replica, &["hosts"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 7, "{}", ran.out);
    assert!(lines[1].starts_with("db-1 ×2  alive"), "{}", ran.out);
    assert!(lines[3].contains("resting  30.4%  14.9 MB  open 43s  0.1.0"), "{}", ran.out);
    assert_eq!(lines[6], "5 hosts: 3 alive, 1 stopped, 1 lost");
    assert!(ran.err.starts_with("wanglou: replicas/two: no answer"), "{}", ran.err);
    assert!(!ran.out.contains('\x1b'));
    let ran = bench.run(&replica, &["hosts", "--limit", "3", "--sort", "cpu"]);
    assert!(ran.out.ends_with("1 lost\nand 2 more\n"), "{}", ran.out);
}

#[test]
fn programs_get_an_object_a_line() {
    let bench = Bench::new();
    let replica = bench.replica(Script { hosts: some(), ..Script::default() });
    let ran = bench.run(&replica, &["hosts", "--output", "json"]);
    let hosts: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(hosts.len(), 5);
    assert_eq!(hosts[2]["heartbeat"]["breaker"]["rest"], 43.0);
    assert_eq!(hosts[3]["state"], "lost");
    assert_eq!(hosts[0]["clock_skew"], -2.5);
}

#[test]
fn one_host_has_all_its_fields() {
    let bench = Bench::new();
    let replica = bench.replica(Script { hosts: some(), ..Script::default() });
    let ran = bench.run(&replica, &["host", "db-1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for expected in [
        "labels      datacentre=berlin, environment=production, group=web\n",
        "breaker     ok, never tripped\n",
        "other machines have this id too: 00ff00ff00ff00ff",
        "2.500 s behind",
        "1.2%, of which probes 0.4%",
        "network resting",
        "produced 120,443, delivered 120,400, in flight 3, dropped 40 (ring_full 40)",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {}", ran.out);
    }
    let ran = bench.run(&replica, &["host", "nobody"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there is no hosts/nobody"), "{}", ran.err);
}

fn watched(command: Command, last: &str) -> String {
    watched_until(command, |line| line.ends_with(last))
}

/// All that a watch has written until it was ended after this line.
fn watched_until(mut command: Command, mut is_last: impl FnMut(&str) -> bool) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut text = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    loop {
        let from = text.len();
        let read = lines.read_line(&mut text).expect("UTF-8");
        assert!(read > 0, "it has ended: {text}");
        if is_last(text[from..].trim_end()) {
            break;
        }
    }
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    text
}

#[test]
fn a_watch_that_loses_changes_says_so_and_is_true_again() {
    let bench = Bench::new();
    let lost =
        WatchHostsResponse { lost_changes: 12, ..told(vec![host("b", State::Alive)], false) };
    let watch = [vec![
        told(vec![host("a", State::Alive), host("b", State::Alive)], true),
        told(vec![host("a", State::Suspect)], false),
        lost,
        told(vec![host("c", State::Lost)], true),
    ]];
    let script = || Script { watch: watch.clone().into(), ..Script::default() };
    let replica = bench.replica(script());
    let command = bench.command(&[replica.endpoint()], &["hosts", "--watch"]);
    let text = watched(command, "2 hosts: 1 alive, 1 lost");
    let said: Vec<_> =
        text.lines().map(|line| line.split_once(' ').map_or("", |it| it.1)).collect();
    let labels = "datacentre=berlin,environment=production,group=web";
    assert_eq!(
        said,
        [
            &format!("a: alive, working, breaker ok, 0.1.0, {labels}"),
            &format!("b: alive, working, breaker ok, 0.1.0, {labels}"),
            "2 hosts: 2 alive",
            "a: alive → suspect",
            "12 changes were lost: here is what there is now",
            &format!("c: lost, working, breaker ok, 0.1.0, {labels}"),
            "a: is no more",
            "2 hosts: 1 alive, 1 lost",
        ]
    );
    let replica = bench.replica(script());
    let args = ["hosts", "--watch", "--output", "json"];
    let mut completed = 0;
    let text = watched_until(bench.command(&[replica.endpoint()], &args), |line| {
        completed += u32::from(line.contains("complete"));
        completed == 2
    });
    let changes: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| line["change"].as_str().expect("a change").to_owned())
        .collect();
    assert_eq!(
        changes,
        ["host", "host", "complete", "host", "reset", "host", "host", "removed", "complete"]
    );
}

#[test]
fn a_watch_goes_on_at_another_replica() {
    let bench = Bench::new();
    let first = [vec![told(vec![host("a", State::Alive)], true)], Vec::new()];
    let first = bench.replica(Script { watch: first.into(), ..Script::default() });
    let second = [vec![told(vec![host("a", State::Lost)], true)]];
    let second = bench.replica(Script { watch: second.into(), ..Script::default() });
    let endpoints = [first.endpoint(), second.endpoint()];
    let terminal = Terminal::start(bench.command(&endpoints, &["hosts", "--watch"]), 80, 24);
    terminal.wait_for(&format!("blue at {}", first.endpoint()));
    terminal.wait_for(&format!("blue at {}", second.endpoint()));
    terminal.wait_for("\x1b[1;31m1 lost");
    let (code, _) = terminal.interrupt();
    assert_eq!(code, Some(0));
}

#[test]
fn a_live_table_fits_the_terminal() {
    let bench = Bench::new();
    let mut hosts = some();
    hosts.extend((0..60).map(|n| host(&format!("app-{n:02}.berlin.example.net"), State::Alive)));
    for (columns, rows) in [(80, 24), (160, 40)] {
        let watch = [vec![told(hosts.clone(), true)]];
        let replica = bench.replica(Script { watch: watch.into(), ..Script::default() });
        let mut command =
            bench.command(&[replica.endpoint()], &["hosts", "--watch", "--sort", "cpu"]);
        command.env("NO_COLOR", "1");
        let terminal = Terminal::start(command, columns, rows);
        let more = format!("and {} more", 65 - (rows - 5));
        terminal.wait_for(&more);
        let (code, shown) = terminal.interrupt();
        assert_eq!(code, Some(0));
        // It leaves the screen as it was, and the last picture behind.
        let (_, last) = shown.rsplit_once("\x1b[?1049l").expect("it leaves");
        let lines: Vec<_> = last.lines().collect();
        println!("{last}");
        assert!(lines.len() <= rows.into(), "{last}");
        for line in &lines {
            assert!(unicode_width::UnicodeWidthStr::width(*line) <= columns.into(), "{last}");
        }
        assert!(lines[4].starts_with("web-2 "), "the dearest is first: {last}");
        assert_eq!(lines.last().map(|line| line.trim_end()), Some(&*more));
    }
}

#[test]
fn a_reader_that_goes_away_has_seen_enough() {
    let bench = Bench::new();
    let hosts = (0..2_000).map(|n| host(&format!("a{n}"), State::Alive)).collect();
    let replica = bench.replica(Script { hosts, ..Script::default() });
    let args = ["hosts", "--output", "json"];
    let mut command = bench.command(&[replica.endpoint()], &args);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let mut code = None;
    eventually("its end", || {
        code = child.try_wait().expect("it can be waited for").and_then(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(0));
}

#[test]
fn labels_are_changed_even_if_somebody_else_is_faster() {
    let bench = Bench::new();
    let replica = bench.replica(Script { hosts: some(), races: 1, ..Script::default() });
    let ran = bench.run(&replica, &["label", "db-1", "group=db", "datacentre-", "rack=7"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(ran.out, "db-1: environment=production,group=db,rack=7\n");
    assert_eq!(replica.heard().calls, ["get_host", "update_host", "get_host", "update_host"]);
    let replica = bench.replica(Script { hosts: some(), races: 9, ..Script::default() });
    let ran = bench.run(&replica, &["label", "db-1", "group=db"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("the host has changed; it has changed meanwhile: look and try again"),
        "{}",
        ran.err
    );
    let ran = run(&mut bench.command(&[replica.endpoint()], &["label", "db-1", "group"]));
    assert_eq!(ran.code, Some(2));
}
