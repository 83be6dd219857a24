//! What may enter a graph: [`Admission`].

use std::fmt::Debug;

use crate::json::Text;

use super::{State, Value};

/// One value on its way into a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Put<'a> {
    /// The node, not empty.
    pub soul: &'a Text,
    /// The key within the node; never `_`.
    pub key: &'a Text,
    /// What it shall hold.
    pub value: &'a Value,
    /// When it was written, by the writer's word.
    pub state: State,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admitted {
    /// It may enter.
    Keep,
    /// It is left out, which is no fault of the sender: it has expired.
    Omit,
}

/// Decides what may enter a graph. Every value passes it once, before anything else sees it, whoever sent it: peers,
/// the own process, the disk of an older version.
///
/// It is called from several tasks at once and may take its time for a signature, but must not wait for anything.
pub trait Admission: Debug + Send + Sync {
    /// Judges one value at `now_ms`, milliseconds since 1970.
    ///
    /// # Errors
    /// The value may not enter. The whole message that has it is refused.
    fn admit(&self, put: Put<'_>, now_ms: f64) -> Result<Admitted, Refused>;
}

/// Why a value may not enter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// What the sender is told, such as `Unverified data.`.
    pub reason: &'static str,
}

/// Admits everything but what has [expired](expiry_ms): a graph without users.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anyone;

impl Admission for Anyone {
    fn admit(&self, put: Put<'_>, now_ms: f64) -> Result<Admitted, Refused> {
        Ok(if is_expired(put.soul, put.state, now_ms) { Admitted::Omit } else { Admitted::Keep })
    }
}

/// Whether a value of this state has expired in this node.
pub fn is_expired(soul: &Text, state: State, now_ms: f64) -> bool {
    expiry_ms(soul).is_some_and(|expiry| state.millis() < now_ms - expiry)
}

/// After how many milliseconds values of a node expire: `N * 1000` if its soul has `<?N`. N is read as JavaScript's
/// `parseFloat` does; 0 is never.
///
/// Source: `spec/alivedb.md`, "`<?N` expiry".
///
/// ```
/// assert_eq!(alive_db::gun::expiry_ms(&"~pub/hive/alice/s1<?600".into()), Some(600_000.0));
/// assert_eq!(alive_db::gun::expiry_ms(&"room".into()), None);
/// ```
pub fn expiry_ms(soul: &Text) -> Option<f64> {
    let bytes = soul.as_bytes();
    let at = bytes.windows(2).position(|two| two == b"<?")?;
    let seconds = parse_float(bytes.get(at + 2..)?)?;
    (seconds != 0.0).then_some(seconds * 1000.0)
}

/// The number that a text begins with, after blanks.
fn parse_float(bytes: &[u8]) -> Option<f64> {
    let text = bytes.utf8_chunks().next()?.valid().trim_start();
    let mut chars = text.bytes().peekable();
    let mut len = 0;
    let mut take = |set: fn(u8) -> bool, most: usize| {
        let mut taken = 0;
        while taken < most && chars.next_if(|b| set(*b)).is_some() {
            taken += 1;
        }
        taken
    };
    let digit: fn(u8) -> bool = |b| b.is_ascii_digit();
    len += take(|b| b == b'-' || b == b'+', 1);
    let whole = take(digit, usize::MAX);
    let point = take(|b| b == b'.', 1);
    let fraction = if point == 1 { take(digit, usize::MAX) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    len += whole + point + fraction;
    let mark = take(|b| b == b'e' || b == b'E', 1);
    let sign = if mark == 1 { take(|b| b == b'-' || b == b'+', 1) } else { 0 };
    let exponent = if mark == 1 { take(digit, usize::MAX) } else { 0 };
    if exponent > 0 {
        len += mark + sign + exponent;
    }
    text.get(..len)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a<?600", Some(600_000.0))]
    #[case("a<?600/b", Some(600_000.0))]
    #[case("a<? 1.5e1x", Some(15_000.0))]
    #[case("a<?.5", Some(500.0))]
    #[case("a<?5.", Some(5_000.0))]
    #[case("a<?1e", Some(1_000.0))]
    #[case("a<?-2", Some(-2_000.0))]
    #[case("a<?0", None)]
    #[case("a<?", None)]
    #[case("a<?x<?5", None)]
    #[case("a<?.", None)]
    #[case("a", None)]
    fn reads_the_expiry_of_a_soul(#[case] soul: &str, #[case] ms: Option<f64>) {
        assert_eq!(expiry_ms(&soul.into()), ms);
    }

    #[test]
    fn expires_after_its_time_and_not_at_it() {
        let state = State::new(1000.0).unwrap();
        assert!(!is_expired(&"a<?600".into(), state, 601_000.0));
        assert!(is_expired(&"a<?600".into(), state, 601_000.1));
        assert!(!is_expired(&"a".into(), state, 1e15));
    }
}
