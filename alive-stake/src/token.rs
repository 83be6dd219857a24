//! The token: balances and supply. It is a ledger inside the state, not a coin on any chain.

use crate::{
    accounts::{AccountId, Table},
    amount::{Amount, ArithmeticError},
};

/// Who has how many tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) balances: Table<Amount>,
    pub(crate) supply: Amount,
}

/// A number of the ledger as it was before a change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TokenChange {
    Balance(AccountId, Amount),
    Supply(Amount),
}

impl Token {
    /// Moves tokens; to oneself and of nothing is allowed.
    ///
    /// # Errors
    /// `Underflow` when the balance is too small.
    pub(crate) fn transfer(
        &mut self,
        from: AccountId,
        to: AccountId,
        amount: Amount,
        mut log: impl FnMut(TokenChange),
    ) -> Result<(), ArithmeticError> {
        let had = self.balances[from];
        let left = had.minus(amount)?;
        log(TokenChange::Balance(from, had));
        self.balances[from] = left;
        self.credit(to, amount, log)
    }

    /// Makes new tokens.
    ///
    /// # Errors
    /// `Overflow`.
    pub(crate) fn mint(
        &mut self,
        to: AccountId,
        amount: Amount,
        mut log: impl FnMut(TokenChange),
    ) -> Result<(), ArithmeticError> {
        let supply = self.supply.plus(amount)?;
        log(TokenChange::Supply(self.supply));
        self.supply = supply;
        self.credit(to, amount, log)
    }

    pub(crate) fn revert(&mut self, change: TokenChange) {
        match change {
            TokenChange::Balance(id, amount) => self.balances[id] = amount,
            TokenChange::Supply(amount) => self.supply = amount,
        }
    }

    fn credit(
        &mut self,
        to: AccountId,
        amount: Amount,
        mut log: impl FnMut(TokenChange),
    ) -> Result<(), ArithmeticError> {
        let has = self.balances[to];
        let more = has.plus(amount)?;
        log(TokenChange::Balance(to, has));
        self.balances[to] = more;
        Ok(())
    }
}
