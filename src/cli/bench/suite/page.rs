//! The results as a page for a browser, in a single file.

use std::fmt::Write;

use serde_json::Value;

use super::super::record::{Case, Record, families};
use super::super::statistics::median;
use super::escape::escaped;
use super::payload::size;
use super::plot::{self, Row};
use super::table::{spread, time};

/// The number of colours for places; more places than that share them.
const COLOURS: usize = 4;

/// The style, for a light and for a dark colour scheme.
const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --line: #d5d9de; --soft: #5b6470;
  --c0: #1f6fd1; --c1: #b8540a; --c2: #1b7f3b; --c3: #8a3fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ea; --paper: #16181b; --line: #3a4048;
  --soft: #9aa4b0; --c0: #6fb1ff; --c1: #ff9d4d; --c2: #5fd183; --c3: #d194f0; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1.5rem; color: var(--soft); }
dd { margin: 0; } .wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: currentColor; }
.grid { stroke: var(--line); } .tick { text-anchor: middle; fill: var(--soft); }
.name { text-anchor: end; fill: var(--ink); } circle { fill: currentColor; fill-opacity: .45; }
.median { stroke: currentColor; stroke-width: 2; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.failed { color: var(--c1); text-align: left; white-space: normal; }
";

/// Returns the page.
pub fn html(record: &Record) -> String {
    let cases = record.cases();
    let places = places(&cases);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Roma's benchmarks</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Roma's benchmarks</h1>\n{}",
        context(record)
    );
    page.push_str(&legend(&places));
    for (family, cases) in families(cases) {
        page.push_str(&section(family, &cases, &places));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn context(record: &Record) -> String {
    let mut text = "<dl>\n".to_owned();
    for (name, value) in &record.context {
        let value = value
            .as_str()
            .map_or_else(|| Value::to_string(value), str::to_owned);
        let name = escaped(&name.replace('_', " "));
        let _ = writeln!(text, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    text + "</dl>\n"
}

fn legend(places: &[&str]) -> String {
    let shown = places.iter().enumerate().map(|(number, place)| {
        format!(
            "<strong class=\"c{}\">&#9679; {}</strong>",
            number % COLOURS,
            escaped(place)
        )
    });
    format!(
        "<p>{}</p>\n<p>Each dot is one repetition, the line their median. The scale is one of powers.</p>\n",
        shown.collect::<Vec<_>>().join(" &nbsp; ")
    )
}

/// Returns each place once, in order.
fn places<'a>(cases: &[Case<'a>]) -> Vec<&'a str> {
    let mut places = Vec::new();
    for case in cases {
        if !places.contains(&case.place) {
            places.push(case.place);
        }
    }
    places
}

fn section(family: &str, cases: &[Case<'_>], places: &[&str]) -> String {
    let rows: Vec<_> = cases.iter().map(|case| row(case, places)).collect();
    let body: String = cases.iter().map(table_row).collect();
    format!(
        "<h2>{0}</h2>\n{1}<div class=\"wide\"><table>\n<tr><th>Arguments<th>Details<th>Time<th>+-\
         <th>p50<th>p99<th>CPU<th>Iterations<th>Bytes/s</tr>\n{body}</table></div>\n",
        escaped(family),
        plot::svg(family, &rows),
    )
}

fn row<'a>(case: &Case<'a>, places: &[&str]) -> Row<'a> {
    let place = places.iter().position(|place| *place == case.place);
    Row {
        name: case.parts().1,
        label: case.label,
        times: case.times(),
        colour: place.unwrap_or_default() % COLOURS,
    }
}

fn table_row(case: &Case<'_>) -> String {
    let (name, label) = (escaped(case.parts().1), escaped(case.label));
    let mut row = format!("<tr><td>{name}<td>{label}");
    if !case.times().is_empty() {
        let cells = [
            time(median(&case.times())),
            spread(&case.times()),
            time(case.p50()),
            time(case.p99()),
            time(case.cpu()),
            case.iterations().to_string(),
            case.bytes_per_second().map(size).unwrap_or_default(),
        ];
        row.extend(cells.map(|cell| format!("<td>{cell}")));
    }
    row.push_str("</tr>\n");
    if let Some(failure) = case.failure() {
        let _ = writeln!(
            row,
            "<tr><td class=\"failed\" colspan=\"9\">{}</tr>",
            escaped(failure)
        );
    }
    row
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Run;
    use super::*;

    fn page() -> String {
        let run = |name: &str, place: &str, time| Run {
            name: name.to_owned(),
            label: format!("{place}, <script>alert(\"1\")</script> & 'more'"),
            place: place.to_owned(),
            iterations: 10,
            time,
            ..Run::default()
        };
        let mut record = Record::here();
        record.runs = vec![
            run("BM_A/mode:0", "gvisor, strict", 2e6),
            run("BM_A/mode:1", "minimal, strict", 1e6),
            Run {
                failure: Some("<b>no</b>".to_owned()),
                failure_rate: 0.5,
                ..run("BM_B/mode:1", "minimal, strict", 5e6)
            },
        ];
        html(&record)
    }

    #[test]
    fn text_is_escaped_in_the_page() {
        let page = page();
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        let shown = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;";
        assert!(page.contains(shown), "{page}");
        assert!(page.contains("&lt;b&gt;no&lt;/b&gt;"), "{page}");
    }

    #[test]
    fn the_page_needs_no_other_file() {
        let page = page();
        for part in ["http", "src=", "href", "@import", "url("] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn every_benchmark_is_in_a_picture_and_in_a_table() {
        let page = page();
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("<circle").count(), 3);
        assert_eq!(page.matches("<tr><td>").count(), 3);
        assert!(page.contains("<g class=\"c0\">") && page.contains("<g class=\"c1\">"));
    }
}
