//! The real program in its real processes.
#![cfg(test)]

mod commands;
mod cost;
mod kill;
mod players;
mod post;
mod support;
