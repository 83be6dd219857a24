//! The REST API as its clients see it: every route, shape and status of the original, and none of its holes.
#![cfg(test)]
#![cfg(feature = "testing")]

mod holes;
#[cfg(feature = "chat")]
mod participants;
mod routes;
mod support;
mod tokens;
