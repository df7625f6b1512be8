//! Events read back, followed, and drawn as trees.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use unicode_width::UnicodeWidthStr as _;
use wanglou_api::event::Json as _;
use wanglou_api::event::v1::{
    Endpoint, Error, Event, EventMeta, Host, Network, ParentProcess, Process, User,
};
use wanglou_api::fleet::v1::{ReadEventsResponse, ReadProcessTreeResponse, TreeProcess};

use crate::bench::{Bench, Terminal, eventually, interrupt};
use crate::script::Script;

/// 2026-11-30 10:00:00 UTC.
const BEGIN: i64 = 1_796_032_800;

fn moment(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: BEGIN + seconds, nanos: 123_456_789 })
}

fn event(seconds: i64, host: &str, action: &str, process: Process) -> Event {
    Event {
        timestamp: moment(seconds),
        event: Some(EventMeta { action: Some(action.to_owned()), ..EventMeta::default() }),
        host: Some(Host { name: Some(host.to_owned()), ..Host::default() }),
        process: Some(process),
        user: Some(User { id: Some("1000".to_owned()), ..User::default() }),
        ..Event::default()
    }
}

fn process(pid: u32, name: &str) -> Process {
    let (pid, name) = (Some(pid), Some(name.to_owned()));
    Process { pid, name, ..Process::default() }
}

fn exec(seconds: i64, host: &str, args: &[&str]) -> Event {
    let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
    let executable = Some(format!("/usr/bin/{}", args[0]));
    event(seconds, host, "exec", Process { executable, args, ..process(4_711, "curl") })
}

/// One of each.
fn some() -> Vec<Event> {
    let parent = ParentProcess { pid: Some(4_700), ..ParentProcess::default() };
    let forked = Process { parent: Some(parent), ..process(4_711, "bash") };
    let mut connected =
        event(2, "db-1.berlin.example", "connection_attempted", process(4_711, "curl"));
    let end = |ip: &str, port| Endpoint {
        ip: Some(ip.to_owned()),
        port: Some(port),
        ..Endpoint::default()
    };
    connected.source = Some(end("192.0.2.7", 50_606));
    connected.destination = Some(end("2001:db8::1", 443));
    connected.network =
        Some(Network { direction: Some("egress".to_owned()), ..Network::default() });
    connected.error = Some(Error { code: Some("ECONNREFUSED".to_owned()) });
    let ended = Process { exit_code: Some(7), cpu_ns: Some(1_234_567), ..process(4_711, "curl") };
    vec![
        event(0, "web-1", "fork", forked),
        exec(
            1,
            "web-1",
            &["curl", "--retry", "3", "-sS", "https://example.net/a/long/path/to.json"],
        ),
        connected,
        event(3, "web-1", "end", ended),
    ]
}

fn told(events: Vec<Event>, complete: bool) -> ReadEventsResponse {
    ReadEventsResponse { events, complete, ..ReadEventsResponse::default() }
}

#[test]
fn programs_get_events_as_sensors_write_them() {
    let bench = Bench::new();
    let events = [vec![told(some(), false), told(Vec::new(), true)]];
    let replica = bench.replica(Script { events: events.into(), ..Script::default() });
    let ran = bench.run(&replica, &["events", "--output", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let mut wanted = Vec::new();
    for event in some() {
        event.write_json(&mut wanted);
        wanted.push(b'\n');
    }
    assert_eq!(ran.out.as_bytes(), wanted);
}

#[test]
fn what_is_asked_for_reaches_the_replica() {
    let bench = Bench::new();
    let events = [vec![told(Vec::new(), true)]];
    let replica = bench.replica(Script { events: events.into(), ..Script::default() });
    let ran = bench.run(
        &replica,
        &[
            "events",
            "--host",
            "a,hosts/b",
            "--process",
            "4711",
            "--action",
            "exec,end",
            "--since",
            "2026-11-30T10:00:00Z",
            "--until",
            "10m",
            "--where",
            "user.id = '0'",
            "--last",
            "5",
        ],
    );
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    let heard = replica.heard();
    let request = heard.read.first().expect("a request");
    assert_eq!(request.hosts, ["a", "b"]);
    assert_eq!(request.actions, ["exec", "end"]);
    assert_eq!((request.process.as_str(), request.filter.as_str()), ("4711", "user.id = '0'"));
    assert_eq!(request.since_time.map(|time| time.seconds), Some(BEGIN));
    assert!(request.until_time.is_some());
    assert_eq!((request.max_events, request.follow), (5, false));
}

#[test]
fn people_get_columns_that_fit_and_hear_of_what_is_missing() {
    let bench = Bench::new();
    for columns in [80, 160] {
        let first = ReadEventsResponse { truncated: true, ..told(some(), false) };
        let missed = ReadEventsResponse { missed_events: 1_200, ..told(Vec::new(), true) };
        let events = [vec![first, missed]];
        let replica = bench.replica(Script { events: events.into(), ..Script::default() });
        let mut command = bench.command(&[replica.endpoint()], &["events", "--last", "4"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(command, columns, 24);
        let (code, shown) = terminal.end();
        println!("{shown}");
        assert_eq!(code, Some(0));
        let (notes, lines): (Vec<_>, Vec<_>) =
            shown.lines().partition(|line| line.starts_with("wanglou: "));
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.width() <= columns.into()), "{shown}");
        assert!(lines[3].contains("→ [2001:db8::1]:443"), "{shown}");
        assert!(notes[0].contains("there are more before these: --last"), "{shown}");
        assert!(notes[1].contains("1,200 events that came are missing here"), "{shown}");
    }
}

#[test]
fn what_ends_before_all_was_told_is_a_failure() {
    let bench = Bench::new();
    let events = [vec![told(some(), false)], Vec::new()];
    let replica = bench.replica(Script { events: events.into(), ..Script::default() });
    let ran = bench.run(&replica, &["events"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 5));
    assert!(ran.err.contains("it ended before all that is stored was told"), "{}", ran.err);
}

#[test]
fn a_follow_goes_on_at_another_replica_until_it_is_ended() {
    let bench = Bench::new();
    let first = [vec![told(some(), true)], Vec::new()];
    let first = bench.replica(Script { events: first.into(), ..Script::default() });
    let second = [vec![told(Vec::new(), true), told(vec![exec(9, "web-9", &["id"])], false)]];
    let second = bench.replica(Script { events: second.into(), ..Script::default() });
    let endpoints = [first.endpoint(), second.endpoint()];
    let mut command = bench.command(&endpoints, &["events", "--follow", "--since", "10m"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.expect("UTF-8").contains("web-9")));
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let notes = String::from_utf8(output.stderr).expect("UTF-8");
    let gone = format!("cannot read events: {}: ", first.endpoint());
    assert!(notes.contains(&gone) && notes.contains("trying again"), "{notes}");
    let goes_on = format!("goes on at {}: events in between may be missing", second.endpoint());
    assert!(notes.contains(&goes_on), "{notes}");
    // It asks for what comes after the last that was shown.
    let resumed = second.heard().read[0].since_time.expect("a moment");
    assert_eq!((resumed.seconds, resumed.nanos), (BEGIN + 3, 123_456_790));
    assert!(first.heard().read[0].follow);
}

#[test]
fn a_follow_that_nobody_can_serve_ends() {
    let bench = Bench::new();
    let refusal = Some(tonic::Status::failed_precondition("this replica has no lake"));
    let replica = bench.replica(Script { refusal, ..Script::default() });
    let ran = bench.run(&replica, &["events", "--follow"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("this replica has no lake"), "{}", ran.err);
}

fn kin() -> ReadProcessTreeResponse {
    let process = |id: &str, parent: &str, pid, command_line: &str| TreeProcess {
        entity_id: id.to_owned(),
        parent_entity_id: parent.to_owned(),
        host: "web-1".to_owned(),
        pid,
        name: id.to_owned(),
        command_line: command_line.to_owned(),
        user_id: "1000".to_owned(),
        start_time: moment(pid.into()),
        ..TreeProcess::default()
    };
    let shell =
        TreeProcess { signal: "SIGHUP".to_owned(), ..process("bash", "sshd", 4_700, "-bash") };
    let args = "curl --retry 3 -sS https://example.net/a/long/path/to/what/is/wanted.json";
    let curl =
        TreeProcess { exit_code: Some(7), connections: 12, ..process("curl", "bash", 4_711, args) };
    let processes = vec![
        process("systemd", "", 1, "/sbin/init"),
        process("sshd", "systemd", 812, "sshd: /usr/sbin/sshd -D"),
        shell,
        curl,
        process("sleep", "bash", 4_712, "sleep 60"),
    ];
    ReadProcessTreeResponse { processes, truncated: true }
}

#[test]
fn a_tree_shows_a_process_among_its_kin() {
    let bench = Bench::new();
    let replica = bench.replica(Script { tree: kin(), ..Script::default() });
    for columns in [80, 160] {
        let mut command =
            bench.command(&[replica.endpoint()], &["events", "--tree", "bash", "--since", "7d"]);
        command.env("NO_COLOR", "1");
        let mut terminal = Terminal::start(command, columns, 24);
        let (code, shown) = terminal.end();
        println!("{shown}");
        assert_eq!(code, Some(0));
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.width() <= columns.into()), "{shown}");
        assert!(lines[3].starts_with("   └─ bash ◀"), "{shown}");
        assert!(lines[4].starts_with("      ├─ curl"), "{shown}");
        assert!(lines[4].contains("exit 7    12  curl --retry 3"), "{shown}");
        assert!(shown.contains("there are more processes: these are the 5 nearest"), "{shown}");
    }
    let args = ["events", "--tree", "bash", "--output", "json"];
    let ran = bench.run(&replica, &args);
    let last = ran.out.lines().last().expect("a line");
    assert_eq!(
        last,
        r#"{"entity_id":"sleep","parent_entity_id":"bash","host":"web-1","pid":4712,"name":"sleep","command_line":"sleep 60","user_id":"1000","start_time":"2026-11-30T11:18:32.123456789Z","connections":0}"#
    );
    let ran = bench.run(&replica, &["events", "--tree", "nobody"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("nothing is stored of a process nobody"), "{}", ran.err);
}

#[test]
fn a_reader_of_a_follow_that_goes_away_has_seen_enough() {
    let bench = Bench::new();
    let many = (0..200).map(|_| told(some(), false)).collect();
    let replica = bench.replica(Script { events: vec![many].into(), ..Script::default() });
    let mut command = bench.command(&[replica.endpoint()], &["events", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let mut code = None;
    eventually("its end", || {
        code = child.try_wait().expect("it can be waited for").and_then(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(0));
}
