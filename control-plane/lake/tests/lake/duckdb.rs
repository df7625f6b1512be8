//! Somebody else reads it: DuckDB, as `docs/lake.md` says.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use object_store::ObjectStore;
use wanglou_lake::Folder;

use crate::telling::{HOUR, NOW, Teller, open};

const DOCUMENTATION: &str = include_str!("../../../../docs/lake.md");

/// What the statements of the documentation say of the lake below.
const ANSWERS: [&str; 5] = [
    "[('exec', 3), ('fork', 1), ('ledger', 1)]",
    "[('a', 'make', 3)]",
    "[(3,)]",
    "[(True,)]",
    "[(2,)]",
];

#[tokio::test]
async fn duckdb_reads_the_folders() -> Result<()> {
    let root = tempfile::tempdir()?;
    let Some(python) = python(&root.path().join("venv"))? else {
        eprintln!("skipped: pip cannot install duckdb here");
        return Ok(());
    };
    let folder = root.path().join("lake");
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(&folder)?);
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    lake.store(host.batch(&["exec", "exec", "ledger"], NOW)).await?;
    lake.store(host.batch(&["exec", "fork"], NOW - HOUR)).await?;
    lake.compact(NOW).await?;
    let statements: Vec<_> = statements()?.collect();
    ensure!(statements.len() == ANSWERS.len(), "{statements:?}");
    for (asked, wanted) in statements.into_iter().zip(ANSWERS) {
        let script = format!("import duckdb; print(duckdb.sql(\"\"\"{asked}\"\"\").fetchall())");
        let answer = run(Command::new(&python).args(["-c", &script]).current_dir(&folder))?;
        let said = String::from_utf8_lossy(&answer.stdout);
        ensure!(
            said.trim() == wanted,
            "{asked}: {said}{}",
            String::from_utf8_lossy(&answer.stderr)
        );
    }
    Ok(())
}

fn statements() -> Result<impl Iterator<Item = &'static str>> {
    let (_, after) = DOCUMENTATION.split_once("```sql\n").context("a block of SQL")?;
    let (block, _) = after.split_once("```").context("its end")?;
    Ok(block.split(';').map(str::trim).filter(|statement| !statement.is_empty()))
}

/// One that has DuckDB; `None` where it cannot be had.
fn python(venv: &Path) -> Result<Option<std::path::PathBuf>> {
    let python = venv.join("bin/python3");
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(venv));
    if !made.is_ok_and(|made| made.status.success()) {
        return Ok(None);
    }
    let pip = ["-m", "pip", "install", "--quiet", "--timeout", "15", "--retries", "1", "duckdb"];
    let installed = run(Command::new(&python).args(pip))?;
    Ok(installed.status.success().then_some(python))
}

fn run(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("{command:?}"))
}
