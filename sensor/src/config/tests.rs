use proptest::prelude::*;
use wanglou_daemon::config::Config as _;

use super::*;

fn of_text(text: &str) -> Result<Effective, Vec<String>> {
    let told = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    Effective::of_text(text).map_err(told)
}

fn layered(environment: &[(&str, &str)], flags: &[&str]) -> Result<Effective, Vec<Problem>> {
    let text = |text: &&str| (*text).to_owned();
    Layers {
        file: None,
        flags: flags.iter().map(text).collect(),
        environment: environment.iter().map(|(name, value)| (text(name), text(value))).collect(),
    }
    .load()
}

#[test]
fn a_file_says_what_differs() {
    let effective = of_text(
        "[network]\nfilter = [\"drop port=80\", \"keep\"]\nprocess_limit = 1_000\n\n\
         [sensor]\nbackend = \"cn_proc\"\nring_bytes = 0x1000\n",
    )
    .expect("a configuration");
    assert_eq!(effective.config.backend, Backend::CnProc);
    assert_eq!(effective.config.network.filter.rules().len(), 2);
    assert_eq!(effective.config.network.limits.process, 1000);
    assert_eq!(effective.config.sizes.ring_bytes, 4096);
    assert_eq!(effective.config.network.limits.cgroup, Config::default().network.limits.cgroup);
    let place = Place::File("-".into(), 3);
    assert_eq!(effective.places["network.process_limit"], place);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let problems = of_text(
        "[sensor]\nbackend = \"magic\"\nring_bytes = 5000\nargs_bytes = 1\n\
         [netwrok]\nprocess_limit = 5\n\
         [network]\nprocess_limit = -1\ninclude_loopback = \"yes\"\nfilter = [\"drop x\"]\n",
    )
    .expect_err("nothing of this is right");
    let expected = [
        "-:2: sensor.backend = \"magic\": it has to be one of auto, ebpf, cn_proc",
        "-:3: sensor.ring_bytes = 5000: it has to be a power of two",
        "-:4: sensor.args_bytes = 1: it has to be one of 32768, 65536, 131072",
        "-:6: there is no setting \"netwrok.process_limit\": network.process_limit is near",
        "-:8: network.process_limit = -1: it has to be from 0 to 100000000",
        "-:9: network.include_loopback = \"yes\": it has to be true or false",
        "-:10: network.filter = [\"drop x\"]: `x` is no condition",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for expected in expected {
        assert!(problems.iter().any(|told| told.starts_with(expected)), "{problems:#?}");
    }
}

#[test]
fn the_log_has_settings_of_its_own() {
    let text = "[log]\nlevel = \"warn,kernel=debug\"\nto = \"files\"\nfile_bytes = 65536\n";
    let log = of_text(text).expect("a configuration").config.log;
    assert_eq!(log.level.to_string(), "warning,kernel=debug");
    assert_eq!((log.to.name(), log.file_bytes), ("files", 65_536));

    let text =
        "log.level = \"loud\"\nlog.to = \"disk\"\nlog.directory = \"here\"\nlog.file_bytes = 1\n";
    let problems = of_text(text).expect_err("nothing of this is right");
    let expected = [
        "-:1: log.level = \"loud\": `loud` is no level",
        "-:2: log.to = \"disk\": it has to be one of stderr, journald, files",
        "-:3: log.directory = \"here\": it has to begin with /",
        "-:4: log.file_bytes = 1: it has to be from 65536 to 1073741824",
    ];
    for expected in expected {
        assert!(problems.iter().any(|told| told.starts_with(expected)), "{problems:#?}");
    }
}

#[test]
fn what_is_shown_can_be_read_again() {
    let rules = ["network.filter=drop port=80 uid=0; keep", "sensor.events=network"];
    let effective = layered(&[], &rules).expect("a configuration");
    let again = of_text(&effective.to_string()).expect("the same");
    assert_eq!(again.config, effective.config);
    assert_eq!(again.places.len(), Config::SETTINGS.iter().copied().flatten().count());
}

#[test]
fn a_limit_does_not_blind_the_breaker() {
    let set = |flags: &[&str]| layered(&[], flags);
    assert!(set(&["limits.cpu_percent=20", "limits.memory_bytes=134217728"]).is_ok());
    assert!(set(&["limits.cpu_percent=0", "limits.memory_bytes=0"]).is_ok());
    let wrong =
        ["limits.cpu_percent=5", "limits.memory_bytes=67108865", "budget.memory_bytes=67108865"];
    let problems = set(&wrong).expect_err("they are no higher");
    let told: Vec<_> = problems.iter().map(Problem::to_string).collect();
    let expected = [
        "--set: limits.cpu_percent = 5: it has to be above budget.cpu_percent, 5, or",
        "--set: limits.memory_bytes = 67108865: it has to be above budget.memory_bytes, 67108865, or",
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert!(told.iter().zip(expected).all(|(told, it)| told.starts_with(it)), "{told:?}");
    let problems = set(&["limits.cpu_percent=0.5"]).expect_err("too little");
    let expected = "it has to be from 1 to 10000, or 0";
    assert!(problems[0].to_string().ends_with(expected), "{problems:?}");
}

#[test]
fn no_path_stands_twice() {
    let settings = Config::SETTINGS.iter().copied().flatten();
    let mut paths: Vec<_> = settings.map(|setting| setting.path).collect();
    let all = paths.len();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), all);
}

proptest! {
    #[test]
    fn every_rule_is_shown_so_that_it_can_be_read(path in "/[^/,;\\s]{1,20}") {
        if let Ok(effective) = layered(&[], &[&format!("network.filter=drop executable={path}")]) {
            let again = of_text(&effective.to_string());
            prop_assert_eq!(again.map(|it| it.config), Ok(effective.config));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|(\\[[a-z]{0,8}\\]\n)?[a-z._]{1,20} = [^\n]{0,20}\n") {
        let _ = of_text(&text);
    }

    #[test]
    fn no_flag_panics(path in "[a-z._]{0,24}", value in "\\PC{0,24}") {
        let _ = layered(&[], &[&format!("{path}={value}")]);
    }
}
