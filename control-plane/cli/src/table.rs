//! Rows in columns for people, within the width that there is.

use crate::text::{clean, cut, width};

/// Between columns.
const GAP: usize = 2;

/// What a cell is, by its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As everything else.
    #[default]
    Plain,
    /// Less than everything else.
    Dim,
    /// A heading.
    Bold,
    /// As it should be.
    Good,
    /// Worth a look.
    Notice,
    /// As it should not be.
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Notice => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
        }
    }

    /// A text in it, if there are colours.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        match self.code() {
            "" => text.to_owned(),
            _ if !colour => text.to_owned(),
            code => format!("{code}{text}\x1b[0m"),
        }
    }
}

/// What is in a row of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text from anywhere.
    pub(crate) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: clean(text.as_ref()), tone }
    }

    /// All of it, whatever its width.
    pub(crate) fn painted(&self, colour: bool) -> String {
        self.tone.paint(&self.text, colour)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    is_number: bool,
    /// Its cells may be cut to so many columns.
    least: usize,
    /// If there is no room for all, the one with the greatest goes first; 0 stays.
    spare: u8,
}

impl Column {
    /// Of words, which are never cut.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, is_number: false, least: usize::MAX, spare: 0 }
    }

    /// To the right.
    pub(crate) const fn number(self) -> Self {
        Self { is_number: true, ..self }
    }

    /// May be cut to so many columns.
    pub(crate) const fn least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// May be left out; the one with the greatest first.
    pub(crate) const fn spare(self, spare: u8) -> Self {
        Self { spare, ..self }
    }
}

/// Rows in columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// At least one column, and no rows.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row: a cell for each column.
    pub(crate) fn row(&mut self, mut cells: Vec<Cell>) {
        cells.resize_with(self.columns.len(), Cell::default);
        self.rows.push(cells);
    }

    /// Titles and rows as lines of at most `columns`; any length if there is no terminal to fit.
    pub(crate) fn lines(&self, columns: Option<usize>, colour: bool) -> Vec<String> {
        let fitted = self.fit(columns.unwrap_or(usize::MAX));
        let titles: Vec<_> =
            self.columns.iter().map(|it| Cell::new(it.title, Tone::Bold)).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| self.line(row, &fitted, colour)).collect()
    }

    fn line(&self, row: &[Cell], fitted: &[(usize, usize)], colour: bool) -> String {
        let mut line = String::new();
        let mut blanks = 0;
        for &(at, wide) in fitted {
            let (cell, column) = (&row[at], self.columns[at]);
            let text = cut(&cell.text, wide);
            let rest = wide - width(&text);
            let (before, after) = if column.is_number { (rest, 0) } else { (0, rest) };
            blanks += before;
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
                line.push_str(&cell.tone.paint(&text, colour));
            }
            blanks += after + GAP;
        }
        line
    }

    /// Which columns there is room for, and how wide each is.
    fn fit(&self, room: usize) -> Vec<(usize, usize)> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let natural: Vec<_> = (0..self.columns.len()).map(|at| self.natural(at)).collect();
        loop {
            let mut fitted: Vec<_> = shown.iter().map(|&at| (at, natural[at])).collect();
            let mut over = total(&fitted).saturating_sub(room);
            // The widest gives first, down to the one after it, and so on.
            while over > 0 {
                let gives = |&&mut (at, wide): &&mut (usize, usize)| wide > self.columns[at].least;
                let widest = fitted.iter_mut().filter(gives).max_by_key(|(_, wide)| *wide);
                let Some((_, wide)) = widest else { break };
                *wide -= 1;
                over -= 1;
            }
            let spare = (0..shown.len()).max_by_key(|&at| self.columns[shown[at]].spare);
            match spare {
                Some(at) if over > 0 && self.columns[shown[at]].spare > 0 => shown.remove(at),
                _ => {
                    while fitted.len() > 1 && total(&fitted) > room {
                        fitted.pop();
                    }
                    fitted[0].1 = fitted[0].1.min(room);
                    return fitted;
                }
            };
        }
    }

    fn natural(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&cell.text));
        cells.max().unwrap_or(0).max(width(self.columns[at].title))
    }
}

fn total(fitted: &[(usize, usize)]) -> usize {
    let gaps = GAP * fitted.len().saturating_sub(1);
    fitted.iter().map(|(_, wide)| wide).sum::<usize>() + gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("HOST").least(6),
        Column::new("CPU").number(),
        Column::new("LABELS").least(6).spare(1),
        Column::new("REPLICA").spare(2),
    ];

    fn table() -> Table {
        let mut table = Table::new(&COLUMNS);
        table.row(["望楼-1", "1.2%", "group=web,project=lighthouse", "one"].map(Cell::from).into());
        table.row(["web-2", "10.0%", "", "two"].map(Cell::from).into());
        table
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        assert_eq!(
            table().lines(None, false),
            [
                "HOST      CPU  LABELS                        REPLICA",
                "望楼-1   1.2%  group=web,project=lighthouse  one",
                "web-2   10.0%                                two",
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_and_then_left_out() {
        assert_eq!(table().lines(Some(40), false)[1], "望楼-1   1.2%  group=web,proje…  one");
        assert_eq!(table().lines(Some(30), false)[1], "望楼-1   1.2%  group…  one");
        assert_eq!(table().lines(Some(28), false)[1], "望楼-1   1.2%  group=web,pr…");
        assert_eq!(table().lines(Some(15), false)[0], "HOST      CPU");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in 1..80 {
            for line in table().lines(Some(columns), false) {
                assert!(width(&line) <= columns, "{columns}: {line:?}");
            }
        }
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let mut table = Table::new(&[Column::new("STATE")]);
        table.row(vec![Cell::new("lost", Tone::Bad)]);
        assert_eq!(table.lines(None, true)[1], "\x1b[1;31mlost\x1b[0m");
        assert_eq!(table.lines(None, false)[1], "lost");
    }
}
