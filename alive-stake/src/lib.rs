#![doc = include_str!("../README.md")]

mod accounts;
mod admission;
mod amount;
mod assign;
mod call;
mod check;
#[cfg(feature = "testing")]
pub mod conformance;
mod elect;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod mature;
mod milestone;
mod params;
mod refusal;
pub mod scenario;
mod stake;
mod token;

pub use admission::{Admission, Facts, Record, TooManyNamed, rendition_link};
pub use amount::{Amount, AmountError, ArithmeticError};
pub use assign::Assignment;
pub use call::{Call, Effect, Round};
pub use check::{DURATION_TOLERANCE, Fault, Promise, SegmentFacts, check_rendition};
pub use elect::{RoundSet, SetEntry, elect};
pub use history::NotReversible;
pub use mature::{MatureDelegator, MatureEarnings, MatureLock, MatureState, MatureTranscoder};
pub use milestone::{MilestoneDelegator, MilestoneState, MilestoneTranscoder};
pub use params::{
    FACTOR_WHOLE, INFLATION_WHOLE, MatureParams, MilestoneParams, Params, ParamsError, RATE_WHOLE,
    Rules, TOKEN,
};
pub use refusal::Refusal;
pub use stake::{DelegatorView, Holdings, Ranked, Stake, State, Status};
