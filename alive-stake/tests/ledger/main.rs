//! The ledger from outside: blocks and undo, read-outs, and the defects of 2017 beside the rules that lack them.
#![cfg(test)]

mod blocks;
mod defects;
mod demo;
mod read_outs;
mod support;
