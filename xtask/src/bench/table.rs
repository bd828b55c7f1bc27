//! Figures as Markdown for people.

use std::fmt;
use std::time::Duration;

use super::MIB;

/// One scenario's figures.
pub struct Table {
    pub title: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        self.rows
            .iter()
            .try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// What one program did in one round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Megabytes or events per second.
    pub rate: f64,
    pub cpu_seconds_per_gb: f64,
    pub peak_mib: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Sample {
    /// Each figure's median for itself.
    pub fn median(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(samples.iter().map(figure).collect());
        Self {
            rate: of(|sample| sample.rate),
            cpu_seconds_per_gb: of(|sample| sample.cpu_seconds_per_gb),
            peak_mib: of(|sample| sample.peak_mib),
            p50_ms: of(|sample| sample.p50_ms),
            p99_ms: of(|sample| sample.p99_ms),
        }
    }
}

/// What a measured program is to the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Ours,
    /// Does the least that the job requires.
    Limit,
    /// What somebody would use instead.
    Peer,
}

/// A program's medians, and how they compare with the best peer's and the limit's.
pub struct Standing {
    pub name: &'static str,
    pub role: Role,
    pub median: Sample,
    /// Rate as a multiple of the fastest peer's; `None` without peers.
    pub rate_ratio: Option<f64>,
    /// Processor time as a multiple of the thriftiest peer's.
    pub cpu_ratio: Option<f64>,
    /// Processor time as a multiple of the limit's; `None` where the limit was not measured.
    pub cpu_ratio_to_limit: Option<f64>,
}

/// Compares programs: name, role, samples. One without a sample is left out.
pub fn standings(measured: &[(&'static str, Role, Vec<Sample>)]) -> Vec<Standing> {
    let measured = measured
        .iter()
        .filter(|(_, _, samples)| !samples.is_empty());
    let medians: Vec<_> = measured
        .map(|(name, role, samples)| (*name, *role, Sample::median(samples)))
        .collect();
    let of = |wanted: Role| {
        medians
            .iter()
            .filter(move |(_, role, _)| *role == wanted)
            .map(|(_, _, median)| median)
    };
    let peers = || of(Role::Peer);
    let limit = of(Role::Limit)
        .next()
        .map(|median| median.cpu_seconds_per_gb);
    let fastest = peers().map(|median| median.rate).reduce(f64::max);
    let thriftiest = peers()
        .map(|median| median.cpu_seconds_per_gb)
        .reduce(f64::min);
    medians
        .iter()
        .map(|&(name, role, median)| Standing {
            name,
            role,
            median,
            rate_ratio: fastest.map(|best| median.rate / best),
            cpu_ratio: thriftiest.map(|best| median.cpu_seconds_per_gb / best),
            cpu_ratio_to_limit: limit.map(|limit| median.cpu_seconds_per_gb / limit),
        })
        .collect()
}

/// A goal and whether it is reached; `None` where there is nothing to compare with.
pub fn goal(text: &str, reached: Option<bool>) -> String {
    match reached {
        Some(true) => format!("{text}: reached"),
        Some(false) => format!("{text}: **not reached**"),
        None => format!("{text}: no peer"),
    }
}

pub fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

/// The figure that so many in a hundred do not exceed.
pub fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures
        .get((figures.len() * percent / 100).min(figures.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_best_peer_in_each_figure() {
        let sample = |rate, cpu_seconds_per_gb| {
            vec![Sample {
                rate,
                cpu_seconds_per_gb,
                ..Sample::default()
            }]
        };
        let standings = standings(&[
            ("limit", Role::Limit, sample(900.0, 1.0)),
            ("ours", Role::Ours, sample(600.0, 3.0)),
            ("a", Role::Peer, sample(400.0, 4.0)),
            ("b", Role::Peer, sample(300.0, 2.0)),
        ]);
        assert_eq!(standings[1].cpu_ratio_to_limit, Some(3.0));
        let ratios: Vec<_> = standings
            .iter()
            .map(|standing| (standing.rate_ratio, standing.cpu_ratio))
            .collect();
        assert_eq!(
            ratios,
            [
                (Some(2.25), Some(0.5)),
                (Some(1.5), Some(1.5)),
                (Some(1.0), Some(2.0)),
                (Some(0.75), Some(1.0))
            ]
        );
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
