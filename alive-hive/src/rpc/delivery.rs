//! What to do next with a transaction on its way to a block: [`Delivery`]. No I/O, no clock.
//!
//! The one rule that everything here serves: once the bytes may have left us, no others are signed for the same
//! operations until it is proven that these can never be in a block ([`Proof::Void`]). Whatever nodes answer meanwhile
//! only decides whether to look or to send the same bytes once more. A node that refuses them has them too: one of
//! several may lie, and pass them on.

use crate::block_id::BlockId;

use super::{
    broadcaster::Confirm,
    client::RpcError,
    inclusion::Proof,
    node::{By, Known, Sent, is_final},
    node_error::Remedy,
};

/// After how many looks at one node all are looked at.
const LOOKS_PER_ROUND: u32 = 8;

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// It is over.
    End(End),
    /// Look for it after a while, at all nodes or at one.
    Look { everywhere: bool },
    /// Go through the blocks.
    Prove,
    /// Send the bytes now, to the best node, or to all nodes after one did not do with them what it said.
    Send { everywhere: bool },
    /// Send the bytes after a while.
    SendLater,
    /// Make sure that this block has it, and call [`Delivery::verified`].
    Verify { block: u32, is_final: bool },
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// In a block, as far as was asked for.
    Delivered { block: BlockId, is_final: bool },
    /// It never will be, and neither would the same operations signed anew.
    Failed(RpcError),
    /// Enough nodes refuse it for what it is, but one that has it may have lied: the same bytes are to be gone on with.
    Refused(RpcError),
    /// It never will be; the operations may be signed anew.
    Void(Option<RpcError>),
}

/// One signed transaction, from the first time it is sent.
#[derive(Debug)]
pub(super) struct Delivery {
    confirm: Confirm,
    /// A node named a block that does not have it.
    is_doubtful: bool,
    /// Only nodes that refused it have it, but one of them may have lied.
    is_disputed: bool,
    /// A node may have taken it.
    is_out: bool,
    /// Looks since all nodes were looked at.
    looks: u32,
    /// Why a node would not take it after another may have, and whether that holds for the same operations signed anew.
    refused: Option<(RpcError, bool)>,
    /// How often in a row nobody knew it.
    unknown: u32,
}

impl Delivery {
    /// A transaction that was never sent.
    pub(super) fn new(confirm: Confirm) -> Self {
        Self {
            confirm,
            is_doubtful: false,
            is_disputed: false,
            is_out: false,
            looks: 0,
            refused: None,
            unknown: 0,
        }
    }

    /// One that was sent before, nobody knows with what success.
    pub(super) fn resumed(confirm: Confirm) -> Self {
        Self { is_out: true, ..Self::new(confirm) }
    }

    /// The first step.
    pub(super) fn begin(&self) -> Step {
        // Of one that was sent before nothing is known, so all nodes are asked before anything else.
        if self.is_out { Step::Look { everywhere: true } } else { Step::Send { everywhere: false } }
    }

    /// It was sent.
    pub(super) fn sent(&mut self, sent: Sent) -> Step {
        self.is_out |= sent.may_be_out;
        let Err(error) = sent.answer else {
            self.is_out = true;
            return self.look();
        };
        match error.node().map(|error| error.kind().remedy()) {
            // Somebody has it: we, or a node that passed it on.
            Some(Remedy::Done) => {
                self.is_out = true;
                self.look()
            }
            Some(Remedy::WaitBlock) if !self.is_out => Step::SendLater,
            Some(Remedy::Fail | Remedy::Rebuild | Remedy::Wait) if !self.is_out => {
                self.turned_down(error, sent.by)
            }
            // What a node calls expired may be so; the blocks tell.
            Some(Remedy::Rebuild) => {
                self.refused = Some((error, false));
                Step::Prove
            }
            Some(Remedy::Fail | Remedy::Wait) => {
                self.refused = Some((error, sent.by.is_sure()));
                self.look()
            }
            _ if self.is_out || self.is_disputed => self.look(),
            _ if error.is_transient() => Step::SendLater,
            _ => Step::End(End::Failed(error)),
        }
    }

    /// No node took it, and this is why one did not.
    fn turned_down(&mut self, error: RpcError, by: By) -> Step {
        let is_final = is_final(&error);
        if by == By::Trusted && !self.is_disputed {
            let end = if is_final { End::Failed(error) } else { End::Void(Some(error)) };
            return Step::End(end);
        }
        self.is_disputed = true;
        if by.is_sure() && is_final {
            return Step::End(End::Refused(error));
        }
        self.refused = Some((error, false));
        match by {
            By::All { .. } if is_final => self.look(),
            By::All { .. } => Step::Prove,
            By::One | By::Trusted => Step::Send { everywhere: true },
        }
    }

    /// What one node knows, or the most that any of all does; `None` if nobody told.
    pub(super) fn found(&mut self, known: Option<Known>) -> Step {
        self.unknown = if known == Some(Known::Unknown) { self.unknown + 1 } else { 0 };
        match known {
            // Whoever was wrong once about a block may be so again: then the blocks tell.
            Some(Known::InBlock(_) | Known::Irreversible(_)) if self.is_doubtful => {
                self.is_doubtful = false;
                Step::Prove
            }
            Some(Known::InBlock(block)) => Step::Verify { block, is_final: false },
            Some(Known::Irreversible(block)) => Step::Verify { block, is_final: true },
            Some(Known::TooOld | Known::Void) => Step::Prove,
            // The same bytes have the same id, so sending them again does no harm; doing so all the time would.
            Some(Known::Unknown) if self.unknown.is_power_of_two() => {
                self.looks += LOOKS_PER_ROUND / 3;
                Step::Send { everywhere: true }
            }
            Some(Known::Pending | Known::Unknown) | None => self.look(),
        }
    }

    /// The block that has it, if it does, or why no node told; whether one called it irreversible, and enough of them do.
    pub(super) fn verified(
        &mut self,
        was_final: bool,
        is_final: bool,
        found: &Result<Option<BlockId>, RpcError>,
    ) -> Step {
        // A micro-fork took it out, or the node was wrong about the block or its end: somebody else may know better.
        self.is_doubtful |= matches!(found, Ok(None)) || was_final && !is_final;
        match *found {
            Ok(Some(block)) if is_final || self.confirm == Confirm::Seen => {
                Step::End(End::Delivered { block, is_final })
            }
            _ => self.look(),
        }
    }

    /// What the blocks of all nodes say.
    pub(super) fn proven(&mut self, proof: Proof) -> Step {
        match proof {
            Proof::Irreversible(block) => Step::End(End::Delivered { block, is_final: true }),
            Proof::InBlock(block) if self.confirm == Confirm::Seen => {
                Step::End(End::Delivered { block, is_final: false })
            }
            Proof::InBlock(_) | Proof::Open => self.look(),
            Proof::Void => match self.refused.take() {
                Some((error, true)) => Step::End(End::Failed(error)),
                refused => Step::End(End::Void(refused.map(|(error, _)| error))),
            },
        }
    }

    fn look(&mut self) -> Step {
        let everywhere = self.looks >= LOOKS_PER_ROUND;
        self.looks = if everywhere { 0 } else { self.looks + 1 };
        Step::Look { everywhere }
    }
}

/// The most that any of several nodes knows: that it is in a block, that blocks must be gone through, that it may be
/// sent again, that it waits. `None` if nobody told.
pub(super) fn most(answers: &[Result<Known, RpcError>]) -> Option<Known> {
    let rank = |known: &Known| match known {
        Known::Irreversible(_) => 5,
        Known::InBlock(_) => 4,
        Known::Void => 3,
        Known::TooOld => 2,
        Known::Unknown => 1,
        Known::Pending => 0,
    };
    answers.iter().filter_map(|answer| answer.as_ref().ok()).copied().max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::node_error::NodeError, *};

    fn node(inner: i64) -> RpcError {
        NodeError::read(&json!({ "code": -32003, "data": { "code": inner } })).into()
    }

    fn words(words: &str) -> RpcError {
        NodeError::read(&json!({ "code": -32003, "message": words })).into()
    }

    fn refused(error: RpcError) -> Sent {
        Sent { answer: Err(error), may_be_out: false, by: By::Trusted }
    }

    fn by(by: By, error: RpcError) -> Sent {
        Sent { by, ..refused(error) }
    }

    fn taken() -> Sent {
        Sent { answer: Ok(()), may_be_out: false, by: By::Trusted }
    }

    fn block(num: u32) -> BlockId {
        BlockId::numbered(num, [0; 20])
    }

    fn fresh() -> Delivery {
        Delivery::new(Confirm::Seen)
    }

    fn out() -> Delivery {
        let mut delivery = fresh();
        assert!(matches!(delivery.sent(taken()), Step::Look { .. }));
        delivery
    }

    const EXPIRED: i64 = 4_030_100;
    const TAPOS: i64 = 4_030_200;
    const AUTHORITY: i64 = 3_030_000;

    #[test]
    fn what_never_left_is_judged_by_the_answer_alone() {
        assert!(matches!(fresh().begin(), Step::Send { everywhere: false }));
        assert!(matches!(fresh().sent(refused(node(TAPOS))), Step::End(End::Void(Some(_)))));
        assert!(matches!(fresh().sent(refused(node(AUTHORITY))), Step::End(End::Failed(_))));
        assert!(matches!(fresh().sent(refused(words("already submitted 5"))), Step::SendLater));
        assert!(matches!(fresh().sent(refused(RpcError::OtherId)), Step::SendLater));
        let nowhere = refused(words("could not find method"));
        assert!(matches!(fresh().sent(nowhere), Step::End(End::Failed(_))));
    }

    #[test]
    fn one_of_several_that_refuses_it_may_have_lied() {
        let (one, all) = (By::One, |is_agreed| By::All { is_agreed });
        for error in [TAPOS, EXPIRED, AUTHORITY] {
            let mut delivery = fresh();
            let step = delivery.sent(by(one, node(error)));
            assert!(matches!(step, Step::Send { everywhere: true }), "the others are asked");
            assert!(matches!(delivery.sent(taken()), Step::Look { .. }), "one takes it");
        }
        for error in [TAPOS, EXPIRED] {
            let mut delivery = fresh();
            let _ = delivery.sent(by(one, node(error)));
            assert!(matches!(delivery.sent(by(all(false), node(error))), Step::Prove));
            assert!(matches!(delivery.proven(Proof::Open), Step::Look { .. }));
            assert!(matches!(delivery.proven(Proof::Void), Step::End(End::Void(Some(_)))));
        }
        let mut delivery = fresh();
        let _ = delivery.sent(by(one, node(AUTHORITY)));
        let step = delivery.sent(by(all(false), node(AUTHORITY)));
        assert!(matches!(step, Step::Look { .. }), "too few say so");
        let step = delivery.proven(Proof::Void);
        assert!(matches!(step, Step::End(End::Void(Some(_)))), "it may be a lie");
        let step = delivery.sent(by(all(true), node(AUTHORITY)));
        assert!(matches!(step, Step::End(End::Refused(_))), "said at once, but not given up");
        // It stays disputed, whatever comes then.
        let mut delivery = fresh();
        let _ = delivery.sent(by(one, node(AUTHORITY)));
        let nowhere = by(all(false), words("could not find method"));
        assert!(matches!(delivery.sent(nowhere), Step::Look { .. }));
        assert!(matches!(delivery.sent(by(all(false), node(TAPOS))), Step::Prove));
    }

    #[test]
    fn a_duplicate_is_success() {
        let mut delivery = fresh();
        let duplicate = refused(words("Duplicate transaction check failed"));
        assert!(matches!(delivery.sent(duplicate), Step::Look { everywhere: false }));
        assert!(delivery.is_out);
    }

    #[test]
    fn what_may_be_out_is_not_given_up_whatever_a_node_says() {
        for error in [node(TAPOS), node(EXPIRED)] {
            assert!(matches!(out().sent(refused(error)), Step::Prove));
        }
        for error in [node(AUTHORITY), words("please wait to transact"), RpcError::OtherId] {
            assert!(matches!(out().sent(refused(error)), Step::Look { .. }));
        }
        // The answer was lost, then another node refused: the first may have it.
        let mut delivery = fresh();
        let lost = Sent { may_be_out: true, ..refused(node(TAPOS)) };
        assert!(matches!(delivery.sent(lost), Step::Prove));
        assert!(matches!(
            Delivery::resumed(Confirm::Seen).begin(),
            Step::Look { everywhere: true }
        ));
    }

    #[test]
    fn only_a_proof_ends_it_and_a_refusal_for_good_is_told_then() {
        let mut delivery = out();
        assert!(matches!(delivery.found(Some(Known::Void)), Step::Prove));
        assert!(matches!(delivery.found(Some(Known::TooOld)), Step::Prove));
        assert!(matches!(delivery.proven(Proof::Open), Step::Look { .. }));
        assert!(matches!(delivery.proven(Proof::Void), Step::End(End::Void(None))));
        let mut delivery = out();
        let _ = delivery.sent(refused(node(AUTHORITY)));
        assert!(matches!(delivery.proven(Proof::Void), Step::End(End::Failed(_))));
        let mut delivery = out();
        let _ = delivery.sent(refused(node(EXPIRED)));
        assert!(matches!(delivery.proven(Proof::Void), Step::End(End::Void(Some(_)))));
    }

    #[test]
    fn seen_is_enough_only_where_that_was_asked() {
        let found = Some(Known::InBlock(7));
        assert!(matches!(out().found(found), Step::Verify { block: 7, is_final: false }));
        let seen = |step| matches!(step, Step::End(End::Delivered { is_final: false, .. }));
        let settled = |step| matches!(step, Step::End(End::Delivered { is_final: true, .. }));
        let here = &Ok(Some(block(7)));
        assert!(seen(out().verified(false, false, here)));
        assert!(seen(out().verified(true, false, here)), "in a block, if not for good");
        assert!(seen(out().proven(Proof::InBlock(block(7)))));
        let strict = || Delivery { is_out: true, ..Delivery::new(Confirm::Irreversible) };
        assert!(matches!(strict().verified(false, false, here), Step::Look { .. }));
        assert!(matches!(strict().proven(Proof::InBlock(block(7))), Step::Look { .. }));
        assert!(settled(strict().verified(true, true, here)));
        assert!(settled(strict().proven(Proof::Irreversible(block(7)))));
    }

    #[test]
    fn a_node_that_named_a_block_without_it_is_not_believed_twice() {
        let mut delivery = out();
        assert!(matches!(delivery.verified(false, false, &Ok(None)), Step::Look { .. }));
        assert!(matches!(delivery.found(Some(Known::Irreversible(7))), Step::Prove));
        assert!(matches!(delivery.found(Some(Known::Irreversible(7))), Step::Verify { .. }));
        // Where no node tells of the block, nothing is said against anybody.
        assert!(matches!(
            delivery.verified(false, false, &Err(RpcError::NoNode)),
            Step::Look { .. }
        ));
        assert!(matches!(delivery.found(Some(Known::InBlock(7))), Step::Verify { .. }));
        // Nor is one that calls a block irreversible that the others do not.
        let mut strict = Delivery { is_out: true, ..Delivery::new(Confirm::Irreversible) };
        assert!(matches!(strict.verified(true, false, &Ok(Some(block(7)))), Step::Look { .. }));
        assert!(matches!(strict.found(Some(Known::Irreversible(7))), Step::Prove));
    }

    #[test]
    fn all_nodes_are_looked_at_now_and_then() {
        let mut delivery = out();
        let looks = (0..18).map(|_| {
            matches!(delivery.found(Some(Known::Pending)), Step::Look { everywhere: true })
        });
        assert_eq!(looks.filter(|everywhere| *everywhere).count(), 2);
    }

    #[test]
    fn what_is_unknown_is_sent_again_and_soon_looked_for_everywhere() {
        let mut delivery = out();
        let (mut sends, mut looks) = (0, 0);
        for _ in 0..20 {
            let mut step = delivery.found(Some(Known::Unknown));
            if let Step::Send { everywhere } = step {
                assert!(everywhere, "somebody else may do better");
                sends += 1;
                step = delivery.sent(taken());
            }
            looks += u32::from(matches!(step, Step::Look { everywhere: true }));
        }
        assert_eq!(sends, 5, "after 1, 2, 4, 8 and 16 looks");
        assert!(looks >= 3, "{looks}");
    }

    #[test]
    fn the_most_that_is_known_counts() {
        let answers = || vec![Ok(Known::Pending), Ok(Known::Unknown), Err(RpcError::OtherId)];
        assert_eq!(most(&answers()), Some(Known::Unknown));
        for known in [Known::Void, Known::TooOld, Known::InBlock(1), Known::Irreversible(1)] {
            assert_eq!(most(&[answers(), vec![Ok(known)], answers()].concat()), Some(known));
        }
        assert_eq!(most(&[Err(RpcError::NoNode)]), None);
    }

    proptest! {
        /// Whatever nodes say in whatever order: nothing but a proof ends a delivery as void once it may be out.
        #[test]
        fn nothing_but_a_proof_makes_it_void(events in prop::collection::vec(0_u8..12, 0..60)) {
            let mut delivery = out();
            for event in events {
                let step = match event {
                    0 => delivery.sent(refused(node(TAPOS))),
                    1 => delivery.sent(refused(node(EXPIRED))),
                    2 => delivery.sent(refused(node(AUTHORITY))),
                    3 => delivery.sent(refused(RpcError::OtherId)),
                    4 => delivery.sent(refused(words("already submitted"))),
                    5 => delivery.found(Some(Known::Void)),
                    6 => delivery.found(Some(Known::TooOld)),
                    7 => delivery.found(Some(Known::Unknown)),
                    8 => delivery.found(None),
                    9 => delivery.verified(true, false, &Ok(None)),
                    10 => delivery.proven(Proof::Open),
                    _ => delivery.sent(refused(words("could not find method"))),
                };
                prop_assert!(!matches!(step, Step::End(_)), "{event}: {step:?}");
            }
        }
    }
}
