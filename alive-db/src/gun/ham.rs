//! Conflict resolution: [`merge`].

use std::cmp::Ordering;

use super::{State, Value};

/// How far ahead of our clock a state may be, in milliseconds; what is further is refused. Ours: GUN defers without end.
pub const MAX_AHEAD_MS: f64 = 600_000.0;

/// What becomes of an incoming value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "HAM knows these and no others")]
pub enum Merge {
    /// It replaces what was there.
    Accept,
    /// It is from the future, and merged again when our clock has reached its state.
    Defer,
    /// What was there stays.
    Ignore,
}

/// Decides between what a key holds and what comes in, so that peers which see the same values in any order, any number
/// of times, end with the same one: the value of the highest state, and of those the highest [rank](Value::rank).
///
/// Source: `spec/alivedb.md`, "Conflict resolution (HAM), per key".
///
/// ```
/// use alive_db::gun::{Merge, State, Value, merge};
/// let at = |ms| State::new(ms).unwrap();
/// let held = (&Value::from("ab"), at(5.0));
/// assert_eq!(merge(9.0, Some(held), &"abc".into(), at(5.0)), Merge::Accept);
/// assert_eq!(merge(9.0, Some(held), &"zz".into(), at(4.0)), Merge::Ignore);
/// assert_eq!(merge(9.0, Some(held), &"zz".into(), at(10.0)), Merge::Defer);
/// ```
pub fn merge(now_ms: f64, held: Option<(&Value, State)>, value: &Value, state: State) -> Merge {
    if state.millis() > now_ms {
        return Merge::Defer;
    }
    let order = held.map_or(Ordering::Greater, |(held, since)| {
        state.cmp(&since).then_with(|| value.rank(held))
    });
    if order == Ordering::Greater { Merge::Accept } else { Merge::Ignore }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_values_of_one_moment_every_peer_keeps_the_same() {
        let at = State::new(5.0).unwrap();
        let values = ["", "a", "ab", "b"].map(Value::from);
        for (place, held) in values.iter().enumerate() {
            for (other, value) in values.iter().enumerate() {
                let want = if other > place { Merge::Accept } else { Merge::Ignore };
                assert_eq!(merge(9.0, Some((held, at)), value, at), want, "{held:?} {value:?}");
            }
        }
    }
}
