//! The posts of a development chain and the votes for them: [`Posts`].
//!
//! Rewards do not exist here, so a post is never paid; after seven days its options are closed all the same. The rules
//! and their words are those of hived's evaluators of `comment`, `comment_options` and `vote`.

use std::sync::Arc;

use alive_devnet::{Journal, Mark};

use crate::{
    asset::Asset,
    comment_extension::{Beneficiary, CommentExtension},
    operation::{Comment, CommentOptions, Vote},
    time::TimePoint,
};

use super::refusal::PostRefusal;

/// How long the options of a post can be changed and votes count, in seconds: the window before a payout on Hive.
pub(super) const PAYOUT_SECS: u32 = 7 * 24 * 3600;
/// Most beneficiaries that a node lets pass; blocks may hold more. Source: hived's witness plugin.
const MAX_BENEFICIARIES: usize = 8;
/// Highest payout of a new post, in thousandths of HBD: no limit. Source: hived.
const NO_PAYOUT_LIMIT: i64 = 1_000_000_000;
/// 100 percent, as the chain counts shares.
const HUNDRED_PERCENT: u16 = 10_000;

/// Author and permlink.
pub(super) type PostKey = (Box<str>, Box<str>);

/// A post or an answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) allow_curation_rewards: bool,
    pub(super) allow_votes: bool,
    pub(super) beneficiaries: Arc<[Beneficiary]>,
    pub(super) body: Arc<str>,
    /// The root's parent permlink: its category.
    pub(super) category: Arc<str>,
    pub(super) children: u32,
    pub(super) created: TimePoint,
    pub(super) depth: u32,
    /// Its number among all posts, from 0.
    pub(super) id: usize,
    pub(super) json_metadata: Arc<str>,
    pub(super) last_update: TimePoint,
    /// In thousandths of HBD.
    pub(super) max_accepted_payout: i64,
    pub(super) parent: PostKey,
    /// In hundredths of a percent.
    pub(super) percent_hbd: u16,
    pub(super) root: PostKey,
    pub(super) title: Arc<str>,
    pub(super) votes: u32,
}

/// A vote for a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PostVote {
    /// In hundredths of a percent, -10000 to 10000.
    pub(super) percent: i16,
    pub(super) time: TimePoint,
}

/// All posts and votes.
#[derive(Debug, Default)]
pub(super) struct Posts {
    posts: Journal<PostKey, Post, u32>,
    /// By author, permlink and voter.
    votes: Journal<(PostKey, Box<str>), PostVote, u32>,
}

impl Posts {
    pub(super) fn find(&self, author: &str, permlink: &str) -> Option<&Post> {
        self.posts.get(&key(author, permlink))
    }

    /// Who voted for a post, by name.
    pub(super) fn votes(&self, author: &str, permlink: &str) -> Vec<(&str, PostVote)> {
        let post = key(author, permlink);
        let of_it = self.votes.range((post.clone(), Box::default())..);
        let of_it = of_it.take_while(|((voted, _), _)| *voted == post);
        of_it.map(|((_, voter), vote)| (&**voter, *vote)).collect()
    }

    /// Makes or edits a post. Says whether it is new.
    pub(super) fn comment(
        &mut self,
        block: u32,
        now: TimePoint,
        op: &Comment,
    ) -> Result<bool, PostRefusal> {
        let parent_key = key(&op.parent_author, &op.parent_permlink);
        let own_key = key(&op.author, &op.permlink);
        let is_root = op.parent_author.is_empty();
        let parent = if is_root {
            None
        } else {
            Some(self.posts.get(&parent_key).ok_or_else(|| PostRefusal::no_post(&parent_key))?)
        };
        if let Some(before) = self.posts.get(&own_key) {
            let is_same = if is_root { before.depth == 0 } else { before.parent == parent_key };
            if !is_same {
                return Err(PostRefusal::ParentChanged);
            }
            let mut post = before.clone();
            post.title = op.title.as_str().into();
            post.body = op.body.as_str().into();
            post.json_metadata = op.json_metadata.as_str().into();
            post.last_update = now;
            self.posts.set(block, own_key, post);
            return Ok(false);
        }
        check_permlink(&op.parent_permlink)?;
        check_permlink(&op.permlink)?;
        let post = Post {
            allow_curation_rewards: true,
            allow_votes: true,
            beneficiaries: Arc::default(),
            body: op.body.as_str().into(),
            category: parent.map_or_else(
                || op.parent_permlink.as_str().into(),
                |one| Arc::clone(&one.category),
            ),
            children: 0,
            created: now,
            depth: parent.map_or(0, |one| one.depth.saturating_add(1)),
            id: self.posts.len(),
            json_metadata: op.json_metadata.as_str().into(),
            last_update: now,
            max_accepted_payout: NO_PAYOUT_LIMIT,
            percent_hbd: HUNDRED_PERCENT,
            root: parent.map_or_else(|| own_key.clone(), |one| one.root.clone()),
            title: op.title.as_str().into(),
            votes: 0,
            parent: parent_key.clone(),
        };
        if let Some(mut parent) = parent.cloned() {
            parent.children = parent.children.saturating_add(1);
            self.posts.set(block, parent_key, parent);
        }
        self.posts.set(block, own_key, post);
        Ok(true)
    }

    /// Changes the options of a post; `exists` says whether there is such an account.
    pub(super) fn options(
        &mut self,
        block: u32,
        now: TimePoint,
        op: &CommentOptions,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), PostRefusal> {
        let own_key = key(&op.author, &op.permlink);
        let post = self.posts.get(&own_key).ok_or_else(|| PostRefusal::no_post(&own_key))?;
        post.check_options(now, op)?;
        let mut post = post.clone();
        post.max_accepted_payout = op.max_accepted_payout.amount;
        post.percent_hbd = op.percent_hbd;
        post.allow_votes = op.allow_votes;
        post.allow_curation_rewards = op.allow_curation_rewards;
        for CommentExtension::Beneficiaries(shares) in &op.extensions {
            if shares.len() > MAX_BENEFICIARIES {
                return Err(PostRefusal::TooManyBeneficiaries);
            }
            if !post.beneficiaries.is_empty() {
                return Err(PostRefusal::BeneficiariesTwice);
            }
            if post.votes > 0 {
                return Err(PostRefusal::BeneficiariesAfterVote);
            }
            if let Some(share) = shares.iter().find(|share| !exists(&share.account)) {
                return Err(PostRefusal::NoBeneficiary(share.account.as_str().into()));
            }
            post.beneficiaries = shares.as_slice().into();
        }
        self.posts.set(block, own_key, post);
        Ok(())
    }

    pub(super) fn vote(
        &mut self,
        block: u32,
        now: TimePoint,
        op: &Vote,
    ) -> Result<(), PostRefusal> {
        let own_key = key(&op.author, &op.permlink);
        let post = self.posts.get(&own_key).ok_or_else(|| PostRefusal::no_post(&own_key))?;
        if post.is_closed(now) {
            return Err(PostRefusal::VoteAfterPayout);
        }
        if op.weight > 0 && !post.allow_votes {
            return Err(PostRefusal::NoVotes);
        }
        let vote_key = (own_key.clone(), Box::<str>::from(op.voter.as_str()));
        match self.votes.get(&vote_key) {
            None if op.weight == 0 => return Err(PostRefusal::VoteOfNothing),
            Some(before) if before.percent == op.weight => return Err(PostRefusal::SameVote),
            Some(_) => {}
            None => {
                let mut post = post.clone();
                post.votes = post.votes.saturating_add(1);
                self.posts.set(block, own_key, post);
            }
        }
        self.votes.set(block, vote_key, PostVote { percent: op.weight, time: now });
        Ok(())
    }

    pub(super) fn mark(&self) -> (Mark, Mark) {
        (self.posts.mark(), self.votes.mark())
    }

    pub(super) fn undo_to(&mut self, (posts, votes): (Mark, Mark)) {
        self.posts.undo_to(posts);
        self.votes.undo_to(votes);
    }

    pub(super) fn undo_after(&mut self, block: u32) {
        self.posts.undo_after(block);
        self.votes.undo_after(block);
    }

    pub(super) fn settle(&mut self, block: u32) {
        self.posts.settle(block);
        self.votes.settle(block);
    }
}

impl Post {
    /// When it would be paid.
    pub(super) fn payout_time(&self) -> TimePoint {
        self.created.after_secs(PAYOUT_SECS)
    }

    pub(super) fn is_closed(&self, now: TimePoint) -> bool {
        now >= self.payout_time()
    }

    fn check_options(&self, now: TimePoint, op: &CommentOptions) -> Result<(), PostRefusal> {
        let Asset { amount, .. } = op.max_accepted_payout;
        let restricts =
            !op.allow_curation_rewards || !op.allow_votes || amount < self.max_accepted_payout;
        if self.is_closed(now) {
            return Err(PostRefusal::OptionsAfterPayout);
        }
        if restricts && self.votes > 0 {
            return Err(PostRefusal::OptionsAfterVote);
        }
        if op.allow_curation_rewards && !self.allow_curation_rewards {
            return Err(PostRefusal::CurationAgain);
        }
        if op.allow_votes && !self.allow_votes {
            return Err(PostRefusal::VotesAgain);
        }
        if amount > self.max_accepted_payout {
            return Err(PostRefusal::GreaterPayout);
        }
        if op.percent_hbd > self.percent_hbd {
            return Err(PostRefusal::GreaterPercent);
        }
        Ok(())
    }
}

/// What a new post may be called. Posts of before this rule are not there.
fn check_permlink(permlink: &str) -> Result<(), PostRefusal> {
    if permlink.is_empty() {
        return Err(PostRefusal::PermlinkSize);
    }
    let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    match permlink.chars().find(|c| !fits(c)) {
        Some(wrong) => Err(PostRefusal::PermlinkCharacter(wrong)),
        None => Ok(()),
    }
}

fn key(author: &str, permlink: &str) -> PostKey {
    (author.into(), permlink.into())
}
