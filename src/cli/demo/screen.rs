//! What the demo prints: lines that fit a terminal, with colours if it is one.

use std::io::{self, Stdout, Write};

use crate::output::terminal::{Colour, WIDTH, colours, painted, wrapped};

/// Where the text below a heading begins.
const INDENT: usize = 3;
/// The width of the first column of a row.
const LABEL: usize = 42;

/// The output of the demo.
#[derive(Debug)]
pub struct Screen<W = Stdout> {
    out: W,
    colours: bool,
}

impl Screen {
    /// Returns the one that prints to standard output.
    pub fn stdout() -> Self {
        Self {
            out: io::stdout(),
            colours: colours(),
        }
    }
}

impl<W: Write> Screen<W> {
    /// Prints text that begins at the left edge.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.lines(0, wrapped(text, WIDTH), None)
    }

    /// Begins a part.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out)?;
        self.lines(0, wrapped(text, WIDTH), Some(Colour::Bold))
    }

    /// Prints text of a part.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.lines(INDENT, wrapped(text, WIDTH - INDENT), None)
    }

    /// Prints text of a part that must not be overlooked.
    pub fn warn(&mut self, text: &str) -> io::Result<()> {
        self.lines(INDENT, wrapped(text, WIDTH - INDENT), Some(Colour::Red))
    }

    /// Prints an item of a list.
    pub fn item(&mut self, text: &str) -> io::Result<()> {
        let lines = wrapped(text, WIDTH - INDENT - 2);
        let signs = std::iter::once("- ").chain(std::iter::repeat("  "));
        let lines = lines.iter().zip(signs);
        let lines = lines.map(|(line, sign)| format!("{sign}{line}")).collect();
        self.lines(INDENT, lines, None)
    }

    /// Prints what was done and, in a column of its own, what became of it.
    pub fn row(&mut self, label: &str, text: &str, colour: Colour) -> io::Result<()> {
        let found_at = INDENT + LABEL;
        let mut label = format!("{label:LABEL$}");
        for line in wrapped(text, WIDTH - found_at) {
            let line = painted(&line, colour, self.colours);
            writeln!(self.out, "{:INDENT$}{label}{line}", "")?;
            label = " ".repeat(LABEL);
        }
        Ok(())
    }

    fn lines(
        &mut self,
        indent: usize,
        lines: Vec<String>,
        colour: Option<Colour>,
    ) -> io::Result<()> {
        for line in lines {
            let line = match colour {
                Some(colour) => painted(&line, colour, self.colours),
                None => line,
            };
            writeln!(self.out, "{:indent$}{line}", "")?;
        }
        Ok(())
    }
}

/// Returns a screen that keeps what it prints, for tests.
#[cfg(test)]
pub fn kept(colours: bool) -> Screen<Vec<u8>> {
    Screen {
        out: Vec::new(),
        colours,
    }
}

#[cfg(test)]
impl Screen<Vec<u8>> {
    /// Returns what was printed.
    pub fn printed(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(colours: bool) -> String {
        let long = "many words ".repeat(20);
        let mut screen = kept(colours);
        screen.text(&long).unwrap();
        screen.heading(&long).unwrap();
        screen.say(&long).unwrap();
        screen.warn(&long).unwrap();
        screen.item(&long).unwrap();
        screen.row("a label", &long, Colour::Green).unwrap();
        screen.printed()
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        let text = everything(false);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn colours_are_only_there_if_asked_for() {
        assert!(!everything(false).contains('\x1b'));
        let text = everything(true);
        for code in ["\x1b[1m", "\x1b[31m", "\x1b[32m"] {
            assert!(text.contains(code), "{text:?}");
        }
    }

    #[test]
    fn the_columns_of_rows_are_aligned() {
        let mut screen = kept(false);
        screen.row("one", "two three", Colour::Green).unwrap();
        screen.row("a longer label", "four", Colour::Green).unwrap();
        let text = screen.printed();
        let found = |word: &str| text.lines().find_map(|line| line.find(word));
        assert_eq!(found("two"), found("four"), "{text}");
    }
}
