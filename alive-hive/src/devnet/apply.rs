//! What operations change in a development chain: accounts and posts.
//!
//! Data of applications is carried and has no effect; accounts have no funds, so payments are refused as hived refuses
//! them from an empty account.

use alive_devnet::Mark;

use crate::{
    asset::Asset,
    authority::Authority,
    operation::{AccountCreate, AccountUpdate2, Comment, Operation},
    time::TimePoint,
};

use super::{
    accounts::DevAccount,
    credits::Charge,
    engine::Devnet,
    pool::Pending,
    refusal::{PostRefusal, TransactionError},
};

/// Least time between two answers or two edits of an account, in seconds. Source: hived.
const REPLY_SECS: u32 = 3;

/// A moment of the state to go back to.
struct StateMark {
    accounts: Mark,
    credits: Mark,
    posts: (Mark, Mark),
}

impl Devnet {
    /// Applies a transaction to the state of the next block, whole or not at all, and says what it costs.
    pub(super) fn apply(
        &mut self,
        pending: &Pending,
        charge: Charge,
    ) -> Result<u64, TransactionError> {
        let mark = StateMark {
            accounts: self.accounts.mark(),
            credits: self.credits.mark(),
            posts: self.posts.mark(),
        };
        let applied = self.apply_and_charge(pending, charge);
        if applied.is_err() {
            self.accounts.undo_to(mark.accounts);
            self.credits.undo_to(mark.credits);
            self.posts.undo_to(mark.posts);
        }
        applied
    }

    /// Undoes what blocks after this number changed.
    pub(super) fn undo_after(&mut self, block: u32) {
        self.accounts.undo_after(block);
        self.credits.undo_after(block);
        self.posts.undo_after(block);
    }

    /// Forgets how to undo blocks up to this number.
    pub(super) fn settle(&mut self, block: u32) {
        self.accounts.settle(block);
        self.credits.settle(block);
        self.posts.settle(block);
    }

    fn apply_and_charge(
        &mut self,
        pending: &Pending,
        charge: Charge,
    ) -> Result<u64, TransactionError> {
        let block = self.head_num().saturating_add(1);
        let now = self.head_time();
        for operation in &pending.signed.transaction.operations {
            self.apply_operation(operation, block, now)?;
        }
        Ok(self.credits.charge(block, now, pending, charge)?)
    }

    fn apply_operation(
        &mut self,
        operation: &Operation,
        block: u32,
        now: TimePoint,
    ) -> Result<(), TransactionError> {
        match operation {
            Operation::AccountCreate(op) => self.create(op, block, now),
            Operation::AccountUpdate2(op) => {
                let new = [&op.owner, &op.active, &op.posting];
                self.check_members(new.into_iter().flatten())?;
                self.check_known(&op.account)?;
                self.accounts.change(block, &op.account, |account| update(account, op, now));
                Ok(())
            }
            Operation::Comment(op) => self.comment(op, block, now),
            Operation::CommentOptions(op) => {
                let accounts = &self.accounts;
                let exists = |name: &str| accounts.find(name).is_some();
                Ok(self.posts.options(block, now, op, exists)?)
            }
            Operation::CustomJson(_) => Ok(()),
            Operation::Transfer(op) => {
                self.check_known(&op.to)?;
                pay(&op.from, op.amount)
            }
            Operation::TransferToVesting(op) => pay(&op.from, op.amount),
            Operation::Vote(op) => {
                self.check_known(&op.voter)?;
                self.posts.vote(block, now, op)?;
                self.accounts.change(block, &op.voter, |account| account.last_vote = now);
                Ok(())
            }
        }
    }

    fn check_known(&self, name: &str) -> Result<(), TransactionError> {
        match self.accounts.find(name) {
            Some(_) => Ok(()),
            None => Err(TransactionError::unknown_account(name)),
        }
    }

    /// Every account in the authorities must be there.
    fn check_members<'a>(
        &self,
        authorities: impl IntoIterator<Item = &'a Authority>,
    ) -> Result<(), TransactionError> {
        let names = authorities.into_iter().flat_map(|authority| authority.account_auths.keys());
        names.into_iter().try_for_each(|name| self.check_known(name))
    }

    fn create(
        &mut self,
        op: &AccountCreate,
        block: u32,
        now: TimePoint,
    ) -> Result<(), TransactionError> {
        self.check_known(&op.creator)?;
        pay(&op.creator, op.fee)?;
        if self.accounts.find(&op.new_account_name).is_some() {
            return Err(TransactionError::AccountExists(op.new_account_name.as_str().into()));
        }
        self.check_members([&op.owner, &op.active, &op.posting])?;
        let account = DevAccount {
            active: op.active.clone(),
            created: now,
            json_metadata: op.json_metadata.clone(),
            owner: op.owner.clone(),
            posting: op.posting.clone(),
            ..DevAccount::named(&op.new_account_name, op.memo_key)
        };
        self.accounts.set(block, account);
        Ok(())
    }

    fn comment(
        &mut self,
        op: &Comment,
        block: u32,
        now: TimePoint,
    ) -> Result<(), TransactionError> {
        let author = self.accounts.find(&op.author);
        let author = author.ok_or_else(|| TransactionError::unknown_account(&op.author))?;
        let since = |past: TimePoint| now.as_unix_secs().saturating_sub(past.as_unix_secs());
        let is_root = op.parent_author.is_empty();
        if self.posts.find(&op.author, &op.permlink).is_some() {
            if since(author.last_post_edit) < REPLY_SECS {
                return Err(PostRefusal::EditTooSoon.into());
            }
        } else if is_root {
            let interval = self.config.root_post_interval.as_secs();
            if interval > 0 && u64::from(since(author.last_root_post)) <= interval {
                return Err(PostRefusal::TooSoon.into());
            }
        } else if since(author.last_post) < REPLY_SECS {
            return Err(PostRefusal::ReplyTooSoon.into());
        }
        let is_new = self.posts.comment(block, now, op)?;
        self.accounts.change(block, &op.author, |account| {
            account.last_post_edit = now;
            if is_new {
                account.last_post = now;
                account.post_count = account.post_count.saturating_add(1);
            }
            if is_new && is_root {
                account.last_root_post = now;
            }
        });
        Ok(())
    }
}

/// Every account has nothing.
fn pay(account: &str, amount: Asset) -> Result<(), TransactionError> {
    match amount.amount {
        0 => Ok(()),
        _ => Err(TransactionError::Funds { account: account.into(), amount }),
    }
}

fn update(account: &mut DevAccount, op: &AccountUpdate2, now: TimePoint) {
    account.last_update = now;
    let authorities = [
        (&mut account.owner, &op.owner),
        (&mut account.active, &op.active),
        (&mut account.posting, &op.posting),
    ];
    for (authority, new) in authorities {
        if let Some(new) = new {
            authority.clone_from(new);
        }
    }
    account.memo_key = op.memo_key.unwrap_or(account.memo_key);
    let texts = [
        (&mut account.json_metadata, &op.json_metadata),
        (&mut account.posting_json_metadata, &op.posting_json_metadata),
    ];
    for (text, new) in texts {
        if !new.is_empty() {
            text.clone_from(new);
        }
    }
}
