//! Services that keep content which lies elsewhere on IPFS: [`PinningClient`] speaks the pinning service API, [`Pinned`] has
//! them keep all that a storage stores.
//!
//! Source: `spec/storage.md`, section 5, "Remote pinning service API".

mod client;
mod pinned;

pub use self::{
    client::{PinQuery, PinRequest, PinState, PinStatus, PinningClient},
    pinned::Pinned,
};
