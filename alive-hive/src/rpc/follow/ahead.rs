//! Pages of deep blocks, asked for ahead and put together in order: [`Ahead`]. It does no I/O.

use std::{collections::VecDeque, time::Duration};

use alive_core::backend::{self, Block};

use crate::block_id::BlockId;

use super::page::PageSize;

/// How much is asked for ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Pages at the same time.
    pub(super) pages: usize,
    /// Bytes of those pages, about.
    pub(super) bytes: usize,
}

/// Puts pages of blocks together that no node that works can have otherwise.
///
/// What it gives follows the caller's block, link by link: pages that come late, twice, too short, from elsewhere or not
/// at all are asked for again, and nothing of another request is ever taken.
#[derive(Debug)]
pub(super) struct Ahead {
    limits: Limits,
    page: PageSize,
    /// What the caller has; `None` at the start of the chain, or of what is of interest.
    after: Option<BlockId>,
    /// Blocks after it.
    ready: VecDeque<Block>,
    /// The last number that may be asked for.
    until: u32,
    /// The first number that was not asked for yet.
    next: u32,
    /// Numbers before those of all flights that a short page left out: the first, and how many.
    gap: Option<(u32, u32)>,
    /// What is asked for, in order.
    flights: VecDeque<Flight>,
    tickets: u64,
    /// A page behind the next one failed: nothing more is asked for before that has come.
    is_held: bool,
}

/// A page that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    /// Tells it from any other.
    pub(super) ticket: u64,
    /// The first number.
    pub(super) start: u32,
    /// How many, at least 1.
    pub(super) count: u32,
    /// The block before, if it is known already.
    pub(super) previous: Option<BlockId>,
}

/// A page that came: blocks that follow each other, the first of the number asked for.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    pub(super) bytes: usize,
    pub(super) took: Duration,
}

/// What became of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Its first block names another one than the caller has.
    Forked,
    /// It is of no use any more, or what it follows is not yet here.
    Later,
    /// There is more to give.
    More,
    /// It contradicts the page before it, and both are dropped.
    Torn,
}

#[derive(Debug)]
struct Flight {
    fetch: Fetch,
    /// What came before its turn.
    blocks: Option<Vec<Block>>,
}

impl Ahead {
    /// How many blocks may wait for the caller, in pages.
    const READY_PAGES: usize = 4;

    pub(super) fn new(limits: Limits, page: PageSize) -> Self {
        Self {
            limits,
            page,
            after: None,
            ready: VecDeque::new(),
            until: 0,
            next: 0,
            gap: None,
            flights: VecDeque::new(),
            tickets: 0,
            is_held: false,
        }
    }

    /// The caller has `after` and wants blocks from `start` on. Whether what was asked for before is still of use.
    pub(super) fn seek(&mut self, after: Option<&BlockId>, start: u32) -> bool {
        if after == self.after.as_ref() && self.first() == start {
            return true;
        }
        let text = after.map(|id| backend::BlockId::from(*id));
        let place = self.ready.iter().position(|block| Some(&block.at.id) == text.as_ref());
        match place {
            Some(place) => {
                self.ready.drain(..=place);
                self.after = after.copied();
                true
            }
            None => {
                self.restart(after.copied(), start);
                false
            }
        }
    }

    /// Up to this number no node that works has other blocks.
    pub(super) fn extend(&mut self, until: u32) {
        self.until = self.until.max(until);
    }

    /// What to ask for next; `None` if enough is asked for, or all.
    pub(super) fn poll_fetch(&mut self) -> Option<Fetch> {
        if let Some((start, count)) = self.gap.take() {
            let fetch = self.fetch(start, count, self.last());
            self.flights.push_front(Flight { fetch, blocks: None });
            return Some(fetch);
        }
        let count = self.page.count().min(self.until.checked_sub(self.next)?.saturating_add(1));
        let asked: u32 = self.flights.iter().map(|flight| flight.fetch.count).sum();
        let bytes = self.page.bytes_of(asked.saturating_add(count));
        let is_much = self.is_held
            || self.flights.len() >= self.limits.pages
            || bytes > self.limits.bytes
            || self.ready.len() >= Self::READY_PAGES * self.page.count() as usize;
        if is_much && !(self.flights.is_empty() && self.ready.is_empty()) {
            return None;
        }
        // Only what is the very next can be judged by what it follows.
        let previous = if self.flights.is_empty() { self.last() } else { None };
        let fetch = self.fetch(self.next, count, previous);
        self.flights.push_back(Flight { fetch, blocks: None });
        self.next = self.next.saturating_add(count);
        Some(fetch)
    }

    /// Whether something is asked for that has not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.flights.iter().any(|flight| flight.blocks.is_none())
    }

    /// A page came, not empty.
    pub(super) fn handle_page(&mut self, ticket: u64, page: Page) -> Came {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.fetch.ticket == ticket)
        else {
            return Came::Later;
        };
        self.page.handle_page(page.blocks.len(), page.bytes, page.took);
        flight.blocks = Some(page.blocks);
        let mut came = Came::Later;
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.blocks.is_some()) {
            let blocks = flight.blocks.unwrap_or_default();
            if let (Some(last), Some(first)) = (self.last(), blocks.first())
                && first.previous != last.into()
            {
                let is_callers = self.ready.is_empty();
                let number = self.ready.front().and_then(|block| u32::try_from(block.at.num).ok());
                let start = number.unwrap_or(flight.fetch.start);
                self.restart(self.after, start);
                return if is_callers { Came::Forked } else { Came::Torn };
            }
            let got = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            let Fetch { start, count, .. } = flight.fetch;
            self.ready.extend(blocks.into_iter().take(count as usize));
            came = Came::More;
            self.is_held = false;
            if got < count {
                self.page.handle_short(got);
                self.gap = Some((start.saturating_add(got), count - got));
                break;
            }
        }
        came
    }

    /// A page did not come: it and what comes after it are asked for again. Whether it was the very next one.
    pub(super) fn handle_failure(&mut self, ticket: u64, is_too_much: bool) -> bool {
        let Some(at) = self.flights.iter().position(|flight| flight.fetch.ticket == ticket) else {
            return false;
        };
        if is_too_much {
            self.page.handle_too_much();
        }
        if let Some(flight) = self.flights.get(at) {
            self.next = flight.fetch.start;
        }
        self.flights.truncate(at);
        self.is_held = at > 0;
        at == 0
    }

    /// The next blocks for the caller, at most `limit`. They stay until the caller has them.
    pub(super) fn ready(&self, limit: usize) -> Vec<Block> {
        self.ready.iter().take(limit).cloned().collect()
    }

    /// How many blocks a page may have.
    pub(super) fn page(&mut self) -> &mut PageSize {
        &mut self.page
    }

    /// Forgets everything but what the caller has.
    pub(super) fn restart_at_caller(&mut self) {
        self.restart(self.after, self.first());
    }

    fn restart(&mut self, after: Option<BlockId>, start: u32) {
        self.after = after;
        self.ready.clear();
        self.flights.clear();
        self.gap = None;
        self.is_held = false;
        self.next = start;
        self.until = 0;
    }

    fn fetch(&mut self, start: u32, count: u32, previous: Option<BlockId>) -> Fetch {
        self.tickets += 1;
        Fetch { ticket: self.tickets, start, count, previous }
    }

    /// The number of the first block that the caller does not have.
    fn first(&self) -> u32 {
        match (self.ready.front(), self.gap, self.flights.front()) {
            (Some(block), _, _) => u32::try_from(block.at.num).unwrap_or(u32::MAX),
            (None, Some((start, _)), _) => start,
            (None, None, Some(flight)) => flight.fetch.start,
            (None, None, None) => self.next,
        }
    }

    /// The last block that is known, the caller's if there is no other.
    fn last(&self) -> Option<BlockId> {
        match self.ready.back() {
            Some(block) => block.at.id.as_str().parse().ok(),
            None => self.after,
        }
    }
}
