//! What the command lines of all programs have: where settings come from, `config`, and wrong usage in a line.

use std::io::Write as _;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config::{Config, Effective, Layers, Problem};

/// Where settings come from, beside the environment.
#[derive(Clone, Debug, Args)]
pub struct Layered<C: Config> {
    /// The file to read.
    #[arg(long, value_name = "FILE", help = usual_file::<C>())]
    config: Option<PathBuf>,
    /// A setting, over what file and environment say; may be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    #[arg(skip)]
    _of: PhantomData<C>,
}

fn usual_file<C: Config>() -> String {
    format!("The file to read [default: {} if it is there]", C::FILE)
}

impl<C: Config> Layered<C> {
    /// File, environment and flags as they are now.
    pub fn layers(&self) -> Layers {
        Layers::here::<C>(self.config.as_deref(), &self.set)
    }

    /// Reads them.
    pub fn load(&self) -> Result<Effective<C>, Vec<Problem>> {
        self.layers().load()
    }
}

/// What to do with a configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand<C: Config> {
    /// Tell everything that is wrong with a file
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print every setting with its value, and where that comes from
    Show(Layered<C>),
}

impl<C: Config> ConfigCommand<C> {
    /// Does it.
    pub fn run(&self) -> ExitCode {
        let loaded = match self {
            Self::Check { file } => Layers::of_file(file).load(),
            Self::Show(layered) => layered.load(),
        };
        let effective: Effective<C> = match loaded {
            Ok(effective) => effective,
            Err(problems) => return complain::<C>(&problems),
        };
        match self {
            Self::Show(_) => {
                // A reader that goes away has seen enough.
                let _ = write!(std::io::stdout(), "{effective}");
            }
            Self::Check { file } => {
                let faults = effective.config.faults();
                for fault in &faults {
                    eprintln!("{}: {}: {fault}", C::PROGRAM, file.display());
                }
                if !faults.is_empty() {
                    return ExitCode::FAILURE;
                }
                let settings = effective.places.len();
                println!("{}: all is well: {settings} settings of its own", file.display());
            }
        }
        ExitCode::SUCCESS
    }
}

/// Tells everything that is wrong at once, a line each.
pub fn complain<C: Config>(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("{}: {problem}", C::PROGRAM);
    }
    ExitCode::FAILURE
}

/// Writes help and version as they are, and what is wrong in one line.
pub fn usage<C: Config>(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that goes away is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let values = lines.find(|line| line.starts_with('[')).unwrap_or_default();
    let line = [what, values, "(--help tells more)"].join(" ").replace("  ", " ");
    eprintln!("{}: {line}", C::PROGRAM);
    ExitCode::from(2)
}
