//! Whole nodes: their HTTP face, the rules of lists from the chain to the player, and what a killed process leaves.
#![cfg(test)]

mod api;
mod attack;
mod attested;
mod chat;
mod chatters;
mod delivery;
mod express;
mod faults;
mod fragments;
mod gateway;
mod halive;
mod kill;
mod lists;
mod operations;
mod parts;
mod presence;
#[cfg(feature = "stake")]
mod renditions;
mod schema;
mod sections;
mod streams;
mod support;
mod twins;
mod v1;
