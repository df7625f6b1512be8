use std::fmt;
use std::str::FromStr;

use super::Module;

/// What a module may do in a second; 0 for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What it is handed.
    pub events_per_second: u64,
    /// Records that it cannot read.
    pub errors_per_second: u64,
}

/// A panic on purpose, to see what then happens: `network=1000` is one at the thousandth event of the module,
/// each time that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drill {
    /// Who panics.
    pub module: Module,
    /// At which event.
    pub at: u64,
}

/// What an operator says of modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of `process`.
    pub process: Limits,
    /// Of `network`.
    pub network: Limits,
    /// If there is to be one.
    pub drill: Option<Drill>,
}

/// More than this a core cannot tell of anyway.
const EVENTS_PER_SECOND: u64 = 100_000;
/// One is a fault of the sensor, and there is a line for each.
const ERRORS_PER_SECOND: u64 = 100;

impl Settings {
    /// Those of a service.
    pub fn of_a_service() -> Self {
        let limits =
            Limits { events_per_second: EVENTS_PER_SECOND, errors_per_second: ERRORS_PER_SECOND };
        Self { process: limits, network: limits, drill: None }
    }

    /// Those of a module; what the sensor says of itself has none.
    pub fn limits(&self, of: Module) -> Limits {
        match of {
            Module::Process => self.process,
            Module::Network => self.network,
            Module::Own => Limits::default(),
        }
    }
}

impl FromStr for Drill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(name, at)| {
            let module = Module::ALL.into_iter().find(|module| module.name() == name)?;
            let at = at.parse().ok().filter(|at| *at > 0)?;
            Some(Self { module, at })
        });
        parsed.ok_or_else(|| "it has to be like \"network=1000\"".to_owned())
    }
}

impl fmt::Display for Drill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.module.name(), self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_written_as_it_is_read() {
        for text in ["process=1", "network=1000", "self=3"] {
            assert_eq!(text.parse::<Drill>().map(|drill| drill.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "network", "network=0", "network=-1", "files=1", "=1"] {
            assert!(text.parse::<Drill>().is_err(), "{text:?}");
        }
    }
}
