//! Somebody else reads it: DuckDB, as `docs/lake.md` says.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use object_store::ObjectStore;
use wanglou_lake::Folder;

use crate::telling::{HOUR, NOW, Teller, open};

/// Statements of the documentation, with what they say of the lake below.
const ASKED: [(&str, &str); 4] = [
    (
        "SELECT kind, count(*) FROM read_parquet('events/**/*.parquet', hive_partitioning = true) GROUP BY kind ORDER BY kind",
        "[('exec', 3), ('fork', 1), ('ledger', 1)]",
    ),
    (
        "SELECT host.id, process.name, count(*) FROM read_parquet('events/**/*.parquet') WHERE event.action = 'exec' GROUP BY ALL",
        "[('a', 'make', 3)]",
    ),
    (
        "SELECT DISTINCT list_contains(process.args, 'all') FROM read_parquet('events/**/*.parquet')",
        "[(True,)]",
    ),
    (
        "SELECT wanglou.ledger.produced['exec'] FROM read_parquet('events/**/*.parquet', hive_partitioning = true) WHERE kind = 'ledger'",
        "[(2,)]",
    ),
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
    for (asked, wanted) in ASKED {
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
