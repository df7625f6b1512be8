//! Tests that would disturb each other take turns, across threads and across test binaries.

use std::{env, fs::File};

use anyhow::{Context, Result};

/// Held while a test needs the machine in a certain state; released on drop.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

/// For storms and for whatever measures: nobody else of us runs meanwhile.
pub fn alone() -> Result<Turn> {
    let file = open()?;
    file.lock().context("cannot lock the test lock")?;
    Ok(Turn { _file: file })
}

/// For everything else: may run beside its like, but not during a storm.
pub fn shared() -> Result<Turn> {
    let file = open()?;
    file.lock_shared().context("cannot lock the test lock")?;
    Ok(Turn { _file: file })
}

fn open() -> Result<File> {
    let path = env::temp_dir().join("wanglou-test.lock");
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}
