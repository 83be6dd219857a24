//! The promises of [`StreamStore::streams`] and [`StreamStore::networks`], judged by sorting everything.

use std::cmp::Reverse;

use crate::{
    account::Network,
    backend::{ListedStream, StreamMark, StreamOrder, StreamQuery, StreamStore},
    index::Index,
    stream_id::StreamId,
    time::Timestamp,
};

use super::{ok, script::Script};

/// Lists what the store holds in every order, `limit` streams at a time, and compares one network with the index.
pub(super) async fn listing(
    store: &impl StreamStore,
    network: &Network,
    whole: &Index,
    limit: usize,
) {
    let networks = ok(store.networks().await, "networks must answer");
    assert!(networks.is_sorted(), "networks must come by name");
    let named = networks.iter().filter(|name| *name == network).count();
    assert_eq!(named, 1, "a network that has a cursor must be named once");

    let all: Vec<_> = whole
        .streams()
        .map(|(key, stream)| ListedStream {
            id: StreamId::new(network.clone(), key.account.clone(), key.link.clone()),
            info: stream.info().clone(),
        })
        .collect();
    for order in orders(&all) {
        let query = StreamQuery::new(order).limit(limit);
        let mut want: Vec<_> = all.iter().filter(|s| wanted(&query.order, s)).cloned().collect();
        want.sort_by(|left, right| by_place(&query.order, left, right));

        let got = pages(store, query.clone().network(network.clone())).await;
        assert_eq!(got, want, "streams must be all of {:?}, once, in order", query.order);
        let others = pages(store, query.clone()).await;
        let sorted = others.is_sorted_by(|left, right| by_place(&query.order, left, right).is_le());
        assert!(sorted, "streams of all networks must be in one order, {:?}", query.order);
        let ours: Vec<_> = others.into_iter().filter(|s| s.id.network == *network).collect();
        assert_eq!(ours, want, "streams of all networks must hold those of each one");
        begins_anywhere(store, &query.network(network.clone()), &want).await;
    }
}

fn orders(all: &[ListedStream]) -> impl Iterator<Item = StreamOrder> {
    let mut times: Vec<_> = all.iter().filter_map(|stream| stream.info.last_streamed).collect();
    times.sort();
    let middle = times.get(times.len() / 2).copied().unwrap_or(Timestamp::EPOCH);
    let live = [Timestamp::EPOCH, middle, middle.after(std::time::Duration::from_millis(1))];
    let prefixes = ["", "a", "A", "a'; --", "a%", "a_", "é", "ж", "\u{10ffff}"];
    let prefixes = prefixes.map(|prefix| StreamOrder::AuthorPrefix(prefix.into()));
    [StreamOrder::Newest]
        .into_iter()
        .chain(Script::accounts().map(StreamOrder::Author))
        .chain(prefixes)
        .chain(live.map(|since| StreamOrder::Live { since }))
}

fn wanted(order: &StreamOrder, ListedStream { id, info }: &ListedStream) -> bool {
    match order {
        StreamOrder::Author(author) => id.account == *author,
        StreamOrder::AuthorPrefix(prefix) => {
            id.account.as_str().as_bytes().starts_with(prefix.as_bytes())
        }
        StreamOrder::Live { since } => !info.ended && info.last_streamed >= Some(*since),
        StreamOrder::Newest => true,
    }
}

fn by_place(order: &StreamOrder, left: &ListedStream, right: &ListedStream) -> std::cmp::Ordering {
    let place = |ListedStream { id, info }: &ListedStream| {
        let at = match order {
            StreamOrder::Live { .. } => info.last_streamed,
            _ => Some(info.created),
        };
        let name = match order {
            StreamOrder::AuthorPrefix(_) => {
                Some((id.account.as_str().as_bytes().to_vec(), id.network.clone()))
            }
            _ => None,
        };
        (name, Reverse((at, info.id)), id.network.clone())
    };
    place(left).cmp(&place(right))
}

/// All pages, one after another.
async fn pages(store: &impl StreamStore, query: StreamQuery) -> Vec<ListedStream> {
    let mut query = query;
    let mut all = Vec::new();
    loop {
        let page = ok(store.streams(&query).await, "streams must answer");
        assert!(page.streams.len() <= query.limit, "a page must not have more than was asked for");
        let full = page.streams.len() == query.limit;
        all.extend(page.streams);
        let Some(next) = page.next else { return all };
        assert!(full, "only the last page may have less than was asked for");
        query = query.after(next);
    }
}

/// A page begins behind a place and not behind a stream, which may be gone by then.
async fn begins_anywhere(store: &impl StreamStore, query: &StreamQuery, want: &[ListedStream]) {
    for (index, stream) in want.iter().enumerate().step_by(7) {
        let place = query.mark(stream);
        let query = query.clone().limit(1);
        let after = |mark: StreamMark| query.clone().after(mark);
        let just_before = StreamMark { id: place.id + 1, ..place.clone() };
        let page = ok(store.streams(&after(just_before)).await, "streams must answer");
        assert_eq!(page.streams.first(), Some(stream), "a page must begin behind any place");
        let page = ok(store.streams(&after(place)).await, "streams must answer");
        assert_eq!(page.streams.first(), want.get(index + 1), "a page must begin behind its mark");
    }
}
