//! Somebody else reads it: DuckDB, as `docs/lake.md` says.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use object_store::ObjectStore;
use wanglou_lake::Folder;

use crate::python;
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
    let Some(python) = python::with("duckdb", &root.path().join("venv"))? else {
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
        let answer = python::run(Command::new(&python).args(["-c", &script]).current_dir(&folder))?;
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
