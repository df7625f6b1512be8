//! Which hosts are meant.

use std::collections::BTreeMap;

use clap::ValueEnum;
use wanglou_api::fleet::v1::HostFilter;
use wanglou_api::fleet::v1::host::State as HostState;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::Selector;

use crate::failure::Usage;

/// As the protocol has it.
const MAX_HOSTS: usize = 1_000;
const MAX_LABELS: usize = 32;

/// Whom something is for. Without a flag it is for nobody.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Targets {
    /// Every host of the fleet
    #[arg(long, conflicts_with_all = ["selector", "host"])]
    pub(crate) all: bool,
    /// Hosts with all of these labels
    #[arg(long, value_name = "NAME=VALUE,…", value_parser = labels)]
    selector: Vec<Labels>,
    /// A host by its id; may be given several times, or with commas between
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = host_id)]
    host: Vec<String>,
}

/// Which hosts to show.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// With all of these labels
    #[arg(long, value_name = "NAME=VALUE,…", value_parser = labels)]
    selector: Vec<Labels>,
    /// A host by its id; may be given several times, or with commas between
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = host_id)]
    host: Vec<String>,
    /// In any of these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE,…")]
    state: Vec<State>,
    /// With any of these versions of the sensor
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    version: Vec<String>,
    /// Only those whose sensor costs too much and is at rest, or gives something up
    #[arg(long)]
    breaker_open: bool,
}

/// A state to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Its stream is open and answers.
    Alive,
    /// Its stream broke a moment ago.
    Suspect,
    /// Whoever would know is gone too.
    Unknown,
    /// Its replica was there all the time, and it was not.
    Lost,
    /// It said goodbye.
    Gone,
    /// It lives, and does not watch, by order.
    Stopped,
}

impl From<State> for HostState {
    fn from(state: State) -> Self {
        match state {
            State::Alive => Self::Alive,
            State::Suspect => Self::Suspect,
            State::Unknown => Self::Unknown,
            State::Lost => Self::Lost,
            State::Gone => Self::Gone,
            State::Stopped => Self::Stopped,
        }
    }
}

impl Targets {
    /// As the protocol has it; has nothing only for all hosts.
    pub(crate) fn selector(&self) -> Result<Selector, Usage> {
        selector(&self.selector, &self.host)
    }
}

impl Filter {
    /// As the protocol has it.
    pub(crate) fn message(&self) -> Result<HostFilter, Usage> {
        Ok(HostFilter {
            selector: Some(selector(&self.selector, &self.host)?),
            states: self.state.iter().map(|&state| HostState::from(state).into()).collect(),
            versions: self.version.clone(),
            breaker_open: self.breaker_open,
        })
    }
}

/// A selector in words, for people.
pub(crate) fn in_words(selector: &Selector) -> String {
    const SHOWN: usize = 3;
    let mut words: Vec<_> =
        selector.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    match selector.hosts.len() {
        0 if words.is_empty() => return "all hosts".to_owned(),
        0 => {}
        1..=SHOWN => words.push(selector.hosts.join(", ")),
        many => {
            let first = selector.hosts[..SHOWN].join(", ");
            words.push(format!("{first} and {} more", many - SHOWN));
        }
    }
    words.join(", ")
}

type Labels = BTreeMap<String, String>;

fn selector(labels: &[Labels], hosts: &[String]) -> Result<Selector, Usage> {
    let mut all = Labels::new();
    for (name, value) in labels.iter().flatten() {
        if all.insert(name.clone(), value.clone()).is_some_and(|before| before != *value) {
            return Err(Usage(format!("no host has two values of the label {name}")));
        }
    }
    if all.len() > MAX_LABELS {
        return Err(Usage(format!("more than {MAX_LABELS} labels select nothing")));
    }
    if hosts.len() > MAX_HOSTS {
        let told = format!("more than {MAX_HOSTS} hosts at once: say what they have in common");
        return Err(Usage(format!("{told} (--selector), or ask several times")));
    }
    let mut hosts = hosts.to_vec();
    hosts.sort_unstable();
    hosts.dedup();
    Ok(Selector { hosts, labels: all })
}

/// `NAME=VALUE`, with commas between.
fn labels(text: &str) -> Result<Labels, String> {
    let mut labels = Labels::new();
    for part in text.split(',') {
        // A variable that a script has forgotten to set is not meant to select anything else.
        let (name, value) = label(part)?;
        if labels.insert(name.to_owned(), value.to_owned()).is_some_and(|before| before != value) {
            return Err(format!("no host has two values of {name}"));
        }
    }
    Ok(labels)
}

/// `NAME=VALUE`, neither of them empty.
pub(crate) fn label(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name, value)),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

/// An id of a host, with or without `hosts/`.
pub(crate) fn host_id(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("hosts/").unwrap_or(text);
    id.parse::<Name>().map(|name| name.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn given(args: &[&str]) -> Result<Selector, String> {
        let args = [&["wanglou", "stop"], args].concat();
        let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
        let Command::Stop(give) = cli.command else { return Err("another command".to_owned()) };
        give.targets.selector().map_err(|error| error.to_string())
    }

    #[test]
    fn hosts_are_meant_by_labels_and_ids() {
        let selector = given(&[
            "--selector",
            "environment=prod,group=web",
            "--host",
            "b,hosts/a",
            "--host",
            "b",
        ]);
        let selector = selector.expect("a selector");
        assert_eq!(selector.hosts, ["a", "b"]);
        assert_eq!(in_words(&selector), "environment=prod, group=web, a, b");
        assert_eq!(given(&["--all"]), Ok(Selector::default()));
        assert_eq!(in_words(&Selector::default()), "all hosts");
    }

    #[test]
    fn a_forgotten_flag_or_an_empty_variable_means_nobody() {
        for args in [
            &[][..],
            &["--selector", ""],
            &["--selector", "group="],
            &["--selector", "=web"],
            &["--selector", "group=web,"],
            &["--selector", "group=web,group=db"],
            &["--selector", "group=web", "--selector", "group=db"],
            &["--host", ""],
            &["--host", "a,"],
            &["--host", "../a"],
            &["--all", "--host", "a"],
            &["--all", "--selector", "group=web"],
        ] {
            assert!(given(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn many_hosts_are_cut_in_words_and_refused_beyond_what_an_order_holds() {
        let hosts: Vec<_> = (0..5).map(|n| format!("h{n}")).collect();
        let selector = Selector { hosts, ..Selector::default() };
        assert_eq!(in_words(&selector), "h0, h1, h2 and 2 more");
        let many: Vec<_> = (0..=MAX_HOSTS).map(|n| format!("h{n}")).collect();
        assert!(given(&["--host", &many.join(",")]).is_err());
    }
}
