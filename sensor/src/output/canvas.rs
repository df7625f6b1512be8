//! A line of text for a terminal: safe to show, cut to a width, coloured if wanted.

use unicode_width::UnicodeWidthChar;

/// What a piece of a line is, by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Bold,
    Good,
    Notice,
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "\x1b[0m",
            Self::Dim => "\x1b[0;2m",
            Self::Bold => "\x1b[0;1m",
            Self::Good => "\x1b[0;32m",
            Self::Notice => "\x1b[0;33m",
            Self::Bad => "\x1b[0;1;31m",
        }
    }
}

/// A line in the making.
pub(super) struct Canvas<'a> {
    out: &'a mut Vec<u8>,
    columns: Option<usize>,
    colour: bool,
    used: usize,
    /// Length of `out` up to which a cut leaves a column for the ellipsis.
    fits: usize,
}

impl<'a> Canvas<'a> {
    /// `columns`: `None` never cuts.
    pub(super) fn new(out: &'a mut Vec<u8>, columns: Option<usize>, colour: bool) -> Self {
        let fits = out.len();
        Self { out, columns, colour, used: 0, fits }
    }

    pub(super) fn style(&mut self, style: Style) {
        if self.colour && !self.is_full() {
            self.out.extend_from_slice(style.code().as_bytes());
        }
    }

    /// Appends text from anywhere. What would steer the terminal, or deceive the reader about the
    /// order of what is shown, is spelled out instead.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            if self.is_full() {
                return;
            }
            match c {
                ' '..='~' => self.char(c, 1),
                c if steers(c) => c.escape_default().for_each(|c| self.char(c, 1)),
                c => self.char(c, c.width().unwrap_or(0)),
            }
        }
    }

    /// Blanks up to a column; at least one if that is past already.
    pub(super) fn column(&mut self, column: usize) {
        for _ in 0..column.saturating_sub(self.used).max(1) {
            self.char(' ', 1);
        }
    }

    pub(super) fn finish(self) {
        if self.is_full() {
            self.out.truncate(self.fits);
            self.out.extend_from_slice("…".as_bytes());
        }
        if self.colour {
            self.out.extend_from_slice(Style::Plain.code().as_bytes());
        }
        self.out.push(b'\n');
    }

    fn char(&mut self, c: char, width: usize) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        self.used += width;
        if self.columns.is_none_or(|columns| self.used < columns) {
            self.fits = self.out.len();
        }
    }

    /// Something did not fit.
    fn is_full(&self) -> bool {
        self.columns.is_some_and(|columns| self.used > columns)
    }
}

/// Control characters, line separators, and the invisible ones that reorder text.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn drawn(columns: Option<usize>, text: &str) -> String {
        let mut out = Vec::new();
        let mut canvas = Canvas::new(&mut out, columns, false);
        canvas.text(text);
        canvas.finish();
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn cuts_only_what_does_not_fit() {
        assert_eq!(drawn(Some(5), "12345"), "12345\n");
        assert_eq!(drawn(Some(5), "123456"), "1234…\n");
        assert_eq!(drawn(None, &"x".repeat(5000)).len(), 5001);
        assert_eq!(drawn(Some(5), "望楼望楼"), "望楼…\n");
    }

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        let shown = drawn(None, "a\x1b]0;title\x07\n\u{9b}2J\u{202e}z");
        assert_eq!(shown, "a\\u{1b}]0;title\\u{7}\\n\\u{9b}2J\\u{202e}z\n");
    }

    #[test]
    fn a_cut_line_still_ends_its_colour() {
        let mut out = Vec::new();
        let mut canvas = Canvas::new(&mut out, Some(3), true);
        canvas.style(Style::Bad);
        canvas.text("abcd");
        canvas.finish();
        assert_eq!(out, "\x1b[0;1;31mab…\x1b[0m\n".as_bytes());
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_the_terminal_nor_steers_it(text: String, columns in 1..200usize) {
            let shown = drawn(Some(columns), &text);
            let shown = shown.strip_suffix('\n').expect("a line");
            prop_assert!(shown.width() <= columns);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
