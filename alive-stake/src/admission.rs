//! Whose renditions are shown: [`Admission`].

use std::collections::{BTreeMap, BTreeSet};

use alive_core::{AccountName, Link, Quality, StreamId};
use sha2::{Digest as _, Sha256};

use crate::{
    amount::Amount,
    assign::Assignment,
    check::{Fault, Promise, SegmentFacts, check_rendition},
    elect::RoundSet,
};

/// Decides which other account's rendition of a stream a node shows: one that the streamer has named, or the one that is
/// elected for it in this round. Whoever delivers badly or nothing is struck out for the rest of the round, for that
/// rendition, and the next of the [`Assignment`] takes over. Faults are counted per account.
///
/// The streamer's own renditions need no admission. What was struck out is what this node saw: two nodes agree on the
/// order, not on who failed, unless they were given the same facts.
///
/// ```
/// use alive_core::Quality;
/// use alive_stake::{Admission, Amount, Fault, RoundSet, SetEntry};
/// let entry = |name: &str| Ok::<_, alive_core::AccountNameError>(
///     SetEntry::new(name.parse()?, Amount::new(100), Amount::ZERO)
/// );
/// let mut admission = Admission::new(Amount::MAX);
/// admission.begin_round(RoundSet::new(1, vec![entry("ann")?, entry("ben")?]), b"a block");
///
/// let (stream, quality) = ("hive/alice/launch".parse()?, Quality::P720);
/// let first = admission.elected(&stream, quality).expect("somebody");
/// assert!(admission.admits(&stream, quality, &first));
/// admission.strike(&stream, quality, &first, &Fault::Missing);
/// let second = admission.elected(&stream, quality).expect("the other one");
/// assert!(second != first && admission.record(&first).missing == 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Admission {
    max_price: Amount,
    set: RoundSet,
    block_id: Box<[u8]>,
    named: BTreeMap<Job, Vec<AccountName>>,
    struck: BTreeMap<Job, BTreeSet<AccountName>>,
    records: BTreeMap<AccountName, Record>,
}

/// One rendition of one stream.
type Job = (StreamId, Quality);

/// How often an account was found good, and how often it failed in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Checks without a fault.
    pub good: u64,
    /// [`Fault::Break`].
    pub broken: u64,
    /// [`Fault::Codec`].
    pub codec: u64,
    /// [`Fault::Count`].
    pub count: u64,
    /// [`Fault::Damaged`].
    pub damaged: u64,
    /// [`Fault::Duration`].
    pub duration: u64,
    /// [`Fault::KeyFrame`].
    pub key_frame: u64,
    /// [`Fault::Missing`].
    pub missing: u64,
    /// [`Fault::Resolution`].
    pub resolution: u64,
    /// [`Fault::Section`].
    pub section: u64,
    /// [`Fault::Unreadable`].
    pub unreadable: u64,
}

/// The streamer named more than can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {max} are named already")]
pub struct TooManyNamed {
    what: &'static str,
    max: usize,
}

impl Admission {
    /// Most accounts that a streamer names for one rendition. Our own limit.
    pub const MAX_NAMED: usize = 8;
    /// Most renditions about which something is kept. Our own limit.
    pub const MAX_RENDITIONS: usize = 65_536;

    /// Nobody is elected, as no round has begun. Who asks for more than `max_price` never will be.
    pub fn new(max_price: Amount) -> Self {
        Self {
            max_price,
            set: RoundSet::default(),
            block_id: Box::default(),
            named: BTreeMap::new(),
            struck: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// Elections are by this round's set and the id of the block in which it began from now on. Who was struck out in
    /// another round gets a new chance; told of the same round again, nothing changes. Whether it was another.
    pub fn begin_round(&mut self, set: RoundSet, block_id: &[u8]) -> bool {
        if self.set == set && *self.block_id == *block_id {
            return false;
        }
        self.set = set;
        self.block_id = block_id.into();
        self.struck.clear();
        true
    }

    /// The streamer asks that an account's rendition be shown, elected or not.
    ///
    /// # Errors
    /// There are too many already.
    pub fn name(
        &mut self,
        stream: &StreamId,
        quality: Quality,
        account: &AccountName,
    ) -> Result<(), TooManyNamed> {
        let job = (stream.clone(), quality);
        if self.named.len() >= Self::MAX_RENDITIONS && !self.named.contains_key(&job) {
            return Err(TooManyNamed { what: "renditions", max: Self::MAX_RENDITIONS });
        }
        let accounts = self.named.entry(job).or_default();
        if accounts.contains(account) {
            return Ok(());
        }
        if accounts.len() >= Self::MAX_NAMED {
            return Err(TooManyNamed { what: "accounts", max: Self::MAX_NAMED });
        }
        accounts.push(account.clone());
        Ok(())
    }

    /// The streamer takes that back; whether it had asked.
    pub fn unname(&mut self, stream: &StreamId, quality: Quality, account: &AccountName) -> bool {
        let job = (stream.clone(), quality);
        let Some(accounts) = self.named.get_mut(&job) else { return false };
        let before = accounts.len();
        accounts.retain(|named| named != account);
        let removed = accounts.len() < before;
        if accounts.is_empty() {
            self.named.remove(&job);
        }
        removed
    }

    /// Whose turn it is by the election; `None` when nobody is left.
    pub fn elected(&self, stream: &StreamId, quality: Quality) -> Option<AccountName> {
        let struck = self.struck.get(&(stream.clone(), quality));
        let mut order = Assignment::new(&self.set, &self.block_id, stream, quality, self.max_price);
        order.find(|account| struck.is_none_or(|struck| !struck.contains(*account))).cloned()
    }

    /// Everybody whose rendition may be shown, the preferred first: whom the streamer named, then the elected one.
    pub fn admitted(&self, stream: &StreamId, quality: Quality) -> Vec<AccountName> {
        let job = (stream.clone(), quality);
        let struck = self.struck.get(&job);
        let named = self.named.get(&job).into_iter().flatten();
        let named = named.filter(|account| struck.is_none_or(|struck| !struck.contains(*account)));
        let mut admitted: Vec<_> = named.cloned().collect();
        let elected = self.elected(stream, quality).filter(|elected| !admitted.contains(elected));
        admitted.extend(elected);
        admitted
    }

    /// Whether an account's rendition may be shown.
    pub fn admits(&self, stream: &StreamId, quality: Quality, account: &AccountName) -> bool {
        stream.account == *account || self.admitted(stream, quality).contains(account)
    }

    /// Compares what an account delivered with the source and strikes it out if it is not what it should be.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(
        &mut self,
        stream: &StreamId,
        quality: Quality,
        account: &AccountName,
        facts: Facts<'_>,
    ) -> Result<(), Fault> {
        let Facts { source, rendition, promise } = facts;
        let verdict = check_rendition(source, rendition, promise);
        match &verdict {
            Ok(()) if self.admits(stream, quality, account) => {
                self.records.entry(account.clone()).or_default().good += 1;
            }
            Ok(()) => {}
            Err(fault) => drop(self.strike(stream, quality, account, fault)),
        }
        verdict
    }

    /// Strikes an account out for the rest of the round and counts its fault; whether it was admitted. Who was not has
    /// nothing to lose, and is not counted: nobody fails at what was not its turn.
    pub fn strike(
        &mut self,
        stream: &StreamId,
        quality: Quality,
        account: &AccountName,
        fault: &Fault,
    ) -> bool {
        if stream.account == *account || !self.admits(stream, quality, account) {
            return false;
        }
        let job = (stream.clone(), quality);
        if self.struck.len() >= Self::MAX_RENDITIONS && !self.struck.contains_key(&job) {
            // That one is judged again.
            self.struck.pop_first();
        }
        self.struck.entry(job).or_default().insert(account.clone());
        *self.records.entry(account.clone()).or_default().of(fault) += 1;
        true
    }

    /// How an account has done so far, in all rounds.
    pub fn record(&self, account: &AccountName) -> Record {
        self.records.get(account).copied().unwrap_or_default()
    }

    /// How everybody who was ever judged has done, by name.
    pub fn records(&self) -> impl Iterator<Item = (&AccountName, &Record)> {
        self.records.iter()
    }
}

/// What is known of a rendition and its source, segment by segment.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the three inputs of a check, and no more")]
pub struct Facts<'a> {
    /// The source's segments.
    pub source: &'a [SegmentFacts],
    /// The rendition's.
    pub rendition: &'a [SegmentFacts],
    /// What it should be.
    pub promise: &'a Promise,
}

impl Record {
    /// All faults together.
    pub fn faults(&self) -> u64 {
        let Self {
            good: _,
            broken,
            codec,
            count,
            damaged,
            duration,
            key_frame,
            missing,
            resolution,
            section,
            unreadable,
        } = *self;
        let of_media = broken + codec + damaged + duration + key_frame + resolution;
        of_media + count + missing + section + unreadable
    }

    fn of(&mut self, fault: &Fault) -> &mut u64 {
        match fault {
            Fault::Break { .. } => &mut self.broken,
            Fault::Codec { .. } => &mut self.codec,
            Fault::Count { .. } => &mut self.count,
            Fault::Damaged { .. } => &mut self.damaged,
            Fault::Duration { .. } => &mut self.duration,
            Fault::KeyFrame { .. } => &mut self.key_frame,
            Fault::Missing => &mut self.missing,
            Fault::Resolution { .. } => &mut self.resolution,
            Fault::Section { .. } => &mut self.section,
            Fault::Unreadable { .. } => &mut self.unreadable,
        }
    }
}

/// The link under which a transcoder publishes its renditions of a stream: an ordinary stream of its own account, whose
/// pushes repeat the source's content as `src` and add the renditions. The name follows from the source's, so that
/// nobody needs to be told, and is a valid link whatever the source is called: `r-` and 40 digits of the SHA-256 of
/// `network/account/link`. That rule is ours.
///
/// ```
/// use alive_stake::rendition_link;
/// let link = rendition_link(&"hive/alice/launch".parse()?);
/// assert_eq!(link.as_str().len(), 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "42 letters, digits and dashes are a link"
)]
pub fn rendition_link(stream: &StreamId) -> Link {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let hash = Sha256::digest(stream.to_string());
    let halves = hash.iter().take(20).flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits = halves.filter_map(|half| DIGITS.get(usize::from(half)));
    let link: String = ['r', '-'].iter().chain(digits).collect();
    link.parse().expect("within the limits of a link")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::elect::SetEntry;

    fn name(name: &str) -> AccountName {
        name.parse().unwrap()
    }

    fn set(round: u64, names: &[&str]) -> RoundSet {
        let entry = |id: &&str| SetEntry::new(name(id), Amount::new(10), Amount::new(5));
        RoundSet::new(round, names.iter().map(entry).collect())
    }

    fn stream() -> StreamId {
        "hive/alice/launch".parse().unwrap()
    }

    const Q: Quality = Quality::P720;

    fn begun() -> Admission {
        let mut admission = Admission::new(Amount::new(5));
        admission.begin_round(set(1, &["ann", "ben", "cleo"]), b"block");
        admission
    }

    #[test]
    fn only_the_elected_one_and_the_streamer_are_admitted() {
        let admission = begun();
        let elected = admission.elected(&stream(), Q).unwrap();
        for account in ["ann", "ben", "cleo", "dora"].map(name) {
            assert_eq!(admission.admits(&stream(), Q, &account), account == elected);
        }
        assert!(admission.admits(&stream(), Q, &name("alice")));
    }

    #[test]
    fn the_streamer_names_others() {
        let mut admission = begun();
        let elected = admission.elected(&stream(), Q).unwrap();
        admission.name(&stream(), Q, &name("dora")).unwrap();
        assert_eq!(admission.admitted(&stream(), Q), [name("dora"), elected.clone()]);
        assert_eq!(admission.admitted(&stream(), Quality::P480).len(), 1, "for that rendition");
        assert!(admission.strike(&stream(), Q, &name("dora"), &Fault::Missing));
        assert_eq!(admission.admitted(&stream(), Q), [elected]);
        assert!(admission.unname(&stream(), Q, &name("dora")));
        assert!(!admission.unname(&stream(), Q, &name("dora")));
    }

    #[test]
    fn one_after_the_other_is_struck_out_until_nobody_is_left() {
        let mut admission = begun();
        let order: Vec<_> =
            Assignment::new(&set(1, &["ann", "ben", "cleo"]), b"block", &stream(), Q, Amount::MAX)
                .cloned()
                .collect();
        for account in &order {
            assert_eq!(admission.elected(&stream(), Q).as_ref(), Some(account));
            assert!(admission.strike(&stream(), Q, account, &Fault::KeyFrame { at: 0 }));
            assert!(!admission.strike(&stream(), Q, account, &Fault::KeyFrame { at: 0 }));
            assert_eq!(admission.record(account).key_frame, 1);
        }
        assert_eq!(admission.elected(&stream(), Q), None);
        assert!(admission.elected(&stream(), Quality::P480).is_some());

        admission.begin_round(set(1, &["ann", "ben", "cleo"]), b"block");
        assert_eq!(admission.elected(&stream(), Q), None, "the same round");
        admission.begin_round(set(2, &["ann", "ben", "cleo"]), b"next");
        assert!(admission.elected(&stream(), Q).is_some(), "a new chance");
        assert_eq!(admission.record(&order[0]).faults(), 1, "and not forgotten");
    }

    #[test]
    fn nobody_is_blamed_for_what_was_not_its_turn() {
        let mut admission = begun();
        let elected = admission.elected(&stream(), Q).unwrap();
        for account in ["ann", "ben", "cleo", "dora", "alice"].map(name) {
            if account != elected {
                assert!(!admission.strike(&stream(), Q, &account, &Fault::Missing));
                assert_eq!(admission.record(&account), Record::default());
            }
        }
        assert_eq!(admission.records().count(), 0);
    }

    #[test]
    fn a_check_strikes_out_and_counts() {
        let mut admission = begun();
        let promise = Promise::new(720);
        let source = [SegmentFacts::new(Duration::from_secs(4), true).height(1080)];
        let small = [SegmentFacts::new(Duration::from_secs(4), true).height(480)];
        let good = [SegmentFacts::new(Duration::from_secs(4), true).height(720)];
        let facts = |rendition| Facts { source: &source, rendition, promise: &promise };
        let first = admission.elected(&stream(), Q).unwrap();
        assert_eq!(admission.judge(&stream(), Q, &first, facts(&good)), Ok(()));
        let fault = admission.judge(&stream(), Q, &first, facts(&small));
        assert_eq!(fault, Err(Fault::Resolution { at: 0 }));
        let record = admission.record(&first);
        assert_eq!((record.good, record.resolution, record.faults()), (1, 1, 1));
        assert_ne!(admission.elected(&stream(), Q), Some(first));
    }

    #[test]
    fn who_asks_for_too_much_is_not_elected() {
        let mut admission = Admission::new(Amount::new(4));
        admission.begin_round(set(1, &["ann"]), b"block");
        assert_eq!(admission.elected(&stream(), Q), None);
    }

    #[test]
    fn names_are_limited() {
        let mut admission = begun();
        for n in 0..Admission::MAX_NAMED {
            admission.name(&stream(), Q, &name(&format!("n{n}"))).unwrap();
        }
        admission.name(&stream(), Q, &name("n0")).unwrap();
        assert!(admission.name(&stream(), Q, &name("more")).is_err());
    }

    /// Computed with another program: a change of the rule is a change of where renditions are looked for.
    #[test]
    fn a_renditions_link_is_the_same_for_ever() {
        let link = rendition_link(&stream());
        assert_eq!(link.as_str(), "r-88a33524fb9052709126dd491f8a82605648a4a0");
        assert_ne!(link, rendition_link(&"hive/alice/launcg".parse().unwrap()));
    }
}
