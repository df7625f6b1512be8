//! What events are compared with.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::event::{field, number};

/// A field has this value.
pub(super) fn same(event: &Value, path: &str, wanted: impl Into<Value>) -> Result<()> {
    let (seen, wanted) = (field(event, path), wanted.into());
    let seen_text = seen.map_or("absent".to_owned(), |seen| format!("{seen:.300}"));
    ensure!(seen == Some(&wanted), "{path}: expected {wanted:.300}, is {seen_text}");
    Ok(())
}

/// A field is not there.
pub(super) fn absent(event: &Value, path: &str) -> Result<()> {
    let seen = field(event, path);
    ensure!(seen.is_none(), "{path}: expected to be absent, is {}", seen.unwrap_or(&Value::Null));
    Ok(())
}

/// A field is this path, which must be UTF-8.
pub(super) fn same_path(event: &Value, path: &str, wanted: &Path) -> Result<()> {
    same(event, path, wanted.to_str().context("a path that is not UTF-8")?)
}

/// The arguments are these, all of them.
pub(super) fn whole_args(event: &Value, truth: &[impl AsRef<OsStr>]) -> Result<()> {
    let truth: Vec<String> = truth.iter().map(|arg| escaped(arg.as_ref().as_bytes())).collect();
    same(event, "process.args", json!(truth))?;
    same(event, "process.args_count", truth.len())?;
    let cut = ["args_truncated", "args_bytes", "args_omitted"];
    cut.iter().try_for_each(|field| absent(event, &format!("process.{field}")))
}

/// The arguments are the head and the tail of these, and it is said exactly what is missing.
pub(super) fn cut_args(event: &Value, truth: &[impl AsRef<OsStr>]) -> Result<()> {
    let ended = |args: Vec<&[u8]>| -> Vec<u8> {
        args.into_iter().flat_map(|arg| arg.iter().copied().chain([0])).collect()
    };
    let bytes = ended(truth.iter().map(|arg| arg.as_ref().as_bytes()).collect());
    same(event, "process.args_truncated", true)?;
    same(event, "process.args_count", truth.len())?;
    same(event, "process.args_bytes", bytes.len())?;

    let args = field(event, "process.args").and_then(Value::as_array).context("no args")?;
    let args: Vec<&[u8]> = args.iter().filter_map(Value::as_str).map(str::as_bytes).collect();
    let index = number(event, "process.args_omitted.index").context("no args_omitted.index")?;
    let omitted = number(event, "process.args_omitted.bytes").context("no args_omitted.bytes")?;
    let index = usize::try_from(index)?;
    ensure!(index < args.len(), "args_omitted.index is {index} of {}", args.len());
    let before = ended(args[..index].to_vec()).len();
    let kept = ended(args.clone());
    let (missing, seen) = (bytes.len() - kept.len().min(bytes.len()), kept.len());
    ensure!(
        omitted == missing as u64,
        "args_omitted.bytes is {omitted}, of {} bytes {seen} are there",
        bytes.len()
    );
    ensure!(seen >= 16 * 1024, "only {seen} bytes kept");
    // The cut is somewhere in the argument of the index: one place there must fit.
    let fits = |cut: usize| bytes.starts_with(&kept[..cut]) && bytes.ends_with(&kept[cut..]);
    let after = before + args[index].len() + 1;
    ensure!(
        (before..=after.min(kept.len())).any(fits),
        "args are no head and tail of what was executed, cut at argument {index}"
    );
    ensure!(before > 0 && kept.len() > after || args.len() <= 4, "head or tail is missing");
    Ok(())
}

/// As events write bytes: what is not UTF-8 as `\xNN`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}
