use std::path::Path;

use proptest::prelude::*;

use super::values::{list, quoted};
use super::*;
use crate::log;
use crate::telemetry::Telemetry;

/// That of a program that is nobody's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mill {
    pub(crate) stones: u32,
    grain: Vec<String>,
    log: log::Settings,
    telemetry: Telemetry,
}

impl Default for Mill {
    fn default() -> Self {
        let (log, telemetry) = (log::Settings::default(), Telemetry::default());
        Self { stones: 2, grain: vec!["rye".to_owned()], log, telemetry }
    }
}

impl Config for Mill {
    const PROGRAM: &'static str = "wanglou-mill";
    const FILE: &'static str = "/nowhere/mill.toml";
    const SETTINGS: &'static [&'static [Setting<Self>]] = &[
        &[
            Setting {
                path: "mill.stones",
                set: |to, raw| raw.number(1..=8).map(|value| to.stones = value),
                show: |of| of.stones.to_string(),
            },
            Setting {
                path: "mill.grain",
                set: |to, raw| {
                    raw.list(',', |text| Ok(text.to_owned())).map(|value| to.grain = value)
                },
                show: |of| list(&of.grain),
            },
        ],
        of_log(),
        of_telemetry(),
    ];
    const LATER: &'static str = "after the harvest";

    fn log(&self) -> &log::Settings {
        &self.log
    }

    fn log_mut(&mut self) -> &mut log::Settings {
        &mut self.log
    }

    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    fn telemetry_mut(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    fn is_at_once(path: &str, _: &Self, _: &Self) -> bool {
        path.starts_with("log.")
    }

    fn conflicts(effective: &Effective<Self>, problems: &mut Vec<Problem>) {
        if effective.config.stones < 2 && effective.config.grain.len() > 1 {
            let what = "mill.stones: one is for one grain".to_owned();
            problems.push(Problem::new(effective.place("mill.stones"), what));
        }
    }
}

fn of_text(text: &str) -> Result<Effective<Mill>, Vec<String>> {
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    file::parse(Path::new("mill.toml"), text, &mut given, &mut problems);
    Effective::of(given, problems).map_err(|problems| told(&problems))
}

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

fn layered(environment: &[(&str, &str)], flags: &[&str]) -> Result<Effective<Mill>, Vec<String>> {
    let text = |text: &&str| (*text).to_owned();
    let layers = Layers {
        file: None,
        flags: flags.iter().map(text).collect(),
        environment: environment.iter().map(|(name, value)| (text(name), text(value))).collect(),
    };
    layers.load().map_err(|problems| told(&problems))
}

#[test]
fn the_later_layer_counts() {
    let variables = [("WANGLOU_MILL__STONES", "7"), ("WANGLOU_LOG", "debug"), ("HOME", "/root")];
    let effective = layered(&variables, &[]).expect("a configuration");
    assert_eq!(effective.config.stones, 7);
    let effective = layered(&variables, &["mill.stones=8"]).expect("a configuration");
    assert_eq!(effective.config.stones, 8);
    assert_eq!(effective.places["mill.stones"], Place::Flag);

    let problems = layered(&[("WANGLOU_MILL__STONE", "7")], &["mill.grain"]);
    let problems = problems.expect_err("neither is right");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[0], "--set: \"mill.grain\" is not path=value");
    assert!(problems[1].starts_with("WANGLOU_MILL__STONE: there is no setting"), "{problems:?}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = "[mill]\nstones = 9\ngrain = 1\n[mil]\nstones = 1\n[quern]\nx = 1\n\
                [telemetry]\nlisten = \"0.0.0.0:80\"\n";
    let expected = [
        "mill.toml:2: mill.stones = 9: it has to be from 1 to 8",
        "mill.toml:3: mill.grain = 1: it has to be a list of strings",
        "mill.toml:5: there is no setting \"mil.stones\": mill.stones is near",
        "mill.toml:7: there is no setting \"quern.x\" (`wanglou-mill config show` lists all)",
        "mill.toml:9: telemetry.listen = \"0.0.0.0:80\": others could reach it: take 127.0.0.1 or \
         unix:PATH, or set telemetry.allow_remote = true",
    ];
    let problems = of_text(text).expect_err("nothing of this is right");
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for expected in expected {
        assert!(problems.iter().any(|it| it == expected), "no {expected}: {problems:#?}");
    }
}

#[test]
fn what_does_not_fit_together_is_told_with_its_place() {
    let problems = of_text("mill.grain = [\"rye\", \"oats\"]\nmill.stones = 1\n");
    assert_eq!(problems.expect_err("too few"), ["mill.toml:2: mill.stones: one is for one grain"]);
}

#[test]
fn text_that_is_no_toml_is_told_with_its_line() {
    let problems = of_text("[mill]\nstones = \n").expect_err("no value");
    assert!(problems[0].starts_with("mill.toml:2: "), "{problems:?}");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let effective = layered(&[], &["mill.grain=rye,oats", "log.level=debug"]).expect("settings");
    let again = of_text(&effective.to_string()).expect("the same");
    assert_eq!(again.config, effective.config);
    assert_eq!(again.hash(), effective.hash());
    assert_eq!(again.places.len(), setting::every::<Mill>().count());
    assert_ne!(Effective::<Mill>::default().hash(), effective.hash());
}

#[test]
fn a_change_says_when_it_counts() {
    let old = Mill::default();
    let mut new = old.clone();
    assert_eq!(changes(&old, &new, &old), []);
    new.log.level = "debug".parse().expect("a level");
    assert!(!is_behind(&old, &new));
    new.stones = 4;
    let told: Vec<_> = changes(&old, &new, &old).iter().map(Change::to_string).collect();
    let expected =
        ["mill.stones 2 -> 4 after the harvest", "log.level \"notice\" -> \"debug\" at once"];
    assert_eq!(told, expected);
    assert!(is_behind(&old, &new));
    assert_eq!(changes(&old, &new, &new)[0].applied, Applied::AtOnce, "it has it already");
}

proptest! {
    #[test]
    fn every_text_is_written_so_that_it_can_be_read(text in "\\PC{0,20}|[\\x00-\\x20\"\\\\]{0,8}") {
        let again = of_text(&format!("mill.grain = [{}]\n", quoted(&text)));
        prop_assert_eq!(again.map(|it| it.config.grain), Ok(vec![text]));
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
