//! What hosts do once, and what is counted.

use wanglou_api::fleet::v1::RunCommandResponse;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::fleet::v1::run_command_request::Action;

use crate::bench::{Bench, run};
use crate::hosts::host;
use crate::script::Script;

fn outcome(host: &str, error: &str) -> RunCommandResponse {
    RunCommandResponse { host: format!("hosts/{host}"), error: error.to_owned() }
}

#[test]
fn what_came_of_a_command_is_told_host_by_host() {
    let bench = Bench::new();
    let outcomes = vec![outcome("a", ""), outcome("b", "there is no module\x1b[2J")];
    let replica = bench.replica(Script { outcomes, ..Script::default() });
    let ran = bench.run(&replica, &["module", "off", "network", "--all"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "a: done\nb: there is no module\\u{1b}[2J\n1 done, 1 failed\n");
    let heard = replica.heard();
    let command = heard.commands.first().expect("a command");
    assert!(command.all);
    assert!(
        matches!(&command.action, Some(Action::SetModule(set)) if set.module == "network" && !set.on)
    );
}

#[test]
fn levels_and_snapshots_are_commands_too() {
    let bench = Bench::new();
    let replica = bench.replica(Script { outcomes: vec![outcome("a", "")], ..Script::default() });
    let ran = bench.run(&replica, &["log-level", "info,worker=debug", "--host", "a"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "a: done\n1 done, 0 failed\n"));
    let ran = bench.run(&replica, &["snapshot", "--host", "a", "--output", "json"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "{\"host\":\"hosts/a\",\"error\":\"\"}\n"));
    let heard = replica.heard();
    let [level, snapshot] = &heard.commands[..] else { panic!("two commands") };
    assert!(
        matches!(&level.action, Some(Action::SetLogLevel(set)) if set.level == "info,worker=debug")
    );
    assert!(matches!(&snapshot.action, Some(Action::Snapshot(_))));
}

#[test]
fn a_command_that_nobody_answers_is_no_success() {
    let bench = Bench::new();
    let replica = bench.replica(Script::default());
    let ran = bench.run(&replica, &["snapshot", "--selector", "group=nobody"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "no host has answered\n"));
}

#[test]
fn hosts_are_counted() {
    let bench = Bench::new();
    let hosts = vec![host("a", State::Lost), host("b", State::Alive), host("c", State::Alive)];
    let replica = bench.replica(Script { hosts, ..Script::default() });
    let ran = bench.run(&replica, &["count"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "STATE  HOSTS\nalive      2\nlost       1\n")
    );
    let ran = bench.run(&replica, &["count", "--by", "labels.group", "--output", "json"]);
    assert!(ran.out.starts_with("{\"group_by\":\"labels.group\",\"value\":"), "{}", ran.out);
    let ran = run(&mut bench.bare(&["count", "--by", "colour"]));
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("it has to be state, version or labels.NAME"), "{}", ran.err);
}
