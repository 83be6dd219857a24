//! How a post is paid: [`PayoutOptions`].

use crate::{
    asset::{Asset, AssetSymbol},
    comment_extension::CommentExtension,
    operation::{CommentOptions, Operation},
};

use super::Beneficiaries;

/// Who is paid for a post, how much at most, and in what.
///
/// The usual is what the chain does when nobody says anything, so it needs no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutOptions {
    /// Whether voters are rewarded.
    pub allow_curation_rewards: bool,
    /// Whether votes are allowed.
    pub allow_votes: bool,
    /// Who shares the reward.
    pub beneficiaries: Beneficiaries,
    /// Highest payout, in HBD; none declines it.
    pub max_payout: Asset,
    /// Share paid in HBD, in hundredths of a percent of its half; the rest is paid in vesting shares.
    pub percent_hbd: u16,
}

impl PayoutOptions {
    /// The highest payout that the chain has when nobody says anything: a million HBD.
    pub const MAX_PAYOUT: Asset = Asset { amount: 1_000_000_000, symbol: AssetSymbol::Hbd };

    pub(super) fn to_operation(&self, author: String, permlink: String) -> Operation {
        let shares = self.beneficiaries.to_list();
        let extension = (!shares.is_empty()).then_some(CommentExtension::Beneficiaries(shares));
        Operation::CommentOptions(CommentOptions {
            author,
            permlink,
            max_accepted_payout: self.max_payout,
            percent_hbd: self.percent_hbd,
            allow_votes: self.allow_votes,
            allow_curation_rewards: self.allow_curation_rewards,
            extensions: extension.into_iter().collect(),
        })
    }
}

impl Default for PayoutOptions {
    fn default() -> Self {
        Self {
            allow_curation_rewards: true,
            allow_votes: true,
            beneficiaries: Beneficiaries::default(),
            max_payout: Self::MAX_PAYOUT,
            percent_hbd: Beneficiaries::WHOLE,
        }
    }
}
