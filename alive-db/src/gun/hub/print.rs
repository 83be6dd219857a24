//! Messages that a hub sends, and their ids.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    gun::{Delta, Query},
    json::{Text, print_text},
};

/// Ids of messages: 9 characters each.
#[derive(Debug)]
pub(super) struct Ids {
    state: u64,
}

/// Of GUN's ids; it never uses `Y`.
const ALPHABET: &[u8; 61] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijklmnopqrstuvwxyz";

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Text {
        // SplitMix64: 61^9 ids fit 54 bits.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let mut id = String::with_capacity(9);
        for _ in 0..9 {
            let at = usize::try_from(bits % 61).unwrap_or(0);
            id.push(char::from(ALPHABET.get(at).copied().unwrap_or(b'0')));
            bits /= 61;
        }
        id.into()
    }
}

/// An id for a peer, from random bits.
pub(crate) fn peer_id(seed: u64) -> Text {
    Ids::new(seed).next()
}

fn open(id: &Text) -> String {
    let mut out = String::from("{\"#\":");
    print_text(id, &mut out);
    out
}

pub(super) fn hello(id: &Text, pid: &Text, re: Option<&Text>) -> Arc<str> {
    let mut out = open(id);
    out.push_str(",\"dam\":\"?\",\"pid\":");
    print_text(pid, &mut out);
    if let Some(re) = re {
        out.push_str(",\"@\":");
        print_text(re, &mut out);
    }
    out.push('}');
    out.into()
}

pub(super) fn put(id: &Text, delta: &Delta) -> Arc<str> {
    let mut out = open(id);
    out.push_str(",\"put\":");
    delta.print_to(&mut out);
    out.push('}');
    out.into()
}

pub(super) fn get(id: &Text, query: &Query, hash: Option<i32>) -> Arc<str> {
    let mut out = open(id);
    if let Some(hash) = hash {
        let _infallible = write!(out, ",\"##\":{hash}");
    }
    out.push_str(",\"get\":");
    query.print_to(&mut out);
    out.push('}');
    out.into()
}

pub(super) fn reply(id: &Text, re: &Text, delta: &Delta, more: Option<&Text>) -> Arc<str> {
    let mut out = open(id);
    out.push_str(",\"@\":");
    print_text(re, &mut out);
    let _infallible = write!(out, ",\"##\":{}", delta.hash());
    if let Some(more) = more {
        out.push_str(",\"%\":");
        print_text(more, &mut out);
    }
    out.push_str(",\"put\":");
    delta.print_to(&mut out);
    out.push('}');
    out.into()
}

pub(super) fn not_found(id: &Text, re: &Text) -> Arc<str> {
    let mut out = open(id);
    out.push_str(",\"@\":");
    print_text(re, &mut out);
    out.push('}');
    out.into()
}

/// An acknowledgement: on disk, in memory, or refused.
pub(super) fn ack(id: &Text, re: &Text, result: Result<bool, &str>) -> Arc<str> {
    let mut out = open(id);
    out.push_str(",\"@\":");
    print_text(re, &mut out);
    match result {
        Ok(true) => out.push_str(",\"ok\":true}"),
        Ok(false) => out.push_str(",\"ok\":{\"\":1}}"),
        Err(reason) => {
            out.push_str(",\"err\":");
            print_text(&reason.into(), &mut out);
            out.push('}');
        }
    }
    out.into()
}
