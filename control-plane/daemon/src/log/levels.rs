use std::fmt;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Level;

/// How the names of crates of ours begin.
const OURS: &str = "wanglou_";

/// From which level on messages are told, by module: `notice`, or `warning,kernel=debug,service=info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    default: Level,
    /// Those of modules that have one of their own.
    modules: Vec<(String, Level)>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { default: Level::Notice, modules: Vec::new() }
    }
}

impl Levels {
    /// The level from which on a module's messages are told: that of the longest name which it lies under.
    fn of(&self, target: &str) -> Level {
        let module = module(target);
        let holds = |name: &str| {
            module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let named = self.modules.iter().filter(|(name, _)| holds(name));
        named.max_by_key(|(name, _)| name.len()).map_or(self.default, |(_, level)| *level)
    }

    fn tell(&self, metadata: &Metadata<'_>) -> bool {
        Level::of(metadata) <= self.of(metadata.target())
    }

    fn most(&self) -> Level {
        self.modules.iter().map(|(_, level)| *level).fold(self.default, Level::max)
    }

    /// The same for the `log` facade, by which the probes speak.
    pub(super) fn facade(&self) -> log::LevelFilter {
        match self.most() {
            Level::Emergency | Level::Alert | Level::Critical => log::LevelFilter::Off,
            Level::Error => log::LevelFilter::Error,
            Level::Warning => log::LevelFilter::Warn,
            Level::Notice | Level::Info => log::LevelFilter::Info,
            Level::Debug => log::LevelFilter::Debug,
            Level::Trace => log::LevelFilter::Trace,
        }
    }
}

/// The name by which people know a module: without the crate's, if that is ours.
pub(super) fn module(target: &str) -> &str {
    match target.split_once("::") {
        Some((name, rest)) if name.starts_with(OURS) => rest,
        None if target.starts_with(OURS) => "main",
        _ => target,
    }
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, level)) => {
                    let name = module(name.trim());
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                    if name.is_empty() || !name.chars().all(is_name) {
                        return Err(format!("`{name}` is no module"));
                    }
                    levels.modules.push((name.to_owned(), level.trim().parse()?));
                }
                None => levels.default = part.parse()?,
            }
        }
        Ok(levels)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.default.fmt(f)?;
        self.modules.iter().try_for_each(|(name, level)| write!(f, ",{name}={level}"))
    }
}

/// Decided once for each place that tells something, and again when the levels change.
impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.tell(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.tell(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.most() {
            Level::Emergency | Level::Alert | Level::Critical => LevelFilter::OFF,
            Level::Error => LevelFilter::ERROR,
            Level::Warning => LevelFilter::WARN,
            Level::Notice | Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::reload;

    use super::*;

    #[test]
    fn a_module_has_the_level_of_the_longest_name_it_lies_under() {
        let levels: Levels = "warning, kernel=debug,kernel::log=err,tokio=off".parse().expect("so");
        assert_eq!(levels.of("wanglou_sensor::service::supervisor"), Level::Warning);
        assert_eq!(levels.of("wanglou_sensor::kernel::loader"), Level::Debug);
        assert_eq!(levels.of("wanglou_daemon::kernel::log"), Level::Error);
        assert_eq!(levels.of("wanglou_sensor::kernels"), Level::Warning);
        assert_eq!(levels.of("tokio::runtime"), Level::Emergency);
        assert_eq!(levels.to_string(), "warning,kernel=debug,kernel::log=error,tokio=emerg");
    }

    #[test]
    fn the_crate_may_be_named() {
        let levels: Levels = "wanglou_sensor::kernel=trace".parse().expect("so");
        assert_eq!(levels.to_string(), "notice,kernel=trace");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        assert!("loud".parse::<Levels>().expect_err("no level").starts_with("`loud` is no level"));
        assert!("a b=debug".parse::<Levels>().is_err());
    }

    /// Keeps what is let through.
    struct Kept(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("no panic").push(Level::of(event.metadata()));
        }
    }

    #[test]
    fn levels_change_at_run_time() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (levels, handle) = reload::Layer::new(Levels::default());
        let subscriber = tracing_subscriber::registry().with(levels).with(Kept(Arc::clone(&kept)));
        let speak = || {
            tracing::info!(id = "WL0000", "a notice");
            tracing::info!("no notice");
            tracing::debug!("a detail");
            std::mem::take(&mut *kept.lock().expect("no panic"))
        };
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(speak(), [Level::Notice]);
            handle.reload("warning,log=debug".parse::<Levels>().expect("so")).expect("there");
            assert_eq!(speak(), [Level::Notice, Level::Info, Level::Debug]);
            handle.reload("debug,log=err".parse::<Levels>().expect("so")).expect("there");
            assert_eq!(speak(), []);
        });
    }
}
