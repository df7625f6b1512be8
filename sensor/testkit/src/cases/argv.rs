//! Arguments of every kind.

use std::{
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStringExt, process::CommandExt},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Case, Expect, Stage,
    expect::{absent, cut_args, same, same_path, whole_args},
};
use crate::event::field;

pub(super) const CASES: &[Case] = &[
    Case::any("plain", plain),
    Case::any("empty_strings", empty_strings),
    Case::any("newlines", newlines),
    Case::any("quotes_and_escapes", quotes_and_escapes),
    Case::any("not_utf8", not_utf8),
    Case::any("long_argument", long_argument),
    Case::any("long_in_many", long_in_many),
    Case::any("many_arguments", many_arguments),
    Case::any("just_whole", just_whole),
    Case::any("other_argv0", other_argv0),
    Case::any("no_argv", no_argv),
];

/// Runs `noop` with these arguments; expects them, and nothing said of bytes.
fn whole(stage: &Stage, args: Vec<OsString>) -> Result<Expect> {
    let pid = stage.run(stage.role("noop").args(&args))?;
    let truth = full(stage, args);
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        whole_args(life.one("exec")?, &truth)?;
        absent(life.one("exec")?, "event.original_bytes")
    }))
}

/// Runs `noop` with these arguments; expects their head and tail.
fn cut(stage: &Stage, args: Vec<OsString>) -> Result<Expect> {
    let pid = stage.run(stage.role("noop").args(&args))?;
    let truth = full(stage, args);
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        cut_args(life.one("exec")?, &truth)
    }))
}

fn full(stage: &Stage, args: Vec<OsString>) -> Vec<OsString> {
    [stage.actor().into(), "noop".into()].into_iter().chain(args).collect()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

fn plain(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("noop").arg("one"))?;
    let (actor, me) = (stage.actor(), std::process::id());
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let exec = life.one("exec")?;
        whole_args(exec, &[actor.as_os_str(), OsStr::new("noop"), OsStr::new("one")])?;
        same_path(exec, "process.executable", &actor)?;
        same(exec, "process.name", "actor")?;
        same(exec, "process.command_line", format!("{} noop one", actor.display()))?;
        for event in &life.events {
            same(event, "process.parent.pid", me)?;
        }
        same(life.one("end")?, "process.exit_code", 0)?;
        absent(life.one("end")?, "process.signal")
    }))
}

fn empty_strings(stage: &Stage) -> Result<Expect> {
    whole(stage, words(["", "a", "", ""]))
}

fn newlines(stage: &Stage) -> Result<Expect> {
    whole(stage, words(["a\nb", "\n", "c\r\n", "\t"]))
}

fn quotes_and_escapes(stage: &Stage) -> Result<Expect> {
    // The last two look like what is written for bytes, but are text.
    whole(stage, words(["\"", "'", "\\", "\u{1b}[31m", "\u{7f}", "望楼", "$(x)", r"\xFF", r"\n"]))
}

fn not_utf8(stage: &Stage) -> Result<Expect> {
    let args = [&b"\xff\xfe-x"[..], b"ok", b"caf\xe9"].map(|arg| OsString::from_vec(arg.to_vec()));
    let pid = stage.run(stage.role("noop").args(&args))?;
    let truth = full(stage, args.to_vec());
    Ok(Box::new(move |stream| {
        let exec = stream.life(pid)?.one("exec")?;
        whole_args(exec, &truth)?;
        let fields = field(exec, "event.original_bytes").and_then(Value::as_array);
        let fields = fields.context("no event.original_bytes")?;
        let args = fields.iter().filter_map(Value::as_str).any(|f| f.starts_with("process.args"));
        ensure!(args, "event.original_bytes is {fields:?}");
        Ok(())
    }))
}

fn long_argument(stage: &Stage) -> Result<Expect> {
    let letters = (0..100 * 1024).map(|n| b'a' + (n / 1024 % 26) as u8).collect();
    cut(stage, [words(["first"]), vec![OsString::from_vec(letters)], words(["last"])].concat())
}

fn long_in_many(stage: &Stage) -> Result<Expect> {
    cut(stage, (0..1024).map(|n| format!("{n:099}").into()).collect())
}

fn many_arguments(stage: &Stage) -> Result<Expect> {
    whole(stage, (0..3000).map(|n| format!("a{n:04}").into()).collect())
}

/// As many bytes as are promised to be kept: 32 KiB with all NULs.
fn just_whole(stage: &Stage) -> Result<Expect> {
    let begun = stage.actor().as_os_str().len() + "noop".len() + 3;
    whole(stage, vec![OsString::from_vec(vec![b'x'; 32 * 1024 - begun])])
}

fn other_argv0(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("noop").arg0("-not the file"))?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let exec = stream.life(pid)?.one("exec")?;
        whole_args(exec, &["-not the file", "noop"])?;
        same(exec, "process.name", "actor")?;
        same_path(exec, "process.executable", &actor)
    }))
}

fn no_argv(stage: &Stage) -> Result<Expect> {
    let pids = stage.keep("exec-without-args", &[])?;
    let (pid, argc) = (pids["role"], pids["argc"]);
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let exec = life.of("exec")[1];
        same_path(exec, "process.executable", &actor)?;
        // Since 5.18, and in later releases of older series, the kernel makes an empty one of none.
        if argc > 0 {
            return whole_args(exec, &[""]);
        }
        let none = field(exec, "process.args").is_none_or(|args| args == &Value::Array(vec![]));
        ensure!(none, "process.args: expected none");
        same(exec, "process.args_count", 0)
    }))
}
