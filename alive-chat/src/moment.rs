//! A moment as JavaScript and GUN count it: [`Moment`].

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use alive_core::Timestamp;

/// A moment: milliseconds since 1970 as a finite number, with fractions where a writer's clock has them.
///
/// It prints as JavaScript prints the number, because that text is what is hashed and signed. Source:
/// `spec/alivedb.md`, sections 1 and 8.2.
///
/// ```
/// use alive_chat::Moment;
/// let time = Moment::from_ms(1_795_219_380_221.0).ok_or("finite")?;
/// assert_eq!(time.to_string(), "1795219380221");
/// assert_eq!(Moment::from_ms(1e21).ok_or("finite")?.to_string(), "1e+21");
/// assert_eq!(Moment::from_ms(f64::NAN), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Moment(f64);

impl Moment {
    /// 1970 begins.
    pub const EPOCH: Self = Self(0.0);

    /// Milliseconds since 1970 as a moment, `None` when they are infinite or no number.
    pub fn from_ms(ms: f64) -> Option<Self> {
        // JavaScript prints both zeros alike, so they are one moment.
        ms.is_finite().then_some(Self(if ms == 0.0 { 0.0 } else { ms }))
    }

    /// Milliseconds since 1970.
    pub fn as_ms(self) -> f64 {
        self.0
    }

    /// Milliseconds between two moments, whichever is earlier.
    pub fn distance(self, other: Self) -> f64 {
        (self.0 - other.0).abs()
    }

    /// Milliseconds since `earlier`, negative when that is later.
    pub fn since(self, earlier: Self) -> f64 {
        self.0 - earlier.0
    }

    /// This moment and `ms` milliseconds more; a moment beyond all numbers stays where it was.
    #[must_use]
    pub fn after_ms(self, ms: f64) -> Self {
        Self::from_ms(self.0 + ms).unwrap_or(self)
    }

    /// Reads the text of a JSON number; the caller has made sure that it is one.
    pub(crate) fn from_json_number(text: &str) -> Option<Self> {
        let starts = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        text.parse().ok().filter(|_| starts).and_then(Self::from_ms)
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "four-digit years are below 2^48 ms")]
        Self(time.as_unix_ms() as f64)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ryu_js::Buffer::new().format_finite(self.0))
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        // Neither NaN nor a second zero can be inside.
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1795219380221", Some("1795219380221"))]
    #[case("1795219380221.0", Some("1795219380221"))]
    #[case("1795219439353.001", Some("1795219439353.001"))]
    #[case("1e21", Some("1e+21"))]
    #[case("-0", Some("0"))]
    #[case("-1.5e-7", Some("-1.5e-7"))]
    #[case("1e999", None)]
    #[case("inf", None)]
    #[case("NaN", None)]
    #[case("+1", None)]
    fn prints_as_javascript_does(#[case] text: &str, #[case] printed: Option<&str>) {
        let moment = Moment::from_json_number(text).map(|moment| moment.to_string());
        assert_eq!(moment.as_deref(), printed);
    }

    #[test]
    fn zeros_are_one_moment_and_order_is_by_time() {
        assert_eq!(Moment::from_ms(-0.0), Some(Moment::EPOCH));
        let [a, b] = [-1.0, 2.0].map(|ms| Moment::from_ms(ms).unwrap());
        assert!(a < Moment::EPOCH && Moment::EPOCH < b);
        assert_eq!(a.distance(b).to_bits(), 3.0_f64.to_bits());
        assert_eq!(
            Moment::from_ms(f64::MAX).unwrap().after_ms(f64::MAX).as_ms().to_bits(),
            f64::MAX.to_bits()
        );
    }
}
