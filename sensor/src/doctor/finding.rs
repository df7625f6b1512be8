//! A line of the report: verdict, name, detail, and below it the next step.

use std::fmt;

/// Terminals are this wide at least.
const WIDTH: usize = 80;
/// The longest name: that of a probe.
const NAME: usize = 24;
/// Where details begin: behind the verdict and the name.
const MARGIN: usize = 6 + NAME + 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// Works without, and says what is lost.
    Less,
    /// Something cannot work.
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) next: Option<String>,
}

impl Finding {
    pub(super) fn good(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, name: name.into(), detail: detail.into(), next: None }
    }

    pub(super) fn less(
        name: impl Into<String>,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Less, next: Some(next.into()), ..Self::good(name, detail) }
    }

    pub(super) fn bad(
        name: impl Into<String>,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Bad, ..Self::less(name, detail, next) }
    }
}

/// An error in words: without the number that `io::Error` adds.
pub(super) fn reason(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((before, after)) => {
            format!(
                "{before}{}",
                after.trim_start_matches(|c: char| c != ')').trim_start_matches(')')
            )
        }
        None => text,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Less => "less",
            Verdict::Bad => "no",
        };
        write!(f, "{verdict:<5} {:<NAME$} ", self.name)?;
        wrap(f, &self.detail)?;
        match &self.next {
            None => Ok(()),
            Some(next) => {
                write!(f, "\n{:MARGIN$}", "")?;
                wrap(f, &format!("-> {next}"))
            }
        }
    }
}

/// Words in lines, those after the first below its beginning; a word is never torn.
fn wrap(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut column = MARGIN;
    for (n, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if n > 0 && column + 1 + length > WIDTH {
            write!(f, "\n{:MARGIN$}", "")?;
            column = MARGIN;
        } else if n > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_words() {
        let shown = reason(&"map x: not permitted (os error 1): run as root");
        assert_eq!(shown, "map x: not permitted: run as root");
    }

    #[test]
    fn a_finding_fits_a_narrow_terminal() {
        let finding = Finding::bad("btf", "cannot be read ".repeat(9), "boot a kernel that has it");
        let shown = finding.to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(shown.starts_with("no    btf                      cannot be read"), "{shown}");
        assert!(
            shown.ends_with("\n                               -> boot a kernel that has it"),
            "{shown}"
        );
    }
}
