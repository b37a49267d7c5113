//! How fast mail to many persons may leave: the limits, and the arithmetic of what they allow now. Pure; where the counts
//! are kept is the store's business. Notices to authorities know no pace.

use chrono::TimeDelta;

use super::Time;

/// Who comes late may catch up so much: a sleep never ends on time, and a commit should carry more than one message.
const CATCH_UP: TimeDelta = TimeDelta::milliseconds(100);

/// The limits; no limit where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Messages per second, above 0.
    pub per_second: Option<f64>,
    /// The same for each recipient's domain.
    pub per_domain_per_second: Option<f64>,
    /// Messages in any 24 hours.
    pub per_day: Option<u64>,
}

/// One rate, kept as the instant from which the next message may leave: in any span of L seconds at most
/// `rate * (L + 0.1) + 1` do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    interval: TimeDelta,
}
impl Rate {
    /// So many per second, above 0.
    pub fn per_second(rate: f64) -> Self {
        let micros = (1e6 / rate).ceil().clamp(1.0, 1e15);
        Self {
            interval: TimeDelta::microseconds(micros as i64),
        }
    }

    /// How many may leave now, at most `most`; `next` is what [`Rate::after`] gave the last time.
    pub fn allows(self, next: Option<Time>, now: Time, most: u32) -> u32 {
        let late = now - Self::from(next, now);
        if late < TimeDelta::zero() {
            return 0;
        }
        let passed = late.num_microseconds().unwrap_or(i64::MAX) / self.interval.num_microseconds().unwrap_or(1);
        u32::try_from(passed.saturating_add(1)).unwrap_or(u32::MAX).min(most)
    }

    /// From when the next may leave, once `count` have left now.
    pub fn after(self, next: Option<Time>, now: Time, count: u32) -> Time {
        let used = i32::try_from(count)
            .ok()
            .and_then(|count| self.interval.checked_mul(count))
            .unwrap_or(TimeDelta::days(1));
        Self::from(next, now).checked_add_signed(used).unwrap_or(Time::MAX_UTC)
    }

    fn from(next: Option<Time>, now: Time) -> Time {
        next.map_or(now, |next| next.max(now - CATCH_UP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Time {
        Time::from_timestamp_millis(1_790_000_000_000 + millis).unwrap()
    }

    #[test]
    fn a_rate_is_reached_and_not_passed() {
        for (rate, looked_every_ms) in [(0.5, 500), (1.0, 100), (5.0, 70), (20.0, 50), (1000.0, 20)] {
            let limit = Rate::per_second(rate);
            let (mut next, mut sent) = (None, 0);
            for now in (0..60_000).step_by(looked_every_ms).map(at) {
                let count = limit.allows(next, now, 1_000);
                if count > 0 {
                    next = Some(limit.after(next, now, count));
                }
                sent += count;
            }
            let most = rate * 60.0;
            assert!(f64::from(sent) <= most + 1.0, "{rate}/s: {sent} in a minute");
            assert!(
                f64::from(sent) >= most * 0.98 - 1.0,
                "{rate}/s: only {sent} in a minute"
            );
        }
    }

    #[test]
    fn nobody_saves_up_for_later() {
        let limit = Rate::per_second(10.0);
        let next = Some(limit.after(None, at(0), 1));
        assert_eq!(limit.allows(next, at(99), 9), 0);
        assert_eq!(limit.allows(next, at(100), 9), 1);
        assert_eq!(
            limit.allows(next, at(3_600_000), 9),
            2,
            "an idle hour is not made up for"
        );
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_it_may(
            rate in 0.1..2_000.0_f64,
            steps in prop::collection::vec(1_i64..400, 1..200),
        ) {
            let limit = Rate::per_second(rate);
            let (mut now, mut next, mut sent) = (0, None, Vec::new());
            for step in steps {
                now += step;
                let count = limit.allows(next, at(now), 500);
                if count > 0 {
                    next = Some(limit.after(next, at(now), count));
                    sent.push((now, count));
                }
            }
            for (i, (begin, _)) in sent.iter().enumerate() {
                let within: u32 = sent[i..].iter().take_while(|(t, _)| *t < begin + 1000).map(|(_, n)| n).sum();
                prop_assert!(f64::from(within) <= rate * 1.1 + 1.0, "{} in a second at {}/s", within, rate);
            }
        }
    }
}
