//! Names and values, one a line.

use crate::table::{Cell, Tone};
use crate::terminal::Look;

/// `name  value`, with the names as wide as the widest. Values are not cut: a terminal folds them.
pub(crate) fn lines(of: &[(&str, Cell)], look: Look) -> Vec<String> {
    let wide = of.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    of.iter()
        .map(|(name, cell)| {
            let name = Tone::Dim.paint(&format!("{name:wide$}"), look.colour);
            format!("{name}  {}", cell.painted(look.colour))
        })
        .collect()
}
