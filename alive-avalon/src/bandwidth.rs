//! Integers that grow with time, such as an account's bandwidth: [`Growing`].

use crate::json_ref::JsonRef;

/// Most bandwidth that an account can have, in UTF-16 code units of signed transactions.
/// Source: `spec/avalon.md`, section 1, "bwMax".
pub const MAX_BANDWIDTH: i32 = 64_000;
/// Divisor of bandwidth's growth. Source: `spec/avalon.md`, section 1, "bwGrowth".
const BANDWIDTH_GROWTH: f64 = 36_000_000.0;
/// Divisor of voting power's growth. Source: `spec/avalon.md`, section 4.
const VOTE_GROWTH: f64 = 360_000_000.0;

/// How fast something grows: units in a millisecond, and the most it reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    per_ms: f64,
    max: Option<f64>,
}

impl Growth {
    /// Growth of an account's bandwidth. `base` is its `baseBwGrowth`, `balance` counts hundredths of a DTUBE.
    pub fn of_bandwidth(base: f64, balance: f64) -> Self {
        let per_ms = base.max(balance) / BANDWIDTH_GROWTH;
        Self { per_ms, max: Some(f64::from(MAX_BANDWIDTH)) }
    }

    /// Growth of an account's voting power.
    pub fn of_votes(balance: f64, max: Option<f64>) -> Self {
        Self { per_ms: balance / VOTE_GROWTH, max }
    }
}

/// A whole number as it was at a moment: `{"v":197967,"t":1795219492877}`.
///
/// ```
/// use alive_avalon::{Growing, Growth};
/// let bandwidth = Growing { value: 0.0, at_ms: 1000.0 };
/// let grown = bandwidth.at(4000, Growth::of_bandwidth(36_000.0, 0.0));
/// assert_eq!(grown, Some(Growing { value: 3.0, at_ms: 4000.0 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growing {
    /// The value.
    pub value: f64,
    /// When, in milliseconds since 1970.
    pub at_ms: f64,
}

impl Growing {
    /// Reads it; `None` if it is no object with numbers `v` and `t`.
    pub fn read(json: JsonRef<'_>) -> Option<Self> {
        let number = |name| json.member(name)?.to_number();
        Some(Self { value: number("v")?, at_ms: number("t")? })
    }

    /// As it is at `now_ms`; `None` if that is earlier, which is an error of the chain's, too.
    ///
    /// All arithmetic is in doubles, as the chain's. Source: `spec/avalon.md`, section 4.
    #[must_use]
    pub fn at(self, now_ms: i64, growth: Growth) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        let now = now_ms as f64;
        if now < self.at_ms {
            return None;
        }
        if growth.per_ms == 0.0 {
            return Some(Self { at_ms: now, ..self });
        }
        let value = (self.value + (now - self.at_ms) * growth.per_ms).floor();
        let at_ms = (self.at_ms + (value - self.value) / growth.per_ms).ceil();
        Some(Self { value: growth.max.map_or(value, |max| value.min(max)), at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fill_a_unit_is_kept_for_later() {
        // One unit takes 7200 ms.
        let growth = Growth::of_bandwidth(5000.0, 10.0);
        let start = Growing { value: 5.0, at_ms: 0.0 };
        let once = start.at(10_000, growth).unwrap();
        assert_eq!(once, Growing { value: 6.0, at_ms: 7200.0 });
        assert_eq!(once.at(14_400, growth), start.at(14_400, growth));
    }

    #[test]
    fn it_stops_at_its_most_and_without_growth_only_time_passes() {
        let start = Growing { value: 10.0, at_ms: 5.0 };
        let full = start.at(10_000_000_000, Growth::of_bandwidth(36_000.0, 0.0)).unwrap();
        assert_eq!(full, Growing { value: 64_000.0, ..full });
        let still = start.at(9, Growth::of_bandwidth(0.0, 0.0)).unwrap();
        assert_eq!(still, Growing { value: 10.0, at_ms: 9.0 });
        assert_eq!(start.at(4, Growth::of_bandwidth(1.0, 0.0)), None);
    }
}
