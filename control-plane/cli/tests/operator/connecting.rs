//! Who is asked, as whom, and what is said when that fails.

use std::net::TcpListener;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::bench::{Bench, run};
use crate::pki::Pki;
use crate::script::{Replica, Script};

/// A port of which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn the_next_endpoint_is_asked_if_one_is_out_of_reach() {
    let bench = Bench::new();
    let replica = bench.replica(Script::default());
    let closed = closed_port();
    let ran = run(&mut bench.command(&[closed.clone(), replica.endpoint()], &["replicas"]));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("two      draining"), "{}", ran.out);
    let other = closed_port();
    let ran = run(&mut bench.command(&[closed.clone(), other.clone()], &["replicas"]));
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.err,
        format!(
            "wanglou: cannot list replicas: {closed}: Connection refused (os error 111); {other}: Connection refused (os error 111) (--endpoint names others)\n"
        )
    );
}

#[test]
fn a_listener_that_says_nothing_holds_nobody_up() {
    let bench = Bench::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent =
        silent.local_addr().map(|address| (address.to_string(), silent)).expect("an address");
    let replica = bench.replica(Script::default());
    let ran = run(&mut bench.command(&[silent.0.clone(), replica.endpoint()], &["replicas"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = run(&mut bench.command(&[silent.0], &["replicas"]));
    assert!(ran.err.contains("no answer within 5 s"), "{}", ran.err);
}

#[test]
fn a_replica_that_has_no_time_is_left_for_another() {
    let bench = Bench::new();
    let details = ErrorDetails::with_retry_info(Some(std::time::Duration::from_secs(3)));
    let busy = Status::with_error_details(Code::ResourceExhausted, "too many calls", details);
    let busy = bench.replica(Script { refusal: Some(busy), ..Script::default() });
    let other = bench.replica(Script::default());
    let ran = run(&mut bench.command(&[busy.endpoint(), other.endpoint()], &["replicas"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = bench.run(&busy, &["replicas"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains(": too many calls; try again in 3s ("), "{}", ran.err);
}

#[test]
fn a_replica_of_another_fleet_is_not_talked_to() {
    let bench = Bench::new();
    let red = bench.pki.credentials("red", "replica/one");
    let red = Replica::start(&red, Script::default());
    let ran = bench.run(&red, &["replicas"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("spiffe://red/replica/one is not of the fleet blue"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
    // A thief of a host's certificate is no replica.
    let host = Replica::start(&bench.pki.credentials("blue", "host/web-1"), Script::default());
    let ran = bench.run(&host, &["replicas"]);
    assert!(ran.err.contains("it is for replica"), "{}", ran.err);
    assert!(red.heard().calls.is_empty() && host.heard().calls.is_empty());
}

#[test]
fn a_replica_that_does_not_know_us_says_so() {
    let bench = Bench::new();
    let others = Pki::new(bench.folder.path(), "others");
    let replica = Replica::start(&bench.pki.credentials("blue", "replica/one"), Script::default());
    let (certificate, key) = others.issue("blue", "operator/eve");
    let mut command = bench.command(&[replica.endpoint()], &["stop", "--all"]);
    command.env("WANGLOU_CERTIFICATE", certificate).env("WANGLOU_KEY", key);
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("it does not accept our certificate"), "{}", ran.err);
    assert!(replica.heard().calls.is_empty());
}

#[test]
fn only_an_operator_asks() {
    let bench = Bench::new();
    let (certificate, key) = bench.pki.issue("blue", "host/web-1");
    let mut command = bench.command(&[closed_port()], &["hosts"]);
    let ran = run(command.env("WANGLOU_CERTIFICATE", certificate).env("WANGLOU_KEY", key));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("one of an operator is needed (--certificate)"), "{}", ran.err);
}

#[test]
fn what_is_not_set_is_named() {
    let bench = Bench::new();
    let ran = run(&mut bench.bare(&["hosts"]));
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.starts_with(
            "wanglou: no certificate is set: give --certificate FILE, WANGLOU_CERTIFICATE, or"
        ),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 1);
}

#[test]
fn a_refusal_names_who_has_asked() {
    let bench = Bench::new();
    let refusal = Some(Status::permission_denied("operators of this fleet only look"));
    let replica = bench.replica(Script { refusal, ..Script::default() });
    let ran = bench.run(&replica, &["stop", "--all"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.err,
        format!(
            "wanglou: cannot stop hosts at {}: operators of this fleet only look; asked as operator ann of blue; another certificate may (--certificate)\n",
            replica.endpoint()
        )
    );
}

#[test]
fn wrong_usage_is_one_line() {
    let bench = Bench::new();
    for (args, expected) in [
        (&["stop"][..], "the following required arguments were not provided: <--all|--selector"),
        (&["stop", "--selector", "group="], "\"group=\" is not NAME=VALUE"),
        (&["hosts", "--state", "dead"], "invalid value 'dead' for '--state"),
        (&["hosts", "--sort", "x"], "[possible values: name, cpu, memory]"),
        (&["events", "--since", "yesterday"], "it has to be as 90s, 10m, 2h or 7d, or"),
        (
            &["events", "--tree", "a", "--follow"],
            "'--tree <ENTITY_ID>' cannot be used with '--follow'",
        ),
        (&["events", "--follow", "--until", "1m"], "cannot be used with"),
        (&["nothing"], "unrecognized subcommand 'nothing'"),
        (&["--endpoint", "a:b", "hosts"], "\"a:b\" is no endpoint"),
    ] {
        let ran = run(&mut bench.bare(args));
        assert_eq!((ran.code, ran.err.lines().count()), (Some(2), 1), "{ran:?}");
        assert!(ran.err.contains(expected), "{}", ran.err);
    }
}

#[test]
fn every_shell_can_complete() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&mut bench.bare(&["completion", shell]));
        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("--breaker-open") || ran.out.contains("breaker-open"), "{shell}");
    }
}
