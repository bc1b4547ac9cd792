//! Tables of text and numbers: plain, in aligned columns, or as Markdown.

/// A table. Columns of numbers stand right-aligned.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    numeric: Vec<bool>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Row {
    Cells(Vec<String>),
    Line,
}

impl Table {
    /// A table with these columns; a name that begins with `#` is that of a column of numbers.
    #[must_use]
    pub fn new(columns: &[&str]) -> Table {
        Table {
            head: columns.iter().map(|name| name.trim_start_matches('#').to_owned()).collect(),
            numeric: columns.iter().map(|name| name.starts_with('#')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; what is missing stays empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Table {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
        self
    }

    /// Adds a line between rows.
    pub fn line(&mut self) -> &mut Table {
        self.rows.push(Row::Line);
        self
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn cells(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.head).chain(self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells),
            Row::Line => None,
        }))
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            self.cells().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        (0..self.head.len()).map(|column| width(column).unwrap_or(0)).collect()
    }

    /// As text: columns two blanks apart, a line under the head, `indent` blanks before each row.
    #[must_use]
    pub fn plain(&self, indent: usize) -> String {
        let widths = self.widths();
        let indent = " ".repeat(indent);
        let line = widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("  ");
        let mut out = format!("{indent}{}\n{indent}{line}\n", self.aligned(&self.head, &widths));
        for row in &self.rows {
            let text = match row {
                Row::Cells(cells) => self.aligned(cells, &widths),
                Row::Line => line.clone(),
            };
            out.push_str(&indent);
            out.push_str(&text);
            out.push('\n');
        }
        out
    }

    fn aligned(&self, cells: &[String], widths: &[usize]) -> String {
        let empty = String::new();
        let columns = widths.iter().zip(&self.numeric).enumerate();
        let columns = columns.map(|(column, (&width, &numeric))| {
            let cell = cells.get(column).unwrap_or(&empty);
            if numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        columns.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }

    fn escaped(&self) -> Table {
        let rows = self.rows.iter().map(|row| match row {
            Row::Cells(cells) => Row::Cells(cells.iter().map(|cell| escape(cell)).collect()),
            Row::Line => Row::Line,
        });
        Table { rows: rows.collect(), ..self.clone() }
    }

    /// As a Markdown table, aligned in its source too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let escaped = self.escaped();
        let widths: Vec<usize> = escaped.widths().into_iter().map(|width| width.max(4)).collect();
        let line = |cells: &[String]| {
            let empty = String::new();
            let mut out = "|".to_owned();
            for (column, (&width, &numeric)) in widths.iter().zip(&self.numeric).enumerate() {
                let cell = cells.get(column).unwrap_or(&empty);
                let padded = if numeric {
                    format!(" {cell:>width$} |")
                } else {
                    format!(" {cell:<width$} |")
                };
                out.push_str(&padded);
            }
            out.push('\n');
            out
        };
        let mut out = line(&escaped.head);
        let rules: Vec<String> =
            widths
                .iter()
                .zip(&self.numeric)
                .map(|(&width, &numeric)| {
                    if numeric { format!("{}:", "-".repeat(width - 1)) } else { "-".repeat(width) }
                })
                .collect();
        out.push_str(&line(&rules));
        for row in &escaped.rows {
            if let Row::Cells(cells) = row {
                out.push_str(&line(cells));
            }
        }
        out
    }
}

/// Event types are text from outside: one must not break the table.
fn escape(cell: &str) -> String {
    cell.chars()
        .map(|c| match c {
            '|' => "\\|".to_owned(),
            c if c.is_control() => "\u{fffd}".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["type", "#events"]);
        table.row(["a|b".to_owned(), "1".to_owned()]);
        table.line();
        table.row(["öl".to_owned(), "12,000".to_owned()]);
        table
    }

    #[test]
    fn numbers_are_right_aligned() {
        let expected =
            "  type  events\n  ────  ──────\n  a|b        1\n  ────  ──────\n  öl    12,000\n";
        assert_eq!(table().plain(2), expected);
    }

    #[test]
    fn a_cell_can_not_break_a_markdown_table() {
        let expected =
            "| type | events |\n| ---- | -----: |\n| a\\|b |      1 |\n| öl   | 12,000 |\n";
        assert_eq!(table().markdown(), expected);
    }
}
