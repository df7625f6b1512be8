//! Stop and start.

use std::process::Stdio;

use wanglou_api::fleet::v1::OrderProgress;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, Selector};
use wanglou_api::signing::{May, Verifier, verify};

use crate::bench::{Bench, Terminal, eventually, interrupt, run};
use crate::hosts::host;
use crate::script::Script;

fn progress(selected: u32, received: u32, done: u32, silent: &[&str]) -> OrderProgress {
    OrderProgress {
        selected,
        sent: selected,
        received,
        done,
        refused: 0,
        silent_hosts: silent.iter().map(|name| format!("hosts/{name}")).collect(),
        elapsed: Some(prost_types::Duration { seconds: 0, nanos: 120_000_000 }),
    }
}

#[test]
fn a_stop_that_reaches_all_is_shown_on_its_way() {
    let bench = Bench::new();
    let steps = vec![progress(3, 0, 0, &[]), progress(3, 2, 1, &[]), progress(3, 3, 3, &[])];
    let replica = bench.replica(Script { progress: [steps].into(), ..Script::default() });
    let ran = bench.run(&replica, &["stop", "--selector", "group=web", "--reason", "too loud"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert_eq!(
        ran.out,
        "order 7: stop of group=web\n\
         3 selected, 3 sent, 0 received, 0 detached, 0 refused, 0.12 s\n\
         3 selected, 3 sent, 2 received, 1 detached, 0 refused, 0.12 s\n\
         3 selected, 3 sent, 3 received, 3 detached, 0 refused, 0.12 s\n\
         all 3 hosts have detached within 0.12 s\n"
    );
    let labels = [("group".to_owned(), "web".to_owned())].into();
    assert_eq!(replica.heard().selectors, [Selector { labels, ..Selector::default() }]);
}

#[test]
fn who_has_not_answered_is_named() {
    let bench = Bench::new();
    let steps = vec![progress(3, 1, 1, &["web-1", "web-2"])];
    let script =
        Script { progress: [steps.clone()].into(), not_durable: true, ..Script::default() };
    let replica = bench.replica(script);
    let ran = bench.run(&replica, &["stop", "--all", "--wait", "1"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.ends_with(
            "not detached: 2 of 3 hosts\nno answer from:\n  web-1\n  web-2\n\
             not durable yet: it is on the disks of the replicas that have it, and not in etcd\n"
        ),
        "{}",
        ran.out
    );
    let refused = OrderProgress { refused: 1, ..progress(2, 2, 1, &[]) };
    let replica = bench.replica(Script { progress: [vec![refused]].into(), ..Script::default() });
    let ran = bench.run(&replica, &["stop", "--host", "web-1,web-2"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.ends_with("1 refuse: their logs say why\n"), "{}", ran.out);
}

#[test]
fn an_order_that_means_nobody_is_no_success() {
    let bench = Bench::new();
    let steps = vec![progress(0, 0, 0, &[])];
    let replica = bench.replica(Script { progress: [steps].into(), ..Script::default() });
    let ran = bench.run(&replica, &["stop", "--selector", "enviroment=prod"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("no host that lives is meant by it"), "{}", ran.out);
}

#[test]
fn an_order_is_followed_past_a_stream_that_ends() {
    let bench = Bench::new();
    let streams = [vec![progress(2, 1, 0, &[])], vec![progress(2, 2, 2, &[])]];
    let replica = bench.replica(Script { progress: streams.into(), ..Script::default() });
    let ran = bench.run(&replica, &["stop", "--all", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let last = ran.out.lines().last().expect("a line");
    let last: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(last["progress"]["done"], 2);
    assert_eq!(last["order"]["kind"], "stop");
    assert_eq!(replica.heard().calls, ["stop_hosts", "watch_order", "watch_order"]);
}

#[test]
fn who_stops_watching_stops_nothing() {
    let bench = Bench::new();
    let steps = vec![progress(2, 1, 0, &["web-1"])];
    let replica = bench.replica(Script { progress: [steps].into(), ..Script::default() });
    let mut command = bench.command(&[replica.endpoint()], &["stop", "--all"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    eventually("the watch", || replica.heard().calls.contains(&"watch_order"));
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "wanglou: no longer watched; the order stands: `wanglou orders 7` shows how far it is\n"
    );
}

#[test]
fn somebody_at_a_terminal_is_asked_whether_all_are_meant() {
    let bench = Bench::new();
    let hosts = vec![host("a", wanglou_api::fleet::v1::host::State::Alive)];
    let script = || Script {
        hosts: hosts.clone(),
        progress: [vec![progress(1, 1, 1, &[])]].into(),
        ..Script::default()
    };
    let replica = bench.replica(script());
    let stop = || bench.command(&[replica.endpoint()], &["stop", "--all"]);
    let mut terminal = Terminal::start(stop(), 80, 24);
    terminal.wait_for("stop all hosts of blue (1 host: 1 alive)? [y/N] ");
    terminal.type_in("\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1));
    assert!(shown.contains("nothing is stopped"), "{shown}");
    assert!(!replica.heard().calls.contains(&"stop_hosts"));
    let mut terminal = Terminal::start(stop(), 80, 24);
    terminal.wait_for("[y/N] ");
    terminal.type_in("y\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("the host has detached within 0.12 s"), "{shown}");
    let replica = bench.replica(script());
    let command = bench.command(&[replica.endpoint()], &["stop", "--all", "--yes"]);
    let (code, shown) = Terminal::start(command, 80, 24).end();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(replica.heard().calls, ["stop_hosts", "watch_order"]);
}

#[test]
fn a_start_is_signed_by_the_operator() {
    let bench = Bench::new();
    let (key, public) = bench.pki.signing_key();
    let steps = vec![progress(1, 1, 1, &[])];
    let replica = bench.replica(Script { progress: [steps].into(), ..Script::default() });
    let mut command =
        bench.command(&[replica.endpoint()], &["start", "--host", "web-1", "--reason", "all well"]);
    let ran = run(command.env("WANGLOU_SIGNING_KEY", key));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.starts_with("order 7: start of web-1\n"), "{}", ran.out);
    let signed = replica.heard().signed.clone().expect("it was signed");
    let keys = [Verifier::from_pem(public.as_bytes(), May::StopAndStart).expect("a key")];
    let order = verify(&signed, &keys, &"blue".parse().expect("a name")).expect("a signature");
    assert_eq!((order.kind(), order.reason.as_str()), (Kind::Start, "all well"));
}

#[test]
fn nothing_is_signed_that_was_not_asked_for() {
    let bench = Bench::new();
    let (key, _) = bench.pki.signing_key();
    type Change = fn(&mut Order);
    let lies: [(&str, Change); 3] = [
        ("a start of all hosts", |it| it.selector = Some(Selector::default())),
        ("a start of the fleet \"red\"", |it| it.fleet = "red".to_owned()),
        ("what is no start", |it| it.kind = Kind::Stop.into()),
    ];
    for (expected, lie) in lies {
        let replica = bench.replica(Script { lie: Some(lie), ..Script::default() });
        let mut command = bench.command(&[replica.endpoint()], &["start", "--host", "web-1"]);
        let ran = run(command.env("WANGLOU_SIGNING_KEY", &key));
        assert_eq!(ran.code, Some(1));
        assert!(ran.err.contains("nothing is signed") && ran.err.contains(expected), "{}", ran.err);
        assert_eq!(replica.heard().calls, ["prepare_start"]);
    }
}

#[test]
fn without_a_key_of_ones_own_nobody_is_asked_for_a_start() {
    let bench = Bench::new();
    let replica = bench.replica(Script::default());
    let ran = bench.run(&replica, &["start", "--all"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("give --signing-key FILE, WANGLOU_SIGNING_KEY"), "{}", ran.err);
    assert!(replica.heard().calls.is_empty());
}

#[test]
fn orders_can_be_looked_at_later() {
    let bench = Bench::new();
    let steps = [vec![progress(3, 1, 1, &["web-1"])], vec![progress(3, 3, 3, &[])]];
    let replica = bench.replica(Script { progress: steps.into(), ..Script::default() });
    let ran = bench.run(&replica, &["orders", "7"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for expected in
        ["kind      stop", "by        spiffe://blue/operator/ann", "reason    too loud", "  web-1"]
    {
        assert!(ran.out.contains(expected), "{expected}: {}", ran.out);
    }
    let ran = bench.run(&replica, &["orders"]);
    assert!(ran.out.contains("    7  stop  all hosts  "), "{}", ran.out);
    assert!(ran.out.trim_end().ends_with("yes      ann  too loud"), "{}", ran.out);
}
