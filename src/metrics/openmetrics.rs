//! The metrics as OpenMetrics text.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::fmt::Write as _;

use super::instrument::{Description, Distribution, Histogram, Metric};

/// What the text is sent as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The name OpenMetrics knows a metric's family by: no dots, and its unit at the end.
pub fn family_name(description: &Description) -> String {
    let name = description.name.replace('.', "_");
    match unit(description) {
        Some(unit) => format!("{name}_{unit}"),
        None => name,
    }
}

/// Units in words; things that are counted have none.
fn unit(description: &Description) -> Option<&'static str> {
    match description.unit {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        "By/s" => Some("bytes_per_second"),
        _ => None,
    }
}

/// All of them, as they are now.
pub(super) fn text(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        // Writing into a string does not fail.
        let _ = write_family(&mut text, *metric);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, metric: Metric) -> std::fmt::Result {
    let description = metric.description();
    let name = family_name(description);
    writeln!(text, "# TYPE {name} {}", metric.kind())?;
    if let Some(unit) = unit(description) {
        writeln!(text, "# UNIT {name} {unit}")?;
    }
    writeln!(text, "# HELP {name} {}", description.help)?;
    match metric {
        Metric::Counter(counter) => {
            for (values, count) in counter.values() {
                writeln!(
                    text,
                    "{name}_total{} {count}",
                    labels(description, &values, None)
                )?;
            }
        }
        Metric::Gauge(gauge) => {
            for (values, value) in gauge.values() {
                writeln!(
                    text,
                    "{name}{} {value:?}",
                    labels(description, &values, None)
                )?;
            }
        }
        Metric::Histogram(histogram) => {
            for (values, distribution) in histogram.values() {
                write_distribution(text, histogram, &values, &distribution)?;
            }
        }
    }
    Ok(())
}

fn write_distribution(
    text: &mut String,
    histogram: &Histogram,
    values: &[&str],
    distribution: &Distribution,
) -> std::fmt::Result {
    let description = &histogram.description;
    let name = family_name(description);
    let mut count = 0;
    let bounds = histogram
        .bounds
        .iter()
        .map(|bound| format!("{bound:?}"))
        .chain(["+Inf".to_owned()]);
    for (bound, more) in bounds.zip(&distribution.counts) {
        count += more;
        writeln!(
            text,
            "{name}_bucket{} {count}",
            labels(description, values, Some(&bound))
        )?;
    }
    let labels = labels(description, values, None);
    writeln!(text, "{name}_count{labels} {count}")?;
    writeln!(text, "{name}_sum{labels} {:?}", distribution.sum)
}

/// `{name="value",…}`, or nothing. The values are ours and need no escapes.
fn labels(description: &Description, values: &[&str], bound: Option<&str>) -> String {
    let named = description
        .labels
        .iter()
        .copied()
        .zip(values.iter().copied());
    let pairs: Vec<String> = named
        .chain(bound.map(|bound| ("le", bound)))
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(","))
    }
}
