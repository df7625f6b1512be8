//! Where the events go to: readers that leave, disks that are full, terminals of any width.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use wanglou_testkit::{Watch, bins, lock, root_or_skip, sys};

#[test]
fn a_reader_that_leaves_ends_it_quietly() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut watch = Watch::builder().start_into(Stdio::piped())?;
    let mut reader = BufReader::new(watch.stdout().context("stdout was piped")?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.starts_with('{'), "the first line is {line:?}");
    drop(reader);
    // Nobody reads any more, which it finds out with the next event.
    play(&["noop"])?;
    let capture = watch.ended()?;
    let (status, stderr) = (capture.status, capture.stderr.join("\n"));
    ensure!(status.success(), "it ends with {status}: {stderr}");
    let loud = ["error", "pipe", "panicked"].iter().any(|word| stderr.contains(word));
    ensure!(!loud, "not quietly: {stderr}");
    Ok(())
}

#[test]
fn a_full_disk_is_an_error() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let full = File::options().write(true).open("/dev/full")?;
    let capture = Watch::builder().start_into(full.into())?.ended()?;
    let (status, stderr) = (capture.status, capture.stderr.join("\n"));
    ensure!(status.code() == Some(1), "it ends with {status}: {stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    ensure!(last.contains("No space left") || last.contains("full"), "not why: {stderr}");
    ensure!(!stderr.contains("panicked"), "{stderr}");
    Ok(())
}

#[test]
fn pretty_stays_aligned_at_80_columns() -> Result<()> {
    stays_aligned(80)
}

#[test]
fn pretty_stays_aligned_at_160_columns() -> Result<()> {
    stays_aligned(160)
}

fn stays_aligned(columns: u16) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let (ours, theirs) = sys::open_pty(columns)?;
    let reader = thread::spawn(move || read_terminal(ours));
    let watch = Watch::builder().output("pretty").start_into(theirs.into())?;
    watch.wait_until_ready()?;
    // What must not break lines, move the cursor or ring the bell.
    let args =
        ["\u{1b}[2J\u{1b}]0;x\u{7}", "two\nlines", "\t", "望楼望楼望楼", &"long ".repeat(80)];
    let pid = play(&[&["noop"], &args[..]].concat())?.to_string();
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "it ends with {}: {:?}", capture.status, capture.stderr);

    let Ok(screen) = reader.join() else { bail!("the reader panicked") };
    let screen = String::from_utf8(screen).context("not UTF-8 on the terminal")?;
    let lines: Vec<String> = screen.lines().map(without_colours).collect::<Result<_>>()?;
    for line in &lines {
        let wide = width(line);
        ensure!(wide <= columns.into(), "{wide} columns of {columns}: {line:?}");
    }
    let places: Vec<usize> = lines
        .iter()
        .filter_map(|line| {
            let at = line.split(' ').position(|word| word == pid)?;
            let before = line.split(' ').take(at).collect::<Vec<_>>().join(" ");
            Some(width(&before) + 1 + pid.len())
        })
        .collect();
    ensure!(places.len() >= 3, "fork, exec and end of {pid} are not all shown: {screen}");
    ensure!(places.iter().all(|place| *place == places[0]), "the pid is at {places:?}: {lines:?}");
    Ok(())
}

fn play(role: &[&str]) -> Result<u32> {
    let mut child = Command::new(bins::testkit("actor")?).args(role).spawn()?;
    child.wait()?;
    Ok(child.id())
}

/// Until the other side is closed, which a terminal tells by an error.
fn read_terminal(mut ours: File) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = ours.read(&mut piece) {
        all.extend_from_slice(&piece[..n]);
    }
    all
}

/// The text of a line whose only control sequences are colours.
fn without_colours(line: &str) -> Result<String> {
    let mut text = String::new();
    let mut rest = line.trim_end_matches('\r');
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').context("cut short")?;
        ensure!(after[end..].starts_with('m'), "a control sequence that is no colour: {line:?}");
        rest = &after[end + 1..];
    }
    text.push_str(rest);
    ensure!(!text.contains(char::is_control), "control characters: {text:?}");
    Ok(text)
}

/// Columns that it takes; of what is wide, we only write Han.
fn width(text: &str) -> usize {
    text.chars().map(|c| if ('\u{4e00}'..='\u{9fff}').contains(&c) { 2 } else { 1 }).sum()
}
