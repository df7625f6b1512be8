//! Programs of every kind, and every way to become one.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};

use super::{
    Case, Expect, Stage,
    expect::{absent, same, same_path, whole_args},
};
use crate::event::text;

pub(super) const CASES: &[Case] = &[
    Case::any("script", script),
    Case::any("script_of_script", script_of_script),
    Case::any("memfd", memfd),
    Case::any("deleted", deleted),
    Case::any("exec_from_thread", exec_from_thread),
    Case::any("five_execs", five_execs),
    Case::any("failed_exec", failed_exec),
];

fn script(stage: &Stage) -> Result<Expect> {
    let (actor, file) = (stage.actor(), stage.path("case-script"));
    write_script(&file, &actor, "noop")?;
    let pid = stage.run(stage.command(&file).arg("given"))?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        let exec = life.one("exec")?;
        whole_args(
            exec,
            &[actor.as_os_str(), "noop".as_ref(), file.as_os_str(), "given".as_ref()],
        )?;
        same_path(exec, "process.executable", &actor)?;
        same(exec, "process.name", "case-script")?;
        if probes { same_path(exec, "wanglou.script", &file) } else { Ok(()) }
    }))
}

fn script_of_script(stage: &Stage) -> Result<Expect> {
    let (actor, inner, outer) = (stage.actor(), stage.path("inner"), stage.path("outer"));
    write_script(&inner, &actor, "noop")?;
    write_script(&outer, &inner, "of-outer")?;
    let pid = stage.run(&mut stage.command(&outer))?;
    let probes = stage.probes();
    Ok(Box::new(move |stream| {
        let exec = stream.life(pid)?.one("exec")?;
        let (noop, given) = ("noop".as_ref(), "of-outer".as_ref());
        let truth = [actor.as_os_str(), noop, inner.as_os_str(), given, outer.as_os_str()];
        whole_args(exec, &truth)?;
        same_path(exec, "process.executable", &actor)?;
        if probes { same_path(exec, "wanglou.script", &outer) } else { Ok(()) }
    }))
}

fn write_script(file: &Path, interpreter: &Path, arg: &str) -> Result<()> {
    fs::write(file, format!("#!{} {arg}\n", interpreter.display()))?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o755))?)
}

fn memfd(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("exec-memfd").arg("hidden"))?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let [first, second] = life.of("exec")[..] else { unreachable!("it ran two") };
        absent(first, "wanglou.executable.memfd")?;
        same(second, "wanglou.executable.memfd", true)?;
        let executable = text(second, "process.executable").context("no executable")?;
        ensure!(executable.contains("wanglou-case"), "process.executable is {executable:?}");
        whole_args(second, &[actor.as_os_str(), "noop".as_ref(), "hidden".as_ref()])
    }))
}

fn deleted(stage: &Stage) -> Result<Expect> {
    let copy = stage.path("soon-gone");
    fs::copy(stage.actor(), &copy)?;
    let pid = stage.run(stage.role("exec-deleted").arg(&copy))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let [first, second] = life.of("exec")[..] else { unreachable!("it ran two") };
        absent(first, "wanglou.executable.deleted")?;
        same(second, "wanglou.executable.deleted", true)?;
        same_path(second, "process.executable", &copy)
    }))
}

fn exec_from_thread(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("exec-from-thread").arg("by-thread"))?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(2)?;
        let exec = life.of("exec")[1];
        whole_args(exec, &[actor.as_os_str(), "noop".as_ref(), "by-thread".as_ref()])
    }))
}

fn five_execs(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("exec-chain").arg("4"))?;
    let actor = stage.actor();
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(5)?;
        for (exec, left) in life.of("exec").into_iter().zip((0..5).rev()) {
            let left = left.to_string();
            whole_args(exec, &[actor.as_os_str(), "exec-chain".as_ref(), left.as_ref()])?;
        }
        Ok(())
    }))
}

/// An exec that fails is none.
fn failed_exec(stage: &Stage) -> Result<Expect> {
    let pid = stage.run(stage.role("exec").arg(stage.path("not-there")).arg("x"))?;
    Ok(Box::new(move |stream| {
        let life = stream.life(pid)?;
        life.ran(1)?;
        same(life.one("end")?, "process.exit_code", 1)
    }))
}
