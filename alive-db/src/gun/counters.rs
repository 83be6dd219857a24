//! What a peer has done and refused so far: [`Counters`].

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts, from the start on. Shared by all tasks of a peer.
        #[derive(Debug, Default)]
        pub struct Counters { $($name: AtomicU64,)* }

        /// What [`Counters`] were at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// The counts now.
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }

            $(
                /// Counts so many more.
                pub fn $name(&self, count: usize) {
                    self.$name.fetch_add(count as u64, Ordering::Relaxed);
                }
            )*
        }

        impl Counts {
            /// Names and counts, for an exporter.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Messages that were acknowledged.
    acks,
    /// Times that something had to wait because too much waited for the engine already.
    backlogged,
    /// Frames that are no JSON, and those that break the rules of WebSocket.
    bad_frames,
    /// Messages that are JSON but make no sense: puts of wrong form, gets of nothing.
    bad_messages,
    /// Puts and questions that were refused because too much waits for the disk.
    busy,
    /// Values that wait for our clock to reach their state.
    deferred,
    /// Values from the future for which there was no room.
    deferred_dropped,
    /// Messages to one peer each.
    delivered,
    /// Connections to a relay that could not be made.
    dials_failed,
    /// Writes that the disk has not taken.
    disk_errors,
    /// Messages that were seen before.
    duplicates,
    /// Nodes that left memory for want of room, or as nobody used them.
    evicted,
    /// Keys that were pruned or left out because their soul says so.
    expired,
    /// Frames.
    frames,
    /// Gets.
    gets,
    /// Connections that came to no handshake as a peer's in time.
    handshakes_failed,
    /// Peers that were dropped, whatever for.
    links_dropped,
    /// Connections refused for want of room.
    links_refused,
    /// Peers that took what we sent too slowly.
    links_slow,
    /// Peers that said nothing for too long.
    links_silent,
    /// Messages.
    messages,
    /// Gets that found nothing.
    not_found,
    /// Frames that are longer than allowed.
    oversized,
    /// Puts with new values.
    puts,
    /// Puts that would pass a quota.
    quota_refused,
    /// Values that were no newer than what was there: repeated, overtaken, or replayed.
    stale,
    /// Subscriptions beyond what one peer may have.
    subscriptions_refused,
    /// Times a peer had to wait because it sent too much.
    throttled,
    /// Puts and answers with a value that may not enter.
    unadmitted,
    /// Values from a peer that were not asked for.
    unasked,
}
