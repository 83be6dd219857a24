//! The segments that several chains tell as one list: [`MergedList`].
//!
//! Chains number pushes by themselves and bundle segments as they came through, so only the content of segments can be
//! compared. A chain that lacks some was slow or gone; two that tell another order contradict each other.

use std::collections::HashMap;

use crate::{content::ContentId, segment::Flags, timeline::Listed};

/// One list of what several chains tell, each segment once, by its content.
///
/// It only ever grows at its end. Segments that one chain lacks stand where the others have them; what belongs before one
/// that is listed already is held back, and stands in its place in a list that is made afresh. Where chains contradict
/// each other the first one counts. A segment that no chain tells right behind the one before it starts with a
/// discontinuity, and no other does that some chain tells without.
///
/// ```
/// use alive_core::{Listed, MergedList, Segment};
/// let told = |cid: &str| -> Result<Listed, Box<dyn std::error::Error>> {
///     Ok(Listed { segment: Segment::new(cid.parse()?, "10".parse()?), seq: None })
/// };
/// let first = told("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH")?;
/// let second = told("bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq")?;
/// let mut merged = MergedList::default();
/// merged.extend(&[&[first], &[first, second]]);
/// assert_eq!(merged.listed(), [first, second]);
/// assert_eq!((merged.place_in(0, 1), merged.place_in(1, 1)), (None, Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct MergedList {
    listed: Vec<Listed>,
    /// Places in the list by canonical id. The hash is seeded, so nobody can aim at collisions.
    places: HashMap<ContentId, u32>,
    chains: Vec<Chain>,
    held: usize,
    contradictions: usize,
}

/// What was taken of one chain's list.
#[derive(Debug, Default)]
struct Chain {
    /// How many of its segments were looked at.
    taken: usize,
    /// Where it tells the segment of each place; [`NOWHERE`] if it does not.
    at: Vec<u32>,
}

/// Four thousand million segments are more than any memory holds.
const NOWHERE: u32 = u32::MAX;

/// What a chain tells that is not listed yet.
struct Pending {
    places: HashMap<ContentId, usize>,
    /// Behind the last one that is listed already.
    known_until: usize,
}

impl MergedList {
    /// The segments in playing order. The sequence number of each is that of the chain which told it first, as it was then.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// How many chains it is made of.
    pub fn chains(&self) -> usize {
        self.chains.len()
    }

    /// Where in its own list a chain tells the segment of a place; `None` if it does not.
    pub fn place_in(&self, chain: usize, place: usize) -> Option<usize> {
        let at = *self.chains.get(chain)?.at.get(place)?;
        usize::try_from(at).ok().filter(|_| at != NOWHERE)
    }

    /// How many segments are held back because they belong before listed ones.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How often no chain's next segment could come next, because each stands behind another in another chain's order.
    pub fn contradictions(&self) -> usize {
        self.contradictions
    }

    /// Takes what each chain tells by now, one list for each: the lists of last time with more at their ends, and those of
    /// further chains behind them.
    pub fn extend(&mut self, lists: &[&[Listed]]) {
        if self.chains.len() < lists.len() {
            self.chains.resize_with(lists.len(), Chain::default);
        }
        let pending: Vec<_> =
            lists.iter().enumerate().map(|(chain, list)| self.pending(chain, list)).collect();
        loop {
            for (chain, list) in lists.iter().enumerate() {
                self.pass_known(chain, list);
            }
            let Some((chain, head)) = self.next(lists, &pending) else { return };
            let taken = self.taken(chain);
            if pending.get(chain).is_some_and(|pending| taken < pending.known_until) {
                self.held += 1;
                self.advance(chain);
            } else {
                self.append(head, lists, &pending);
            }
        }
    }

    /// Takes no more from a chain, and forgets what it told. What is listed stays. The chains behind it move up.
    pub fn remove(&mut self, chain: usize) {
        if chain < self.chains.len() {
            self.chains.remove(chain);
        }
    }

    fn pending(&self, chain: usize, list: &[Listed]) -> Pending {
        let mut pending = Pending { places: HashMap::new(), known_until: 0 };
        for (at, told) in list.iter().enumerate().skip(self.taken(chain)) {
            let content = told.segment.content.canonical();
            if self.places.contains_key(&content) {
                pending.known_until = at + 1;
            } else {
                // The same content twice is listed once, where it stands first.
                pending.places.entry(content).or_insert(at);
            }
        }
        pending
    }

    /// Passes over what is listed.
    fn pass_known(&mut self, chain: usize, list: &[Listed]) {
        while let Some(told) = list.get(self.taken(chain))
            && let Some(&place) = self.places.get(&told.segment.content.canonical())
        {
            self.note(chain, place);
            self.advance(chain);
        }
    }

    /// The next segment, and a chain that tells it.
    fn next(&mut self, lists: &[&[Listed]], pending: &[Pending]) -> Option<(usize, Listed)> {
        let mut heads = lists
            .iter()
            .enumerate()
            .filter_map(|(chain, list)| Some((chain, *list.get(self.taken(chain))?)));
        let first = heads.clone().next()?;
        // What stands behind something else in another chain's order comes later.
        let is_next = |(_, told): &(usize, Listed)| {
            let content = told.segment.content.canonical();
            pending.iter().enumerate().all(|(other, pending)| {
                pending.places.get(&content).is_none_or(|at| *at <= self.taken(other))
            })
        };
        let next = heads.find(is_next);
        if next.is_none() {
            self.contradictions += 1;
        }
        next.or(Some(first))
    }

    fn append(&mut self, told: Listed, lists: &[&[Listed]], pending: &[Pending]) {
        let content = told.segment.content.canonical();
        let flags = match self.listed.last() {
            None => Flags::new(false, told.segment.flags.gap()),
            Some(last) => {
                let last = last.segment.content.canonical();
                let follows = lists.iter().zip(pending).find_map(|(list, pending)| {
                    let at = *pending.places.get(&content)?;
                    let before = list.get(at.checked_sub(1)?)?;
                    (before.segment.content.canonical() == last).then(|| list.get(at))?
                });
                match follows {
                    Some(follows) => follows.segment.flags,
                    None => told.segment.flags.with_discontinuity(),
                }
            }
        };
        let place = u32::try_from(self.listed.len()).unwrap_or(NOWHERE);
        self.listed.push(Listed { segment: told.segment.with_flags(flags), ..told });
        self.places.insert(content, place);
    }

    fn taken(&self, chain: usize) -> usize {
        self.chains.get(chain).map_or(usize::MAX, |chain| chain.taken)
    }

    fn advance(&mut self, chain: usize) {
        if let Some(chain) = self.chains.get_mut(chain) {
            chain.taken += 1;
        }
    }

    /// Notes where a chain tells a listed segment, the first time.
    fn note(&mut self, chain: usize, place: u32) {
        let Some(chain) = self.chains.get_mut(chain) else { return };
        let (Ok(index), Ok(at)) = (usize::try_from(place), u32::try_from(chain.taken)) else {
            return;
        };
        if chain.at.len() <= index {
            chain.at.resize(index + 1, NOWHERE);
        }
        if let Some(slot) = chain.at.get_mut(index).filter(|slot| **slot == NOWHERE) {
            *slot = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::Segment;

    fn content(number: u8) -> ContentId {
        let hash = multihash::Multihash::wrap(0x12, &[number; 32]).unwrap();
        ContentId::from_cid(&cid::Cid::new_v0(hash).unwrap()).unwrap()
    }

    fn told(numbers: &[u8]) -> Vec<Listed> {
        let listed = |number: &u8| Listed {
            segment: Segment::new(content(*number), "10".parse().unwrap()),
            seq: None,
        };
        numbers.iter().map(listed).collect()
    }

    fn numbers(listed: &[Listed]) -> Vec<u8> {
        let number = |listed: &Listed| listed.segment.content.to_cid().unwrap().hash().digest()[0];
        listed.iter().map(number).collect()
    }

    fn extend(merged: &mut MergedList, lists: &[&[u8]]) {
        let lists: Vec<_> = lists.iter().map(|list| told(list)).collect();
        merged.extend(&lists.iter().map(|list| &**list).collect::<Vec<_>>());
    }

    fn merge(lists: &[&[u8]]) -> MergedList {
        let mut merged = MergedList::default();
        extend(&mut merged, lists);
        merged
    }

    /// Which chains tell each segment.
    fn chains(merged: &MergedList) -> Vec<String> {
        let names = |place| {
            let tells = |chain: &usize| merged.place_in(*chain, place).is_some();
            (0..merged.chains()).filter(tells).map(|chain| chain.to_string()).collect()
        };
        (0..merged.listed().len()).map(names).collect()
    }

    fn breaks(merged: &MergedList) -> Vec<u8> {
        let mut broken = merged.listed().to_vec();
        broken.retain(|listed| listed.segment.flags.discontinuity());
        numbers(&broken)
    }

    #[rstest]
    #[case::each_lacks_some("1 2 3 5 | 2 3 4 5 6", "1 2 3 4 5 6", "0 01 01 1 01 1")]
    #[case::the_first_lacks_one("1 3 | 1 2 3", "1 2 3", "01 1 01")]
    #[case::one_tells_nothing(" | 1 2", "1 2", "1 1")]
    #[case::one_stopped("1 2 | 1 2 3 4", "1 2 3 4", "01 01 1 1")]
    #[case::moved_to_another_chain("1 2 | 3 4", "1 2 3 4", "0 0 1 1")]
    #[case::three("1 4 | 2 4 | 1 2 3 4", "1 2 3 4", "02 12 2 012")]
    #[case::twice_in_one("1 2 1 | 1 2 3", "1 2 3", "01 01 1")]
    #[case::alone("1 2", "1 2", "0 0")]
    fn what_one_lacks_stands_where_the_others_have_it(
        #[case] lists: &str,
        #[case] want: &str,
        #[case] names: &str,
    ) {
        let read = |text: &str| -> Vec<u8> {
            text.split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        let lists: Vec<_> = lists.split('|').map(read).collect();
        let merged = merge(&lists.iter().map(|list| &**list).collect::<Vec<_>>());
        assert_eq!(numbers(merged.listed()), read(want));
        assert_eq!(chains(&merged).join(" "), names);
        assert_eq!((merged.held(), merged.contradictions()), (0, 0));
    }

    #[test]
    fn two_orders_are_a_contradiction_and_the_first_chain_counts() {
        let merged = merge(&[&[1, 2, 3], &[2, 1, 3]]);
        assert_eq!(numbers(merged.listed()), [1, 2, 3]);
        assert_eq!(chains(&merged), ["01", "01", "01"]);
        assert!(merged.contradictions() > 0);
    }

    #[test]
    fn a_break_stands_where_no_chain_goes_on() {
        assert_eq!(breaks(&merge(&[&[1, 2], &[4, 5]])), [4]);
        assert_eq!(breaks(&merge(&[&[1, 2], &[2, 4]])), [] as [u8; 0]);
        // The first chain passed over something that the second has: its break is none.
        let mut first = told(&[1, 3]);
        let flags = first[1].segment.flags.with_discontinuity();
        first[1].segment = first[1].segment.with_flags(flags);
        let mut merged = MergedList::default();
        merged.extend(&[&first, &told(&[1, 2, 3])]);
        assert_eq!(numbers(merged.listed()), [1, 2, 3]);
        assert_eq!(breaks(&merged), [] as [u8; 0]);
        // Both tell a break.
        let mut merged = MergedList::default();
        merged.extend(&[&first, &first]);
        assert_eq!(breaks(&merged), [3]);
    }

    #[test]
    fn what_comes_late_from_one_chain_is_attested_or_held_back() {
        let mut merged = merge(&[&[1, 2, 4], &[1]]);
        extend(&mut merged, &[&[1, 2, 4], &[1, 2, 3, 4, 5]]);
        assert_eq!(
            numbers(merged.listed()),
            [1, 2, 4, 5],
            "the list does not change in its middle"
        );
        assert_eq!(chains(&merged), ["01", "01", "01", "1"]);
        assert_eq!((merged.held(), merged.contradictions()), (1, 0));
        let fresh = merge(&[&[1, 2, 4], &[1, 2, 3, 4, 5]]);
        assert_eq!(numbers(fresh.listed()), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_chain_that_is_taken_away_takes_nothing_with_it() {
        let mut merged = merge(&[&[1, 2], &[1, 2, 3], &[2, 3, 4]]);
        merged.remove(1);
        merged.remove(7);
        assert_eq!(numbers(merged.listed()), [1, 2, 3, 4]);
        assert_eq!(chains(&merged), ["0", "01", "1", "1"]);
        extend(&mut merged, &[&[1, 2, 3], &[2, 3, 4, 5]]);
        assert_eq!(chains(&merged), ["0", "01", "01", "1", "1"]);
    }

    /// Parts of one recording, as chains have them that lost some of it.
    fn parts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::sample::subsequence((0..24).collect::<Vec<u8>>(), 0..=24), 1..4)
    }

    proptest! {
        #[test]
        fn parts_of_one_recording_make_one_list_without_contradiction(lists in parts()) {
            let merged = merge(&lists.iter().map(|list| &**list).collect::<Vec<_>>());
            let got = numbers(merged.listed());
            prop_assert_eq!((merged.held(), merged.contradictions()), (0, 0));
            for list in &lists {
                let of_list: Vec<_> = got.iter().filter(|n| list.contains(n)).copied().collect();
                prop_assert_eq!(&of_list, list, "its order is kept");
            }
            prop_assert!(got.iter().all(|n| lists.iter().any(|list| list.contains(n))));
        }
    }
}
