//! What the tests of a program ask of its table. Each says what is wrong in one text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Id, OF_WORKERS, SHARED};
use crate::log::Level;

/// A table has no number twice, and what is shared as everybody has it.
pub fn table(table: &[(&str, Id)]) -> Result<(), String> {
    let codes: BTreeSet<_> = table.iter().map(|(_, id)| id.code).collect();
    if codes.len() != table.len() {
        return Err("a number stands for two".to_owned());
    }
    let is_code = |code: &str| {
        let digits = code.strip_prefix("WL").unwrap_or_default();
        digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    if let Some(code) = codes.iter().find(|code| !is_code(code)) {
        return Err(format!("{code} is not WL and four digits"));
    }
    for (name, shared) in SHARED {
        match table.iter().find(|(it, _)| it == name) {
            Some((_, id)) if id.code == shared.code && id.level == shared.level => {}
            Some(_) => return Err(format!("{name} is {} {:?}", shared.code, shared.level)),
            None if OF_WORKERS.contains(name) => {}
            None => return Err(format!("{name} is missing")),
        }
    }
    Ok(())
}

/// A page of the documentation has a table.
pub fn documentation(page: &Path, table: &[(&str, Id)]) -> Result<(), String> {
    let mut text = String::from("| id | level | means | what to do |\n| --- | --- | --- | --- |\n");
    for (_, Id { code, level, means, advice }) in table {
        // Writing to a string cannot fail.
        _ = writeln!(text, "| `{code}` | {level} | {means} | {advice} |");
    }
    let page_text = fs::read_to_string(page).map_err(|error| error.to_string())?;
    let has = page_text.contains(&text);
    if has { Ok(()) } else { Err(format!("{} has to have:\n\n{text}", page.display())) }
}

/// Every `warn!` and `error!` in the sources below a folder begins with the id of one of these, at its level.
pub fn sources<'a>(
    folder: &Path,
    known: impl Iterator<Item = (&'a str, Level)>,
) -> Result<(), String> {
    let known: Vec<_> = known.collect();
    let mut files = Vec::new();
    find(folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut seen = 0;
    for file in files {
        let wrong = |what: &str, line: &str| Err(format!("{}: {what}: {line}", file.display()));
        let source = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (level, text) in told(code) {
            let line = text.lines().next().unwrap_or_default();
            let name = text.trim_start().strip_prefix("id = ids::");
            let name = name.and_then(|text| text.split('.').next()).unwrap_or_default();
            match known.iter().find(|(it, _)| *it == name) {
                Some((_, its)) if *its == level => seen += 1,
                Some(_) => return wrong("another level than its id", line),
                None => return wrong("no id", line),
            }
        }
    }
    if seen > 0 { Ok(()) } else { Err(format!("{}: nothing is said", folder.display())) }
}

/// Each, with what stands behind it.
fn told(source: &str) -> Vec<(Level, &str)> {
    let of = |name: &'static str, level| {
        source.match_indices(name).map(move |(at, _)| (level, &source[at + name.len()..]))
    };
    // In two parts, so that these lines are not taken for one.
    let warnings = of(concat!("warn", "!("), Level::Warning);
    warnings.chain(of(concat!("error", "!("), Level::Error)).collect()
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = r#"fn f() { tracing::warn!(id = ids::RAW.code, "so"); }"#;
    const KNOWN: [(&str, Level); 2] = [("RAW", Level::Warning), ("FAILED", Level::Error)];

    fn checked(source: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.rs"), source).expect("a file");
        sources(folder.path(), KNOWN.into_iter())
    }

    #[test]
    fn what_is_said_without_an_id_is_found() {
        assert_eq!(checked(FINE), Ok(()));
        let told = |source: String| checked(&source).expect_err("it is wrong");
        assert!(told(FINE.replace("id = ids::RAW.code, ", "")).contains("no id"));
        assert!(told(FINE.replace("RAW", "FAILED")).contains("another level"));
        assert!(told(String::new()).contains("nothing is said"));
    }

    #[test]
    fn a_table_has_what_is_shared_as_it_is() {
        let id = |(name, it): &(&'static str, super::super::Shared)| {
            (*name, Id { code: it.code, level: it.level, means: "", advice: "" })
        };
        let mut ids: Vec<_> = SHARED.iter().map(id).collect();
        assert_eq!(table(&ids), Ok(()));
        ids.retain(|(name, _)| *name != "RAW");
        assert_eq!(table(&ids), Ok(()));
        ids[0].1.code = "WL1999";
        assert!(table(&ids).is_err(), "it has another number");
        ids.remove(0);
        assert!(table(&ids).is_err(), "it is missing");
        ids.clear();
        assert!(table(&ids).is_err(), "all are missing");
    }
}
