//! Unmodified GUN and SEA in headless Chromium against our relay, both ways.
//!
//! They need Chromium, and npm for the package that the page loads.
#![cfg(test)]
#![cfg(all(feature = "client", feature = "relay", feature = "testing"))]

mod browser;
mod talk;

#[path = "../real_peers/packages.rs"]
mod packages;
