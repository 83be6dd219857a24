//! The reversible blocks on top of the irreversible ones: [`Overlay`].
//!
//! HAF's views show, for each number, the block of the newest fork. Just after a fork the blocks of the old branch are
//! still there above the new one, so only the blocks that follow each other from the irreversible one on are the chain.

use alive_core::backend::{BlockId, BlockRef};

use super::read::Header;

/// The chain from the last irreversible block to the head.
#[derive(Debug)]
pub(super) struct Overlay {
    irreversible: u32,
    /// From the irreversible block on, if there is one; each names the one before it.
    headers: Vec<Header>,
}

/// Where a caller's block is in the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In it, or at its start: these blocks follow, oldest first.
    At(Vec<Header>),
    /// Nowhere.
    Forked,
    /// Below: irreversible blocks come first.
    Below,
}

impl Overlay {
    /// The chain out of what the view shows from block `irreversible` on, by number.
    pub(super) fn new(irreversible: u32, shown: impl IntoIterator<Item = Header>) -> Self {
        let mut headers: Vec<Header> = Vec::new();
        for header in shown {
            let follows = match headers.last() {
                Some(last) => {
                    last.num.checked_add(1) == Some(header.num) && header.previous == last.id
                }
                None => header.num == irreversible.max(1),
            };
            if !follows {
                break;
            }
            headers.push(header);
        }
        Self { irreversible, headers }
    }

    /// Where a caller is that has `after`, and needs the blocks behind number `have`.
    pub(super) fn place(&self, after: Option<&BlockRef>, have: u32) -> Place {
        if have < self.irreversible {
            return Place::Below;
        }
        if self.headers.is_empty() && self.irreversible > 0 {
            // The view lacks its own irreversible block: nothing can be told from it.
            return Place::At(Vec::new());
        }
        if let Some(after) = after
            && have > 0
            && self.id(have) != Some(&after.id)
        {
            return Place::Forked;
        }
        let behind = self.headers.iter().filter(|header| header.num > have);
        Place::At(behind.cloned().collect())
    }

    fn id(&self, num: u32) -> Option<&BlockId> {
        let header = self.headers.iter().find(|header| header.num == num)?;
        Some(&header.id)
    }
}

#[cfg(test)]
mod tests {
    use alive_core::Timestamp;

    use super::*;

    fn id(text: &str) -> BlockId {
        text.parse().unwrap()
    }

    fn header(num: u32, this: &str, previous: &str) -> Header {
        Header { num, id: id(this), previous: id(previous), time: Timestamp::EPOCH }
    }

    fn at(num: u64, this: &str) -> BlockRef {
        BlockRef { num, id: id(this) }
    }

    fn nums(place: Place) -> Vec<u32> {
        match place {
            Place::At(headers) => headers.iter().map(|header| header.num).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Block 5 is irreversible; 6 was replaced, 7 and 8 of the old branch are still shown.
    fn just_forked() -> Overlay {
        let shown = [
            header(5, "five", "four"),
            header(6, "new six", "five"),
            header(7, "old seven", "old six"),
            header(8, "old eight", "old seven"),
        ];
        Overlay::new(5, shown)
    }

    #[test]
    fn blocks_of_the_old_branch_are_not_part_of_the_chain() {
        let overlay = just_forked();
        assert_eq!(nums(overlay.place(Some(&at(5, "five")), 5)), [6]);
        assert!(nums(overlay.place(Some(&at(6, "new six")), 6)).is_empty());
        for gone in [at(6, "old six"), at(7, "old seven"), at(8, "old eight"), at(9, "nine")] {
            let have = u32::try_from(gone.num).unwrap();
            assert_eq!(overlay.place(Some(&gone), have), Place::Forked, "{gone:?}");
        }
    }

    #[test]
    fn a_caller_below_the_irreversible_block_reads_that_far_first() {
        assert_eq!(just_forked().place(Some(&at(4, "four")), 4), Place::Below);
        assert_eq!(just_forked().place(None, 0), Place::Below);
    }

    #[test]
    fn a_caller_without_a_block_starts_where_it_wants_to() {
        assert_eq!(nums(just_forked().place(None, 5)), [6]);
        assert!(nums(just_forked().place(None, 70)).is_empty());
    }

    #[test]
    fn a_chain_without_irreversible_blocks_starts_at_the_first() {
        let shown = [header(1, "one", "zero"), header(2, "two", "one")];
        assert_eq!(nums(Overlay::new(0, shown.clone()).place(None, 0)), [1, 2]);
        let [_, second] = shown;
        let gone = Overlay::new(0, [second]);
        assert!(nums(gone.place(None, 0)).is_empty());
        assert_eq!(gone.place(Some(&at(1, "one")), 1), Place::Forked);
    }

    #[test]
    fn without_its_irreversible_block_nothing_can_be_told() {
        let overlay = Overlay::new(5, [header(6, "six", "five")]);
        assert!(nums(overlay.place(None, 5)).is_empty());
        assert!(nums(overlay.place(Some(&at(5, "five")), 5)).is_empty());
        assert!(nums(overlay.place(Some(&at(6, "six")), 6)).is_empty());
    }
}
