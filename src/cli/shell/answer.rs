//! Output of responses, logs and times.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use prost_reflect::MethodDescriptor;
use roma_byob::{Report, shown};

use crate::options::descriptors::decode;
use crate::output::summary::short;

/// Returns a response as text for a terminal: JSON, or plain bytes with unprintable ones escaped.
pub fn text(response: &[u8], method: Option<&MethodDescriptor>) -> anyhow::Result<String> {
    match (method, std::str::from_utf8(response)) {
        (Some(method), _) => Ok(shown(&decode(&method.output(), response)?).into_owned()),
        (None, Ok(text)) if shown(text) == text => Ok(text.to_owned()),
        (None, _) => Ok(response.escape_ascii().to_string()),
    }
}

/// Appends a response to a file: JSON and a line end, or plain bytes as they are.
pub fn append(
    path: &Path,
    response: &[u8],
    method: Option<&MethodDescriptor>,
) -> anyhow::Result<()> {
    let bytes = match method {
        Some(method) => format!("{}\n", decode(&method.output(), response)?).into_bytes(),
        None => response.to_vec(),
    };
    append_bytes(path, &bytes)
}

/// Appends the output of a UDF to a file, below the name of its execution. People read that file, so it
/// has the text as it is shown.
pub fn append_logs(path: &Path, report: &Report) -> anyhow::Result<()> {
    let logs = report.logs.as_ref();
    let text = shown(logs.map_or("", |logs| &logs.text));
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    append_bytes(
        path,
        format!("Execution Token: {}\n{text}{end}", report.id).as_bytes(),
    )
}

fn append_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .with_context(|| path.display().to_string())
}

/// Returns the times and the end of an execution, in one line.
pub fn summary(report: &Report) -> String {
    let times = &report.times;
    let total = short(times.total());
    let (queue, run) = (short(times.queue), short(times.send + times.run));
    let end = match &report.exit {
        Some(exit) => exit.status.to_string(),
        None => "ended in an unknown way".to_owned(),
    };
    format!("took {total} ({queue} in the queue, {run} in the UDF, which {end})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_if_they_are_text() {
        let shown = |bytes: &[u8]| text(bytes, None).unwrap();
        assert_eq!(shown("zwölf\n".as_bytes()), "zwölf\n");
        assert_eq!(shown(b"\x0a\x03abc\xff"), "\\n\\x03abc\\xff");
        assert_eq!(shown(b"\x1b[31m"), "\\x1b[31m");
        let reversed = "a\u{202e}b".as_bytes();
        assert_eq!(shown(reversed), "a\\xe2\\x80\\xaeb");
    }
}
