//! `watch`: this host's events on standard output, until a signal or a reader that goes away.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::worker::{self, Options};

/// Watches until told to end.
pub async fn watch(options: Options) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let told = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    worker::work(options, told, |_| Ok(())).await
}
