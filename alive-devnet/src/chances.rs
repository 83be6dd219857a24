//! Faults by chance: [`Chances`].

/// A whole, as chances are counted.
const WHOLE: u16 = 1000;

/// Chances drawn one after another from a seed. Nothing else decides: the same questions in the same order get the same
/// answers.
///
/// ```
/// use alive_devnet::Chances;
/// let draw = |seed| {
///     let mut chances = Chances::default();
///     (0..100).map(|_| chances.comes(seed, 250)).collect::<Vec<_>>()
/// };
/// assert_eq!(draw(7), draw(7));
/// assert_ne!(draw(7), draw(8));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chances {
    drawn: u64,
}

impl Chances {
    /// Whether what happens so many times in a thousand happens now. What always or never happens draws nothing, so that it
    /// changes no other chance.
    pub fn comes(&mut self, seed: u64, per_mille: u16) -> bool {
        match per_mille {
            0 => false,
            WHOLE.. => true,
            _ => {
                self.drawn = self.drawn.wrapping_add(1);
                mix(seed ^ mix(self.drawn)) % u64::from(WHOLE) < per_mille.into()
            }
        }
    }
}

/// The finaliser of `SplitMix64`: every bit of the number moves every bit of the result.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_come_as_asked_for() {
        let mut chances = Chances::default();
        let count = (0..4000).filter(|_| chances.comes(7, 250)).count();
        assert!((900..1100).contains(&count), "{count}");
    }

    #[test]
    fn what_is_certain_draws_nothing() {
        let mut chances = Chances::default();
        assert!(chances.comes(7, WHOLE) && chances.comes(7, u16::MAX) && !chances.comes(7, 0));
        assert_eq!(chances, Chances::default());
    }
}
