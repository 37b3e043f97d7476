//! A plot of times: a row for each benchmark and a dot for each time, on a logarithmic scale.

use std::fmt::Write;

use super::super::statistics::median;
use super::escape::escaped;
use super::table::time;

const WIDTH: f64 = 720.0;
/// The left end of the scale, to the right of the names.
const LEFT: f64 = 270.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 24.0;
const ROW: f64 = 22.0;
/// The most lines of the grid.
const MOST_TICKS: usize = 10;

/// One row.
#[derive(Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    /// The tooltip.
    pub label: &'a str,
    /// Nanoseconds, all of them more than 0.
    pub times: Vec<f64>,
    /// The number of the colour.
    pub colour: usize,
}

/// A logarithmic scale.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Returns a scale that has room for all rows.
    fn of(rows: &[Row<'_>]) -> Self {
        let all = || rows.iter().flat_map(|row| &row.times).copied();
        let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(1.0, f64::max));
        Self {
            low: low.min(high) / 1.2,
            high: high * 1.2,
        }
    }

    fn x(&self, nanos: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (nanos / self.low).ln() / (self.high / self.low).ln()
    }

    /// Returns round numbers on the scale: 1, 2 and 5 times a power of ten, or only the powers.
    fn ticks(&self) -> Vec<f64> {
        let powers = || (0..15).map(|power| 10_f64.powi(power));
        let on = |tick: &f64| (self.low..=self.high).contains(tick);
        let fine: Vec<f64> = powers()
            .flat_map(|power| [power, 2.0 * power, 5.0 * power])
            .filter(on)
            .collect();
        match fine.len() {
            0..=MOST_TICKS => fine,
            _ => powers().filter(on).collect(),
        }
    }
}

/// Returns the plot for a page that defines its colours; empty without times.
pub fn svg(title: &str, rows: &[Row<'_>]) -> String {
    if rows.iter().all(|row| row.times.is_empty()) {
        return String::new();
    }
    let scale = Scale::of(rows);
    let bottom = TOP + ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">\n",
        bottom + 6.0,
        escaped(title)
    );
    for tick in scale.ticks() {
        let (x, text) = (scale.x(tick), time(tick).replace(".00", ""));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{text}</text>",
            TOP - 8.0
        );
    }
    for (number, row) in rows.iter().enumerate() {
        svg.push_str(&drawn(row, &scale, TOP + ROW * (number as f64 + 0.5)));
    }
    svg.push_str("</svg>\n");
    svg
}

fn drawn(row: &Row<'_>, scale: &Scale, y: f64) -> String {
    let mut svg = format!(
        "<g class=\"c{}\"><title>{}</title><text x=\"{}\" y=\"{:.1}\" class=\"name\">{}</text>",
        row.colour,
        escaped(row.label),
        LEFT - 10.0,
        y + 4.0,
        escaped(row.name),
    );
    for nanos in &row.times {
        let _ = write!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>",
            scale.x(*nanos)
        );
    }
    if !row.times.is_empty() {
        let x = scale.x(median(&row.times));
        let (above, below) = (y - 8.0, y + 8.0);
        let _ = write!(
            svg,
            "<line class=\"median\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{above:.1}\" y2=\"{below:.1}\"/>"
        );
    }
    svg.push_str("</g>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(times: &[f64]) -> Row<'static> {
        Row {
            name: "mode:0",
            label: "gvisor",
            times: times.to_vec(),
            colour: 0,
        }
    }

    /// Returns the positions of all dots.
    fn dots(svg: &str) -> Vec<f64> {
        let places = svg.split("cx=\"").skip(1);
        places
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn each_time_is_a_dot_and_powers_are_equally_far_apart() {
        let svg = svg("times", &[row(&[1e6, 1e7]), row(&[1e8])]);
        let [one, ten, hundred] = dots(&svg)[..] else {
            panic!("{svg}");
        };
        assert!((ten - one - (hundred - ten)).abs() < 0.2, "{svg}");
        assert!(one > LEFT && hundred < RIGHT, "{svg}");
        assert_eq!(svg.matches("class=\"median\"").count(), 2);
        for tick in ["1 ms", "10 ms", "100 ms"] {
            assert!(svg.contains(&format!(">{tick}</text>")), "{tick}: {svg}");
        }
    }

    #[test]
    fn every_picture_is_drawn_inside_its_frame() {
        for times in [
            &[5.0][..],
            &[1.0, 1.0],
            &[1e3, 1e12],
            &[123_456.0, 123_457.0],
        ] {
            let svg = svg("times", &[row(times)]);
            assert_eq!(dots(&svg).len(), times.len(), "{svg}");
            assert!(
                dots(&svg).iter().all(|x| (LEFT..=RIGHT).contains(x)),
                "{svg}"
            );
        }
    }

    #[test]
    fn a_plot_without_times_is_empty() {
        assert_eq!(svg("times", &[]), "");
        assert_eq!(svg("times", &[row(&[])]), "");
    }
}
