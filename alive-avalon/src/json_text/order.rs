//! The order of an object's members in JavaScript: array indices first, ascending, then the others as they first came;
//! of equal keys the last value counts.

use std::collections::HashMap;

/// Objects of at most this many members are searched for equal keys without a table.
const FEW: usize = 12;
/// The greatest array index. Source: `spec/avalon.md`, section 6.
const MAX_INDEX: u64 = 4_294_967_294;

/// What is written so far: a part that was copied, and a part of the input that stands in the output as it is.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    pub(super) copied: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> Output<'a> {
    /// A piece that lies in one of the two parts.
    fn get(self, start: usize, end: usize) -> &'a [u8] {
        let len = self.copied.len();
        let piece = match (start.checked_sub(len), end.checked_sub(len)) {
            (Some(start), Some(end)) => self.rest.get(start..end),
            _ => self.copied.get(start..end),
        };
        piece.unwrap_or_default()
    }
}

/// A member of an object by its place in the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Of the opening quote of its key.
    pub(super) start: usize,
    /// Behind the closing quote of its key.
    pub(super) key_end: usize,
    /// Behind its value.
    pub(super) end: usize,
}

impl Member {
    /// The key with its quotes. Equal keys have equal texts, as they are written already.
    fn key(self, out: Output<'_>) -> &[u8] {
        out.get(self.start, self.key_end)
    }

    fn index(self, out: Output<'_>) -> Option<u64> {
        array_index(self.key(out))
    }
}

/// An object whose members must be written in another order.
#[derive(Debug)]
pub(super) struct Reordering {
    /// Of its opening brace.
    pub(super) start: usize,
    /// Behind its closing brace.
    pub(super) end: usize,
    /// The members that stay, key and value, in their order.
    pub(super) members: Vec<(usize, usize)>,
}

/// The members as JavaScript orders them; `None` if they are in this order already.
pub(super) fn javascript_order(out: Output<'_>, members: &[Member]) -> Option<Vec<(usize, usize)>> {
    if is_in_order(out, members) {
        return None;
    }
    let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(members.len());
    let mut ordered: Vec<Member> = Vec::with_capacity(members.len());
    for &member in members {
        let place = *places.entry(member.key(out)).or_insert(ordered.len());
        match ordered.get_mut(place) {
            Some(earlier) => *earlier = member,
            None => ordered.push(member),
        }
    }
    // The sort is stable, so ordinary keys keep their order behind all indices.
    ordered.sort_by_key(|member| member.index(out).unwrap_or(u64::MAX));
    Some(ordered.iter().map(|member| (member.start, member.end)).collect())
}

/// Whether indices come first and ascend, and no key stands there twice.
fn is_in_order(out: Output<'_>, members: &[Member]) -> bool {
    let mut last = None;
    let mut ordinary = false;
    for member in members {
        match member.index(out) {
            Some(index) => {
                if ordinary || last.is_some_and(|last| last >= index) {
                    return false;
                }
                last = Some(index);
            }
            None => ordinary = true,
        }
    }
    if members.len() > FEW {
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        return members.iter().all(|member| seen.insert(member.key(out)));
    }
    let mut rest = members;
    while let Some((member, after)) = rest.split_first() {
        let key = member.key(out);
        if after.iter().any(|other| other.key(out) == key) {
            return false;
        }
        rest = after;
    }
    true
}

/// The array index that a key with quotes is: canonical decimal from 0 to 4294967294.
pub(crate) fn array_index(quoted: &[u8]) -> Option<u64> {
    let [b'"', digits @ .., b'"'] = quoted else { return None };
    match digits {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 10 => {}
        _ => return None,
    }
    let mut index = 0_u64;
    for digit in digits {
        let value = digit.checked_sub(b'0').filter(|value| *value <= 9)?;
        index = index * 10 + u64::from(value);
    }
    (index <= MAX_INDEX).then_some(index)
}

/// What is left to write: a piece of the old text, or a comma.
enum Piece {
    Comma,
    Text(usize, usize),
}

/// Writes the text anew with these objects in their order, each piece once however deep they are nested.
pub(super) fn put_in_order(text: &str, mut reorderings: Vec<Reordering>) -> String {
    reorderings.sort_by_key(|reordering| reordering.start);
    let mut out = String::with_capacity(text.len());
    let mut left = vec![Piece::Text(0, text.len())];
    while let Some(piece) = left.pop() {
        let Piece::Text(start, end) = piece else {
            out.push(',');
            continue;
        };
        let next = reorderings.partition_point(|reordering| reordering.start < start);
        let Some(next) = reorderings.get(next).filter(|next| next.start < end) else {
            out.push_str(text.get(start..end).unwrap_or_default());
            continue;
        };
        out.push_str(text.get(start..=next.start).unwrap_or_default());
        left.push(Piece::Text(next.end - 1, end));
        for (at, &(start, end)) in next.members.iter().enumerate().rev() {
            left.push(Piece::Text(start, end));
            if at > 0 {
                left.push(Piece::Comma);
            }
        }
    }
    out
}
