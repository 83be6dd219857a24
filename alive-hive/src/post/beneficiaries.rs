//! Who shares the reward of a post: [`Beneficiaries`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use alive_core::Excerpt;

use crate::{comment_extension::Beneficiary, validate::is_account_name};

/// Accounts that share the reward of a post, with their shares in hundredths of a percent.
///
/// As hived takes them: at most 8, each once and sorted, at most everything together. The text gives percents with up to
/// two decimals.
///
/// ```
/// use alive_hive::post::Beneficiaries;
/// let shares: Beneficiaries = "bob:5,alice:2.5".parse()?;
/// assert_eq!(shares.to_string(), "alice:2.5,bob:5");
/// assert!("bob:101".parse::<Beneficiaries>().is_err());
/// # Ok::<(), alive_hive::post::BeneficiariesError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beneficiaries(BTreeMap<String, u16>);

impl Beneficiaries {
    /// Most of them. Source: hived's evaluator of `comment_options`.
    pub const MAX: usize = 8;
    /// Everything, in hundredths of a percent.
    pub const WHOLE: u16 = 10_000;

    /// Adds one.
    ///
    /// # Errors
    /// It is no account, has no share, is there already, or is one too many.
    pub fn add(&mut self, account: &str, share: u16) -> Result<(), BeneficiariesError> {
        if !is_account_name(account) {
            return Err(BeneficiariesError::Account(Excerpt::of(account)));
        }
        if share == 0 {
            return Err(BeneficiariesError::NoShare(account.into()));
        }
        if self.0.contains_key(account) {
            return Err(BeneficiariesError::Twice(account.into()));
        }
        if self.0.len() >= Self::MAX {
            return Err(BeneficiariesError::TooMany);
        }
        let sum = self.0.values().map(|share| u32::from(*share)).sum::<u32>() + u32::from(share);
        if sum > u32::from(Self::WHOLE) {
            return Err(BeneficiariesError::TooMuch { hundredths: sum });
        }
        self.0.insert(account.to_owned(), share);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As an operation has them.
    pub fn to_list(&self) -> Vec<Beneficiary> {
        let one = |(account, weight): (&String, &u16)| Beneficiary {
            account: account.clone(),
            weight: *weight,
        };
        self.0.iter().map(one).collect()
    }
}

impl fmt::Display for Beneficiaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (account, share)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{account}:{}", share / 100)?;
            match share % 100 {
                0 => {}
                rest if rest % 10 == 0 => write!(f, ".{}", rest / 10)?,
                rest => write!(f, ".{rest:02}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Beneficiaries {
    type Err = BeneficiariesError;

    fn from_str(text: &str) -> Result<Self, BeneficiariesError> {
        let mut all = Self::default();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let form = || BeneficiariesError::Form(Excerpt::of(part));
            let (account, share) = part.split_once(':').ok_or_else(form)?;
            all.add(account, hundredths(share).ok_or_else(form)?)?;
        }
        Ok(all)
    }
}

/// Reads a percentage with up to two decimals, exactly.
fn hundredths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<2}").parse().ok()?;
    whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(decimals)
}

/// Why a text or a list is no [`Beneficiaries`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeneficiariesError {
    /// Not an account.
    #[error("{0} cannot be an account")]
    Account(Excerpt),
    /// Not an account with a percentage.
    #[error("{0} is not of the form ACCOUNT:PERCENT, such as bob:2.5")]
    Form(Excerpt),
    /// Its share is nothing.
    #[error("{0} has no share")]
    NoShare(Box<str>),
    /// One more than there can be.
    #[error("more than {max} beneficiaries", max = Beneficiaries::MAX)]
    TooMany,
    /// They share more than everything.
    #[error("{}.{:02} % are shared, 100 at most", hundredths / 100, hundredths % 100)]
    TooMuch {
        /// What they would share, in hundredths of a percent.
        hundredths: u32,
    },
    /// It stands there twice.
    #[error("{0} stands there twice")]
    Twice(Box<str>),
}
