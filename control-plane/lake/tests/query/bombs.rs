//! Conditions of somebody who means harm: refused, or bounded.

use std::time::Instant;

use anyhow::{Result, ensure};
use wanglou_lake::query::{Query, QueryError};

use crate::filled::{Filled, all, event};

fn refused(filter: &str) -> Result<String> {
    let began = Instant::now();
    let matcher = Query { filter: filter.to_owned(), ..all() }.matcher();
    ensure!(began.elapsed().as_secs() < 5, "{} bytes took {:?}", filter.len(), began.elapsed());
    let Err(error) = matcher else { anyhow::bail!("it is taken") };
    Ok(error.to_string())
}

#[test]
fn what_is_huge_or_deep_is_refused() -> Result<()> {
    ensure!(refused(&"process.pid = 1 OR ".repeat(1_000))?.contains("longer than 4096 bytes"));
    for deep in [
        format!("{}true{}", "(".repeat(2_000), ")".repeat(2_000)),
        format!("{}true", "NOT ".repeat(1_000)),
        format!("process.pid = {}1", "1+".repeat(2_000)),
        format!("process.pid = {}1", "- ".repeat(2_000)),
        format!("{}true", "true = ".repeat(500)),
        format!("{}true", "(true OR ".repeat(400)),
    ] {
        let error = refused(&deep)?;
        ensure!(error.lines().count() == 1 && error.len() < 200, "{error}");
    }
    Ok(())
}

#[test]
fn what_is_long_and_flat_is_taken() -> Result<()> {
    let flat = vec!["process.pid=1"; 200].join(" OR ");
    Query { filter: flat, ..all() }.matcher()?;
    let list = (0..800).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    Query { filter: format!("process.pid IN ({list})"), ..all() }.matcher()?;
    Ok(())
}

#[test]
fn there_are_no_functions_no_subqueries_and_no_tables() -> Result<()> {
    for filter in [
        "repeat(process.name, 1000000000) = 'a'",
        "process.pid IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "(SELECT 1) = 1",
        "CASE WHEN true THEN true END",
        "CAST(process.pid AS VARCHAR) = '1'",
        "process.name || process.name = 'a'",
        "read_csv('/etc/passwd') = 1",
        "process.name = $1",
        "process.pid = ANY(SELECT 1)",
        "process.name SIMILAR TO 'a'",
        "process.args[0] = 'a'",
    ] {
        let error = refused(filter)?;
        ensure!(error.starts_with("the condition is not understood: "), "{filter}: {error}");
    }
    Ok(())
}

#[test]
fn a_regular_expression_that_grows_is_refused() -> Result<()> {
    for pattern in ["(a{500}){500}", "((a{99}){99}){99}", "\\w{1000}", "(", "a{1000000}"] {
        let error = refused(&format!("process.command_line ~ '{pattern}'"))?;
        ensure!(error.contains("the regular expression: "), "{pattern}: {error}");
    }
    ensure!(refused("process.name ~ process.command_line")?.contains("has to be a text"));
    Ok(())
}

#[tokio::test]
async fn a_pattern_over_long_texts_takes_little() -> Result<()> {
    let filled = Filled::new().await?;
    let long = |pid| {
        let mut event = event("exec", i64::from(pid), pid, 0);
        if let Some(process) = &mut event.process {
            process.command_line = Some("a".repeat(30_000));
        }
        event
    };
    filled.land(&(1..100).map(long).collect::<Vec<_>>()).await?;
    let began = Instant::now();
    for filter in [
        "process.command_line ~ '(a+)+$b'",
        "process.command_line ~ '(a|aa|aaa){40}b'",
        "process.command_line LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b'",
    ] {
        ensure!(filled.pids(filter).await?.is_empty());
    }
    ensure!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn what_divides_by_zero_is_refused_wherever_the_zero_is() -> Result<()> {
    ensure!(refused("1 / 0 = 1")?.contains("ivide by zero"));
    let filled = Filled::new().await?;
    filled.land(&[event("exec", 1, 1, 0)]).await?;
    for _ in 0..2 {
        for filter in ["1 / process.parent.pid = 1", "process.pid / 0 = 1", "process.pid % 0 = 1"] {
            let query = Query { filter: filter.to_owned(), ..all() };
            let answer = filled.engine().read(&query).await;
            let Err(QueryError::Filter(error)) = answer else { anyhow::bail!("{answer:?}") };
            ensure!(error.to_string().contains("ivide by zero"), "{error}");
        }
        filled.compact().await?;
    }
    Ok(())
}
