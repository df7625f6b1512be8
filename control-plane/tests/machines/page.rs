//! A page of documentation, as somebody reads it who does what it says: its blocks for a shell, and where each is run.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// What a block begins with, before the machines it is for.
const ON: &str = "# on ";

/// What is left to be done.
pub(crate) struct Page {
    blocks: VecDeque<Block>,
}

/// Something to be run.
#[derive(Debug)]
pub(crate) struct Block {
    /// The heading above it.
    pub(crate) section: String,
    /// Where.
    pub(crate) machines: Vec<String>,
    /// What, as it stands.
    pub(crate) script: String,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::of(&text)
    }

    fn of(text: &str) -> Result<Self> {
        let (mut blocks, mut section) = (VecDeque::new(), String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                if language == "sh" {
                    blocks.push_back(Block::of(&section, &inside)?);
                }
            } else if line.starts_with('#') {
                line.trim_start_matches('#').trim().clone_into(&mut section);
            }
        }
        Ok(Self { blocks })
    }

    /// The blocks of a section, which has to be the next one that has any.
    pub(crate) fn take(&mut self, section: &str) -> Result<Vec<Block>> {
        let many = self.blocks.iter().take_while(|block| block.section == section).count();
        ensure!(many > 0, "{section:?} is not what comes next: {:?}", self.blocks.front());
        Ok(self.blocks.drain(..many).collect())
    }

    /// Nothing of the page was left out.
    pub(crate) fn is_done(&self) -> Result<()> {
        ensure!(self.blocks.is_empty(), "nobody has done this: {:?}", self.blocks);
        Ok(())
    }
}

impl Block {
    fn of(section: &str, lines: &[&str]) -> Result<Self> {
        let Some(names) = lines.first().and_then(|line| line.strip_prefix(ON)) else {
            bail!("in {section:?} a block does not say where it is run: {lines:?}");
        };
        Ok(Self {
            section: section.to_owned(),
            machines: names.split(", ").map(str::to_owned).collect(),
            script: lines.join("\n"),
        })
    }
}

#[test]
fn blocks_are_read_with_where_they_are_run() -> Result<()> {
    let text =
        "# A\n```sh\n# on a, b\nx\n```\n## B\n```console\n$ no\n```\n```sh\n# on c\ny\n```\n";
    let mut page = Page::of(text)?;
    ensure!(page.take("B").is_err(), "A is first");
    let first = page.take("A")?;
    ensure!(first.len() == 1 && first[0].machines == ["a", "b"], "{first:?}");
    ensure!(first[0].script == "# on a, b\nx", "{first:?}");
    ensure!(page.is_done().is_err(), "B is left");
    ensure!(page.take("B")?[0].machines == ["c"]);
    page.is_done()?;
    ensure!(Page::of("```sh\nx\n```\n").is_err(), "nobody knows where");
    Ok(())
}
