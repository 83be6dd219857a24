//! Blocks out of the text of answers, and following a chain over nodes of any kind.
#![cfg(test)]

mod nodes;
mod reader;
mod source;
mod support;
