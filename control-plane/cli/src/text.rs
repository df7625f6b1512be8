//! Text of others, fit to be shown.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Spells out what would steer a terminal, or deceive the reader about the order of what is shown.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            cleaned.extend(c.escape_unicode());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

fn steers(c: char) -> bool {
    let is_invisible = !c.is_ascii() && c.width() == Some(0) && !is_combining(c);
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}')
        || is_invisible
}

/// Marks that belong to the letter before them.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20f0}')
}

/// Columns of a terminal that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The beginning of a text that fits into `columns`, with an ellipsis if that is not all of it.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(clean("a\x1b[2J\n\u{202e}z\u{200b}"), "a\\u{1b}[2J\\u{a}\\u{202e}z\\u{200b}");
        assert_eq!(clean("望楼 e\u{301}"), "望楼 e\u{301}");
    }

    #[test]
    fn a_cut_text_fits() {
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(cut("123456", 5), "1234…");
        assert_eq!(cut("望楼望楼", 5), "望楼…");
        assert_eq!(cut("望楼", 1), "…");
        assert_eq!(cut("a", 0), "");
    }
}
