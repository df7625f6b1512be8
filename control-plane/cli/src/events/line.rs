//! A line in the making: pieces with their colours, in columns.

use crate::table::Tone;
use crate::text::{clean, cut, width};

/// One that nobody has seen yet.
#[derive(Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(String, Tone)>,
    used: usize,
}

impl Line {
    /// Goes on with a text from anywhere.
    pub(super) fn put(&mut self, text: &str, tone: Tone) {
        let text = clean(text);
        self.used += width(&text);
        self.pieces.push((text, tone));
    }

    /// Goes on at a column, or after a blank if the text before it is too long.
    pub(super) fn column(&mut self, at: usize) {
        let blanks = at.saturating_sub(self.used).max(usize::from(self.used > 0));
        self.put(&" ".repeat(blanks), Tone::Plain);
    }

    /// The same with a text that ends before the column `end`.
    pub(super) fn right(&mut self, text: &str, at: usize, end: usize, tone: Tone) {
        self.column(at.max(end.saturating_sub(1 + width(text))));
        self.put(text, tone);
    }

    /// As it is shown, within so many columns if there is a terminal to fit.
    pub(super) fn finish(self, columns: Option<usize>, colour: bool) -> String {
        let mut left = columns.unwrap_or(usize::MAX);
        // Where it ends in an ellipsis, whatever comes after it.
        let mut text = String::new();
        let is_cut = self.used > left;
        for (piece, tone) in self.pieces {
            let wide = width(&piece);
            if is_cut && wide >= left {
                // One more than there is room for: it is cut even if it would fit.
                let rest = format!("{piece}  ");
                text.push_str(&tone.paint(&cut(&rest, left), colour));
                return text;
            }
            left -= wide.min(left);
            if !piece.is_empty() {
                text.push_str(&tone.paint(&piece, colour));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let mut line = Line::default();
        line.put("exec", Tone::Good);
        line.right("4711", 6, 14, Tone::Plain);
        line.column(14);
        line.put("望楼\x1b[2J", Tone::Plain);
        line
    }

    #[test]
    fn columns_hold_whatever_is_in_them() {
        assert_eq!(line().finish(None, false), "exec     4711 望楼\\u{1b}[2J");
        let mut long = Line::default();
        long.put("longer than it should be", Tone::Plain);
        long.column(4);
        long.put("x", Tone::Plain);
        assert_eq!(long.finish(None, false), "longer than it should be x");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in 1..40 {
            let text = line().finish(Some(columns), false);
            assert!(width(&text) <= columns, "{columns}: {text:?}");
            assert_eq!(text.ends_with('…'), columns < 27, "{columns}: {text:?}");
        }
        assert!(line().finish(Some(10), true).starts_with("\x1b[32mexec\x1b[0m"));
    }
}
