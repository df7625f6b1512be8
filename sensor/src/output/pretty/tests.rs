use std::collections::BTreeMap;

use wanglou_api::event::*;

use super::*;

fn pretty(columns: Option<usize>, tree: bool) -> Pretty {
    Pretty {
        terminal: false,
        colour: false,
        columns,
        tree: tree.then(Tree::default),
        users: users("root:x:0:0:root:/root:/bin/sh\nmessagebus:x:101:109::/:/bin/false\n"),
        headed: true,
        text: String::new(),
    }
}

fn shown(columns: Option<usize>, event: &Event<'_>) -> String {
    let mut out = Vec::new();
    pretty(columns, false).write(event, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn event<'a>(action: &'a str, user: &'a str, process: Process<'a>) -> Event<'a> {
    Event {
        timestamp: Some(Timestamp::from_unix_nanos(1_795_340_100_123_456_789)),
        event: Some(EventMeta { action: Some(action), ..Default::default() }),
        process: Some(process),
        user: Some(User { id: Some(user), ..Default::default() }),
        ..Default::default()
    }
}

fn exec<'a>(executable: &'a str, args: &'a str) -> Event<'a> {
    let process = Process {
        pid: Some(4711),
        executable: Some(executable),
        args: Some(Strings::Nul(args)),
        ..Default::default()
    };
    event("exec", "0", process)
}

#[test]
fn the_head_stands_over_its_columns() {
    let mut out = Vec::new();
    let mut pretty = Pretty { headed: false, ..pretty(None, false) };
    pretty.write(&exec("/bin/ls", "ls\0-l\0"), &mut out);
    pretty.write(&exec("/bin/ls", "ls\0"), &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "\
UTC          ACTION       PID USER     PROCESS
09:35:00.123 exec        4711 root     ls -l
09:35:00.123 exec        4711 root     ls
"
    );
}

#[test]
fn a_first_argument_that_hides_the_file_does_not() {
    let line = shown(None, &exec("/tmp/miner", "[kworker/0:1]\0"));
    assert!(line.ends_with(" [/tmp/miner] [kworker/0:1]\n"), "{line}");
    let usual = shown(None, &exec("/usr/bin/dash", "/bin/sh\0"));
    assert!(usual.ends_with(" [dash] /bin/sh\n"), "{usual}");
    let login = shown(None, &exec("/usr/bin/bash", "-bash\0"));
    assert!(login.ends_with(" root     -bash\n"), "{login}");
}

#[test]
fn arguments_show_where_they_begin_and_end() {
    let line = shown(None, &exec("/bin/sh", "sh\0-c\0echo 'a  b'\0\0\u{1b}[2J\n\0"));
    let words = r" sh -c 'echo '\''a  b'\''' '' \u{1b}[2J\n";
    assert!(line.trim_end().ends_with(words), "{line}");
}

#[test]
fn a_terminal_cuts_and_a_file_does_not() {
    let args = format!("cc\0{}\0", "x".repeat(300));
    let event = exec("/usr/bin/cc", &args);
    for columns in [80, 160] {
        let line = shown(Some(columns), &event);
        assert_eq!(line.trim_end().chars().count(), columns);
        assert!(line.ends_with("x…\n"));
    }
    assert_eq!(shown(None, &event).chars().count(), 39 + "cc ".len() + 300 + 1);
}

#[test]
fn long_names_and_numbers_do_not_move_the_columns() {
    let process = Process { pid: Some(4_194_303), name: Some("dbus"), ..Default::default() };
    let line = shown(None, &event("gid_change", "101", process));
    assert_eq!(line, "09:35:00.123 gid      4194303 message… dbus\n");
}

#[test]
fn an_end_says_how_and_what_it_cost() {
    let process = Process {
        pid: Some(7),
        name: Some("cc1"),
        exit_code: Some(1),
        cpu_ns: Some(1_234_567_890),
        max_rss_bytes: Some(34_100_000),
        ..Default::default()
    };
    let line = shown(None, &event("end", "1000", process));
    assert_eq!(line, "09:35:00.123 end            7 1000     cc1 exit 1  1235 ms  34.1 MB\n");
    let killed = Process { exit_code: None, signal: Some("SIGKILL"), ..process };
    assert!(shown(None, &event("end", "1000", killed)).contains("cc1 SIGKILL  "));
}

#[test]
fn a_change_names_both_sides() {
    let mut event = event("uid_change", "1000", Process { name: Some("su"), ..Default::default() });
    event.user = Some(User {
        id: Some("1000"),
        effective: Some(EffectiveUser { id: Some("0") }),
        changes: Some(UserChanges {
            id: Some("0"),
            effective: Some(EffectiveUser { id: Some("0") }),
        }),
    });
    let line = shown(None, &event);
    assert!(line.ends_with(" su uid 1000 → 0\n"), "{line}");
}

#[test]
fn the_books_fit_in_a_line() {
    let counts = BTreeMap::from([("exec".to_owned(), 2), ("fork".to_owned(), 3)]);
    let causes = BTreeMap::from([("ring_full".to_owned(), counts.clone())]);
    let ledger = Ledger {
        produced: Some(&counts),
        delivered: Some(&counts),
        dropped: Some(&causes),
        in_flight: Some(1),
    };
    let mut event = event("ledger", "0", Process::default());
    event.wanglou = Some(Wanglou { ledger: Some(ledger), ..Default::default() });
    assert_eq!(
        shown(None, &event),
        "09:35:00.123 ledger    produced 5 = delivered 5 + dropped 5 (ring_full 5) + in flight 1\n"
    );
    let gap = Gap { lost: Some(&causes), recovered: Some(&counts), unrecovered: Some(4) };
    event.event = Some(EventMeta { action: Some("gap"), ..Default::default() });
    event.wanglou = Some(Wanglou { gap: Some(gap), ..Default::default() });
    assert_eq!(
        shown(None, &event),
        "09:35:00.123 gap       lost 5 (ring_full 5), rebuilt 5, gone 4\n"
    );
}

#[test]
fn an_alert_says_what_it_is() {
    let mut event = event("alert", "0", Process::default());
    event.event =
        Some(EventMeta { action: Some("alert"), code: Some("WL1001"), ..Default::default() });
    event.message = Some("the worker has failed");
    assert_eq!(shown(None, &event), "09:35:00.123 alert     WL1001 the worker has failed\n");
}

#[test]
fn a_container_says_what_it_is_called() {
    let mut event = event("container_seen", "0", Process::default());
    event.process = None;
    event.container = Some(Container {
        id: Some("9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
        name: Some("web"),
        image: Some(ContainerImage { name: Some("nginx:1.27") }),
        runtime: None,
    });
    let line = "09:35:00.123 container 9f8e7d6c5b4a web (nginx:1.27)";
    assert_eq!(shown(None, &event), format!("{line}\n"));
    event.orchestrator = Some(Orchestrator {
        namespace: Some("shop"),
        resource: Some(OrchestratorResource { name: Some("web-0"), ..Default::default() }),
    });
    assert_eq!(shown(None, &event), format!("{line} in shop/web-0\n"));
}

#[test]
fn a_build_looks_like_a_tree() {
    let mut pretty = pretty(Some(80), true);
    let mut out = Vec::new();
    let ids = ["make", "cc", "as"];
    for (n, id) in ids.iter().enumerate() {
        let parent = n.checked_sub(1).map(|n| ids[n]);
        let parent = parent.map(|id| ParentProcess { entity_id: Some(id), ..Default::default() });
        let mut event = exec(id, "");
        let process = event.process.expect("a process");
        let process =
            Process { entity_id: Some(id), name: Some(id), parent, args: None, ..process };
        event.process = Some(Process { executable: None, ..process });
        pretty.write(&event, &mut out);
    }
    let processes =
        String::from_utf8_lossy(&out).lines().map(|l| l[39..].to_owned()).collect::<Vec<_>>();
    assert_eq!(processes, ["make", "  cc", "    as"]);
}

#[test]
fn a_connection_shows_whom_it_leads_to_and_what_came_of_it() {
    let connection = |action, direction, outcome, code| {
        let process = Process { pid: Some(7), name: Some("curl"), ..Default::default() };
        let plain = event(action, "0", process);
        let duration = Some(1_234_567);
        let bytes = (action == "disconnect_received").then_some(54_321);
        Event {
            event: Some(EventMeta { outcome, duration, ..plain.event.unwrap_or_default() }),
            source: Some(Endpoint { ip: Some("::1"), port: Some(50_000), bytes, packets: None }),
            destination: Some(Endpoint {
                ip: Some("192.0.2.1"),
                port: Some(80),
                bytes,
                packets: None,
            }),
            network: Some(Network { direction: Some(direction), ..Default::default() }),
            error: Some(Error { code }),
            ..plain
        }
    };
    let failed =
        connection("connection_attempted", "egress", Some("failure"), Some("ECONNREFUSED"));
    assert!(shown(None, &failed).ends_with(" curl → 192.0.2.1:80 ECONNREFUSED  1.2 ms\n"));
    let taken = connection("connection_accepted", "ingress", Some("success"), None);
    assert!(shown(None, &taken).ends_with(" curl ← [::1]:50000 at 80  1.2 ms\n"));
    let over = connection("disconnect_received", "egress", None, None);
    let words = " curl → 192.0.2.1:80  54.3 kB → 54.3 kB ←  1.2 ms\n";
    assert!(shown(None, &over).ends_with(words), "{}", shown(None, &over));
}
