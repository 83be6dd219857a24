//! Who makes one rendition of one stream in one round: [`Assignment`].

use alive_core::{AccountName, Quality, StreamId};
use sha2::{Digest as _, Sha256};

use crate::{
    amount::Amount,
    elect::{RoundSet, SetEntry, draw},
};

/// What an assignment's random number is made of begins with this, so that no other use of the block's id gives it.
const DOMAIN: &[u8] = b"alive-stake/rendition/1";

/// The transcoders of one rendition in the order in which they may deliver it: the elected one, then who takes over when
/// it does not deliver, and so on.
///
/// It is a pure function of the round's set, the id of a block that nobody could know when stakes were set (that in which
/// the round was initialised), the stream's name and the quality, and so the same on every node. Each place is an
/// [election](crate::elect) among those who are left, with a random number of its own:
///
/// - `h = SHA-256("alive-stake/rendition/1" ‖ length of the block id as 8 bytes ‖ block id ‖ stream)`, the stream as
///   `network/account/link`;
/// - `h(q) = SHA-256(h ‖ quality)`, the quality as in operations, such as `720`;
/// - the first place is drawn by `h(q)`, place `i` by `SHA-256(h(q) ‖ i as 8 bytes)`, numbers most significant byte first.
///
/// Who has no stake, is not active or asks for more than the highest price has no place.
/// Source: `spec/livepeer.md`, section 4, "For one job with several renditions"; what is hashed, and the order, are ours.
///
/// ```
/// use alive_stake::{Amount, Assignment, RoundSet, SetEntry};
/// let ann = SetEntry::new("ann".parse()?, Amount::new(30), Amount::ZERO);
/// let ben = SetEntry::new("ben".parse()?, Amount::new(20), Amount::ZERO);
/// let set = RoundSet::new(7, vec![ann, ben]);
/// let stream = "hive/alice/launch".parse()?;
/// let order = Assignment::new(&set, b"block id", &stream, "720".parse()?, Amount::MAX);
/// let names: Vec<_> = order.map(|account| account.to_string()).collect();
/// assert_eq!(names.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Assignment<'a> {
    left: Vec<&'a SetEntry>,
    seed: [u8; 32],
    place: u64,
}

impl<'a> Assignment<'a> {
    /// The assignment of `quality` of `stream`, among those who ask for at most `max_price`.
    pub fn new(
        set: &'a RoundSet,
        block_id: &[u8],
        stream: &StreamId,
        quality: Quality,
        max_price: Amount,
    ) -> Self {
        let mut left = set.eligible(max_price);
        left.retain(|entry| !entry.stake.is_zero());
        let mut job = Sha256::new_with_prefix(DOMAIN);
        // A slice's length always fits.
        job.update(u64::try_from(block_id.len()).unwrap_or(u64::MAX).to_be_bytes());
        job.update(block_id);
        job.update(stream.to_string());
        let seed = Sha256::new_with_prefix(job.finalize()).chain_update(quality.as_str());
        Self { left, seed: seed.finalize().into(), place: 0 }
    }
}

impl<'a> Iterator for Assignment<'a> {
    type Item = &'a AccountName;

    fn next(&mut self) -> Option<&'a AccountName> {
        let random = match self.place {
            0 => self.seed,
            place => {
                let hash = Sha256::new_with_prefix(self.seed).chain_update(place.to_be_bytes());
                hash.finalize().into()
            }
        };
        // Stakes that are together more than 256 bits elect nobody; no ledger holds such stakes.
        let at = draw(&self.left, &random).ok().flatten()?;
        self.place += 1;
        Some(&self.left.remove(at).id)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left.len()))
    }
}

impl std::iter::FusedIterator for Assignment<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn set(stakes: &[(&str, u64)]) -> RoundSet {
        let entry = |(id, stake): &(&str, u64)| {
            SetEntry::new(id.parse().unwrap(), (*stake).into(), Amount::ZERO)
        };
        RoundSet::new(3, stakes.iter().map(entry).collect())
    }

    fn order(set: &RoundSet, block: &[u8], stream: &str, quality: Quality) -> Vec<String> {
        let stream = stream.parse().unwrap();
        let order = Assignment::new(set, block, &stream, quality, Amount::MAX);
        order.map(ToString::to_string).collect()
    }

    /// Computed with another program, in another language, from the text above: a change of what is hashed is a change of
    /// who is elected, on a part of the nodes.
    #[test]
    fn the_order_is_the_same_for_ever() {
        let set = set(&[("ann", 500), ("ben", 300), ("cleo", 200)]);
        let got = Quality::TRANSCODED.map(|q| order(&set, b"block 1", "hive/alice/launch", q));
        let want = [
            ["ann", "ben", "cleo"],
            ["cleo", "ben", "ann"],
            ["ben", "ann", "cleo"],
            ["cleo", "ann", "ben"],
        ];
        assert_eq!(got, want.map(|row| row.map(str::to_owned).to_vec()));
    }

    #[test]
    fn everybody_with_stake_has_one_place() {
        let set = set(&[("a", 5), ("b", 0), ("c", 1), ("d", 5)]);
        for block in 0..50_u8 {
            let mut got = order(&set, &[block], "hive/alice/launch", Quality::P480);
            got.sort();
            assert_eq!(got, ["a", "c", "d"]);
        }
    }

    #[test]
    fn each_input_moves_the_order() {
        let names: Vec<_> = (0..20).map(|n| format!("t{n}")).collect();
        let stakes: Vec<_> = names.iter().map(|name| (name.as_str(), 7)).collect();
        let set = set(&stakes);
        let first = order(&set, b"block", "hive/alice/launch", Quality::P720);
        assert_ne!(first, order(&set, b"blocl", "hive/alice/launch", Quality::P720));
        assert_ne!(first, order(&set, b"block", "hive/alice/launcg", Quality::P720));
        assert_ne!(first, order(&set, b"block", "hive/alice/launch", Quality::P480));
    }

    /// Without its length in front, a longer block id and a shorter stream would hash the same.
    #[test]
    fn block_and_stream_cannot_be_mistaken() {
        let names: Vec<_> = (0..20).map(|n| format!("t{n}")).collect();
        let stakes: Vec<_> = names.iter().map(|name| (name.as_str(), 7)).collect();
        let set = set(&stakes);
        let a = order(&set, b"idxx", "hive/alice/launch", Quality::P720);
        assert_ne!(a, order(&set, b"id", "xxhive/alice/launch", Quality::P720));
    }

    /// 4000 draws: three standard deviations are less than 95 of them.
    #[test]
    fn the_first_place_goes_by_stake() {
        let set = set(&[("ann", 500), ("ben", 300), ("cleo", 200)]);
        let mut firsts: BTreeMap<String, i32> = BTreeMap::new();
        for block in 0..4000_u32 {
            let order = order(&set, &block.to_be_bytes(), "hive/alice/launch", Quality::P720);
            *firsts.entry(order[0].clone()).or_default() += 1;
        }
        for (name, expected) in [("ann", 2000), ("ben", 1200), ("cleo", 800)] {
            assert!((firsts[name] - expected).abs() < 95, "{firsts:?}");
        }
    }
}
