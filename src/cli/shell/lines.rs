//! The lines of a script, none of them longer than memory should hold.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, ensure};

/// The largest line, and the largest command of several lines. Larger requests belong into files.
pub const MOST_BYTES: usize = 1 << 20;

/// The lines of a text, read one by one.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
}

impl Lines<BufReader<File>> {
    /// Opens a file of commands.
    pub fn of_file(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        // Asked before it is opened: to open a pipe waits for who writes to it.
        let meta = path.metadata().with_context(name)?;
        ensure!(
            meta.is_file(),
            "{}: commands are read from regular files only; another program's output goes to \
             standard input",
            name()
        );
        let file = File::open(path).with_context(name)?;
        Ok(Self::of(BufReader::new(file)))
    }
}

impl<R: BufRead> Lines<R> {
    pub fn of(input: R) -> Self {
        Self { input }
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut bounded = self.input.by_ref().take(MOST_BYTES as u64 + 1);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.pop_if(|byte| *byte == b'\n').is_some() {
            line.pop_if(|byte| *byte == b'\r');
        }
        if line.len() > MOST_BYTES {
            return Err(too_long());
        }
        let text = String::from_utf8(line);
        text.map(Some).map_err(|_| not_text())
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Returns the error of a line or a command that is too long.
pub fn too_long() -> io::Error {
    let text = format!("a command has more than {MOST_BYTES} bytes; put its request into a file");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn not_text() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8")
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;

    fn lines(text: &[u8]) -> Vec<io::Result<String>> {
        Lines::of(text).collect()
    }

    #[test]
    fn lines_end_as_those_of_the_standard_library() {
        for text in ["", "\n", "a", "a\n", "a\r\nb\r", "a\n\nb\n"] {
            let found: Vec<_> = lines(text.as_bytes())
                .into_iter()
                .map(Result::unwrap)
                .collect();
            let expected: Vec<_> = text.as_bytes().lines().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn the_longest_line_is_read_and_a_longer_one_is_refused() {
        let longest = "x".repeat(MOST_BYTES);
        let found = lines(format!("{longest}\nnext\n").as_bytes());
        assert_eq!(
            found.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [&longest, "next"]
        );
        let error = Lines::of(BufReader::new(repeat(b'x')))
            .next()
            .unwrap()
            .unwrap_err();
        assert!(error.to_string().contains("1048576 bytes"), "{error}");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let error = lines(b"a\n\xff\n").pop().unwrap().unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}
