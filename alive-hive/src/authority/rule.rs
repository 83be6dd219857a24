//! Whose signatures a transaction needs: [`AuthorityRule`].

use std::collections::BTreeSet;

use crate::{
    keys::{PublicKey, Role},
    transaction::RequiredAuthorities,
};

use super::{Authority, walk::Walk};

/// How a chain judges the signatures of a transaction; [`HiveNetwork::authority_rule`] tells which rule holds when.
///
/// Under both, an account within an authority agrees by its own posting authority where a posting authority is needed,
/// else by its active one, also within an owner authority. Source: `spec/hive.md`, section 4.4.
///
/// [`HiveNetwork::authority_rule`]: crate::HiveNetwork::authority_rule
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorityRule {
    /// A higher authority does for a lower one: active or owner instead of posting, owner instead of active. Posting
    /// operations share no transaction with others, and no signature may be there that nothing needs.
    Escalating,
    /// Each operation takes the authority that it names and no other, any mix of operations is fine, and signatures that
    /// nothing needs do no harm.
    Strict,
}

/// Why the signatures of a transaction do not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The authority is not met; sign with keys of it.
    #[error("missing {role} authority of {account}")]
    Missing {
        /// Which authority.
        role: Role,
        /// Whose.
        account: Box<str>,
    },
    /// Put operations that need the posting authority into a transaction of their own.
    #[error("operations of the posting authority share a transaction with others")]
    MixedWithPosting,
    /// There is no such account.
    #[error("there is no account {0}")]
    UnknownAccount(Box<str>),
    /// Sign only with keys that are needed.
    #[error("a signature is not needed")]
    UnneededSignature,
}

impl RequiredAuthorities {
    /// Whether the keys that signed meet everything that is needed. `find` tells the authority of a level of an account.
    ///
    /// As hived does it, in its order, so that the first error is the one that a node gives. The same keys as a set:
    /// that no key signed twice is another rule.
    ///
    /// ```
    /// use std::collections::BTreeSet;
    /// use alive_hive::{Authority, AuthorityRule, PrivateKey, RequiredAuthorities, Role};
    /// let key = |byte| PrivateKey::from_bytes(&[byte; 32]).map(|key| key.public_key());
    /// let (posting, active) = (key(1)?, key(2)?);
    /// let (by_posting, by_active) = (Authority::single(posting), Authority::single(active));
    /// let needed = RequiredAuthorities {
    ///     posting: BTreeSet::from(["alice".to_owned()]),
    ///     ..RequiredAuthorities::default()
    /// };
    /// let alice = |_: &str, role| match role {
    ///     Role::Posting => Some(&by_posting),
    ///     _ => Some(&by_active),
    /// };
    /// let signed = BTreeSet::from([active]);
    /// assert!(needed.check(&signed, AuthorityRule::Escalating, alice).is_ok());
    /// assert!(needed.check(&signed, AuthorityRule::Strict, alice).is_err());
    /// # Ok::<(), alive_hive::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`AuthorityError`] says what is missing or too much.
    pub fn check<'a>(
        &self,
        keys: &BTreeSet<PublicKey>,
        rule: AuthorityRule,
        find: impl Fn(&str, Role) -> Option<&'a Authority>,
    ) -> Result<(), AuthorityError> {
        let mut check = Check { walk: Walk::new(keys), rule, below: Role::Posting, find };
        match rule {
            AuthorityRule::Escalating => check.escalating(self)?,
            AuthorityRule::Strict => check.strict(self)?,
        }
        if rule == AuthorityRule::Escalating && !check.walk.has_used_all() {
            return Err(AuthorityError::UnneededSignature);
        }
        Ok(())
    }
}

/// One transaction being judged.
struct Check<'k, 'a, F> {
    walk: Walk<'k, 'a>,
    rule: AuthorityRule,
    /// By which authority the accounts within authorities agree.
    below: Role,
    find: F,
}

impl<'a, F: Fn(&str, Role) -> Option<&'a Authority>> Check<'_, 'a, F> {
    fn escalating(&mut self, needed: &RequiredAuthorities) -> Result<(), AuthorityError> {
        let others = !needed.active.is_empty() || !needed.owner.is_empty();
        if !needed.posting.is_empty() && others {
            return Err(AuthorityError::MixedWithPosting);
        }
        self.each(&needed.posting, &[Role::Posting, Role::Active, Role::Owner])?;
        if others {
            self.above_posting();
            self.each(&needed.active, &[Role::Active, Role::Owner])?;
            self.each(&needed.owner, &[Role::Owner])?;
        }
        Ok(())
    }

    fn strict(&mut self, needed: &RequiredAuthorities) -> Result<(), AuthorityError> {
        self.each(&needed.posting, &[Role::Posting])?;
        self.above_posting();
        self.each(&needed.active, &[Role::Active])?;
        self.each(&needed.owner, &[Role::Owner])
    }

    fn above_posting(&mut self) {
        self.below = Role::Active;
        self.walk.forget_accounts();
    }

    /// Each of these accounts must meet one of its authorities of these levels; the first one is what is asked for.
    fn each(&mut self, names: &BTreeSet<String>, levels: &[Role]) -> Result<(), AuthorityError> {
        for account in names {
            let mut met = false;
            for role in levels {
                met = met || self.is_met(account, *role)?;
            }
            if let (false, Some(role)) = (met, levels.first()) {
                return Err(AuthorityError::Missing {
                    role: *role,
                    account: account.as_str().into(),
                });
            }
        }
        Ok(())
    }

    fn is_met(&mut self, account: &str, role: Role) -> Result<bool, AuthorityError> {
        // An account that agreed within another's authority need not be asked again at that level.
        let is_asked_as_below = role == self.below;
        if is_asked_as_below && self.walk.approves(account) {
            return Ok(true);
        }
        match self.rule {
            AuthorityRule::Escalating => self.walk.looked_up = usize::from(is_asked_as_below),
            AuthorityRule::Strict => self.walk.looked_up += usize::from(is_asked_as_below),
        }
        let unknown = || AuthorityError::UnknownAccount(account.into());
        let authority = (self.find)(account, role).ok_or_else(unknown)?;
        let (find, below) = (&self.find, self.below);
        Ok(self.walk.is_met(authority, &|name| find(name, below)))
    }
}
