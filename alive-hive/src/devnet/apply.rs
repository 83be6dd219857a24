//! What operations change in a development chain: the accounts.
//!
//! Data, votes and posts are carried and have no effect; accounts have no funds, so payments are refused as hived
//! refuses them from an empty account.

use crate::{
    asset::Asset,
    authority::Authority,
    operation::{AccountCreate, AccountUpdate2, Operation},
};

use super::{accounts::DevAccount, engine::Devnet, refusal::TransactionError};

impl Devnet {
    /// Applies operations to the state of the next block: all or none.
    pub(super) fn apply(&mut self, operations: &[Operation]) -> Result<(), TransactionError> {
        let mut changed: Vec<DevAccount> = Vec::new();
        for operation in operations {
            if let Some(account) = self.effect(operation, &changed)? {
                changed.retain(|other| other.name != account.name);
                changed.push(account);
            }
        }
        let block = self.head_num().saturating_add(1);
        for account in changed {
            self.accounts.set(block, account);
        }
        Ok(())
    }

    /// The account as the operation leaves it, if it changes one.
    fn effect(
        &self,
        operation: &Operation,
        changed: &[DevAccount],
    ) -> Result<Option<DevAccount>, TransactionError> {
        let find = |name: &str| {
            let changed = changed.iter().find(|account| *account.name == *name);
            changed.or_else(|| self.accounts.find(name))
        };
        let known = |name: &str| find(name).ok_or_else(|| TransactionError::unknown_account(name));
        let members = |authorities: &[&Authority]| {
            let names = authorities.iter().flat_map(|authority| authority.account_auths.keys());
            names.into_iter().try_for_each(|name| known(name).map(|_| ()))
        };
        match operation {
            Operation::AccountCreate(op) => {
                known(&op.creator)?;
                pay(&op.creator, op.fee)?;
                if find(&op.new_account_name).is_some() {
                    return Err(TransactionError::AccountExists(
                        op.new_account_name.as_str().into(),
                    ));
                }
                members(&[&op.owner, &op.active, &op.posting])?;
                Ok(Some(self.created(op)))
            }
            Operation::AccountUpdate2(op) => {
                let new = [&op.owner, &op.active, &op.posting];
                members(&new.into_iter().flatten().collect::<Vec<_>>())?;
                Ok(Some(updated(known(&op.account)?.clone(), op)))
            }
            Operation::Transfer(op) => {
                known(&op.to)?;
                pay(&op.from, op.amount).map(|()| None)
            }
            Operation::TransferToVesting(op) => pay(&op.from, op.amount).map(|()| None),
            Operation::Comment(_)
            | Operation::CommentOptions(_)
            | Operation::CustomJson(_)
            | Operation::Vote(_) => Ok(None),
        }
    }

    fn created(&self, op: &AccountCreate) -> DevAccount {
        DevAccount {
            name: op.new_account_name.as_str().into(),
            active: op.active.clone(),
            created: self.head_time(),
            json_metadata: op.json_metadata.clone(),
            memo_key: op.memo_key,
            owner: op.owner.clone(),
            posting: op.posting.clone(),
            posting_json_metadata: String::new(),
        }
    }
}

/// Every account has nothing.
fn pay(account: &str, amount: Asset) -> Result<(), TransactionError> {
    match amount.amount {
        0 => Ok(()),
        _ => Err(TransactionError::Funds { account: account.into(), amount }),
    }
}

fn updated(mut account: DevAccount, op: &AccountUpdate2) -> DevAccount {
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
    account
}
