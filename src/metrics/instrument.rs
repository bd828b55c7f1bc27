//! Counters, gauges and histograms: what is counted, by labels of a closed set of values.
//!
//! A label's value is `&'static str`: nothing that an event, a caller or a participant said can get into one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// One value for each label of the description, in its order.
pub type Labels = Vec<&'static str>;

/// What a metric is called and measures.
#[derive(Debug)]
pub struct Description {
    /// As OpenTelemetry writes it: `recording_vault.export.duration`.
    pub name: &'static str,
    /// By UCUM, as OpenTelemetry writes it: `s`, `By`, `{chunk}`.
    pub unit: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

/// Only grows.
pub struct Counter {
    pub description: Description,
    values: Mutex<BTreeMap<Labels, u64>>,
}

/// As it is now, or was when it was last looked at.
pub struct Gauge {
    pub description: Description,
    values: Mutex<BTreeMap<Labels, Reading>>,
    validity: Validity,
}

/// A value and when it was set.
#[derive(Debug, Clone, Copy)]
struct Reading {
    value: f64,
    set_at: Instant,
}

/// How long a gauge has the value that was set.
enum Validity {
    /// Until another is set.
    Unlimited,
    /// An older value says nothing of now, and is not shown.
    Lasting(Duration),
    /// The value is asked for when it is read.
    Computed(fn() -> f64),
}

/// How often which size was seen.
pub struct Histogram {
    pub description: Description,
    /// Upper bounds, ascending; what is above all of them is counted besides.
    pub bounds: &'static [f64],
    values: Mutex<BTreeMap<Labels, Distribution>>,
    /// Takes each value too: a histogram of OpenTelemetry cannot be read from ours.
    mirror: OnceLock<Mirror>,
}

/// Who takes the values of a histogram too.
pub type Mirror = Box<dyn Fn(f64, &[&'static str]) + Send + Sync>;

/// The values of a histogram with the same labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// For each bound, and for what is above, how many values; not cumulative.
    pub counts: Vec<u64>,
    pub sum: f64,
}

/// Any of them.
#[derive(Clone, Copy)]
pub enum Metric {
    Counter(&'static Counter),
    Gauge(&'static Gauge),
    Histogram(&'static Histogram),
}

impl Counter {
    pub(super) const fn new(description: Description) -> Self {
        Self {
            description,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    pub fn add(&self, count: u64, labels: &[&'static str]) {
        debug_assert_eq!(
            labels.len(),
            self.description.labels.len(),
            "{}",
            self.description.name
        );
        *held(&self.values).entry(labels.to_vec()).or_default() += count;
    }

    pub fn increment(&self, labels: &[&'static str]) {
        self.add(1, labels);
    }

    /// All counts; one without labels is there from the beginning, so that its first growth can be seen.
    pub fn values(&self) -> BTreeMap<Labels, u64> {
        let mut values = held(&self.values).clone();
        if self.description.labels.is_empty() {
            values.entry(Labels::new()).or_default();
        }
        values
    }
}

impl Gauge {
    pub(super) const fn new(description: Description) -> Self {
        Self::with(description, Validity::Unlimited)
    }

    /// Returns a gauge whose value is not shown any more after that time: no newer one was set.
    pub(super) const fn lasting(description: Description, at_most: Duration) -> Self {
        Self::with(description, Validity::Lasting(at_most))
    }

    /// One whose value is asked for when it is read.
    pub(super) const fn computed(description: Description, value: fn() -> f64) -> Self {
        Self::with(description, Validity::Computed(value))
    }

    const fn with(description: Description, validity: Validity) -> Self {
        Self {
            description,
            values: Mutex::new(BTreeMap::new()),
            validity,
        }
    }

    pub fn set(&self, value: f64, labels: &[&'static str]) {
        let reading = self.reading(value, labels);
        held(&self.values).insert(labels.to_vec(), reading);
    }

    /// A number of things.
    pub fn set_count(&self, count: u64, labels: &[&'static str]) {
        self.set(number(count), labels);
    }

    /// Replaces all values at once: what is not among these is not known any more.
    pub fn replace_counts<const LABELS: usize>(
        &self,
        counts: impl IntoIterator<Item = ([&'static str; LABELS], u64)>,
    ) {
        let readings = counts.into_iter().map(|(labels, count)| {
            let reading = self.reading(number(count), &labels);
            (labels.to_vec(), reading)
        });
        let readings = readings.collect();
        *held(&self.values) = readings;
    }

    /// Removes all values: nothing is known.
    pub fn clear(&self) {
        held(&self.values).clear();
    }

    fn reading(&self, value: f64, labels: &[&'static str]) -> Reading {
        debug_assert_eq!(
            labels.len(),
            self.description.labels.len(),
            "{}",
            self.description.name
        );
        Reading {
            value,
            set_at: Instant::now(),
        }
    }

    /// Those that are known; none before somebody looked.
    pub fn values(&self) -> BTreeMap<Labels, f64> {
        let at_most = match self.validity {
            Validity::Computed(value) => return BTreeMap::from([(Labels::new(), value())]),
            Validity::Unlimited => None,
            Validity::Lasting(at_most) => Some(at_most),
        };
        let is_valid =
            |reading: &Reading| at_most.is_none_or(|at_most| reading.set_at.elapsed() < at_most);
        let values = held(&self.values);
        let valid = values.iter().filter(|(_, reading)| is_valid(reading));
        valid
            .map(|(labels, reading)| (labels.clone(), reading.value))
            .collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of things stay below 2^52"
)]
fn number(count: u64) -> f64 {
    count as f64
}

impl Histogram {
    pub(super) const fn new(description: Description, bounds: &'static [f64]) -> Self {
        Self {
            description,
            bounds,
            values: Mutex::new(BTreeMap::new()),
            mirror: OnceLock::new(),
        }
    }

    pub fn record(&self, value: f64, labels: &[&'static str]) {
        debug_assert_eq!(
            labels.len(),
            self.description.labels.len(),
            "{}",
            self.description.name
        );
        let bucket = self
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(self.bounds.len());
        let mut values = held(&self.values);
        let distribution = values.entry(labels.to_vec()).or_default();
        distribution.counts.resize(self.bounds.len() + 1, 0);
        distribution.counts[bucket] += 1;
        distribution.sum += value;
        drop(values);
        if let Some(mirror) = self.mirror.get() {
            mirror(value, labels);
        }
    }

    /// From now on `mirror` takes each value too; the first one stays.
    pub fn mirror_to(&self, mirror: Mirror) {
        let _ = self.mirror.set(mirror);
    }

    pub fn values(&self) -> BTreeMap<Labels, Distribution> {
        held(&self.values).clone()
    }
}

impl Metric {
    pub fn description(&self) -> &'static Description {
        match self {
            Self::Counter(counter) => &counter.description,
            Self::Gauge(gauge) => &gauge.description,
            Self::Histogram(histogram) => &histogram.description,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A panic of another holder leaves a count, not a broken structure.
fn held<T>(values: &Mutex<T>) -> MutexGuard<'_, T> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const TEST: Description = Description {
        name: "test",
        unit: "s",
        help: "",
        labels: &[],
    };

    #[test]
    fn a_value_is_counted_below_its_bound_and_above_all_of_them() {
        let histogram = Histogram::new(TEST, &[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            histogram.record(value, &[]);
        }
        let values = histogram.values();
        assert_eq!(
            values[&Labels::new()],
            Distribution {
                counts: vec![2, 1, 1],
                sum: 12.0
            }
        );
    }

    #[test]
    fn a_mirror_sees_every_value_from_then_on() {
        let histogram = Histogram::new(TEST, &[1.0]);
        histogram.record(1.0, &[]);
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&seen);
        histogram.mirror_to(Box::new(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        histogram.record(1.0, &[]);
        assert_eq!(seen.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_counter_without_labels_begins_at_nought_and_a_gauge_is_missing_before_it_is_set() {
        assert_eq!(Counter::new(TEST).values(), BTreeMap::from([(vec![], 0)]));
        assert!(Gauge::new(TEST).values().is_empty());
    }

    const BY_KIND: Description = Description {
        labels: &["kind"],
        ..TEST
    };

    #[test]
    fn a_value_that_is_too_old_is_not_shown() {
        let (old, new) = (
            Gauge::lasting(TEST, Duration::ZERO),
            Gauge::lasting(TEST, Duration::from_hours(1)),
        );
        for gauge in [&old, &new] {
            gauge.set_count(1, &[]);
        }
        assert!(old.values().is_empty());
        assert_eq!(new.values(), BTreeMap::from([(vec![], 1.0)]));
    }

    #[test]
    fn what_is_not_among_new_values_is_gone_and_so_is_everything_that_is_cleared() {
        let gauge = Gauge::new(BY_KIND);
        gauge.replace_counts([(["a"], 1), (["b"], 2)]);
        gauge.replace_counts([(["b"], 3)]);
        assert_eq!(gauge.values(), BTreeMap::from([(vec!["b"], 3.0)]));
        gauge.clear();
        assert!(gauge.values().is_empty());
    }
}
