//! A rate over the last seconds. Pure: the time comes in.

/// Seconds that are looked back at.
const WINDOW: u64 = 10;
const PLACES: usize = 10;

/// Amounts of the last seconds, each in a place of its own.
#[derive(Debug)]
pub(super) struct Rate {
    seconds: [(u64, u64); PLACES],
}

impl Rate {
    pub const fn new() -> Self {
        Self {
            seconds: [(0, 0); PLACES],
        }
    }

    /// Notes an amount in the second `now`.
    pub fn add(&mut self, now: u64, amount: u64) {
        let place = &mut self.seconds[usize::try_from(now % WINDOW).unwrap_or_default()];
        if place.0 != now {
            *place = (now, 0);
        }
        place.1 += amount;
    }

    /// What one second of the window had, on average.
    pub fn per_second(&self, now: u64) -> u64 {
        let is_recent = |second: u64| second <= now && now - second < WINDOW;
        self.seconds
            .iter()
            .filter(|(second, _)| is_recent(*second))
            .map(|(_, amount)| amount)
            .sum::<u64>()
            / WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut rate = Rate::new();
        for second in 100..110 {
            rate.add(second, 50);
            rate.add(second, 50);
        }
        assert_eq!(
            [109, 114, 119].map(|now| rate.per_second(now)),
            [100, 50, 0]
        );
        rate.add(125, 1000);
        assert_eq!(rate.per_second(125), 100, "what is older has made room");
    }
}
