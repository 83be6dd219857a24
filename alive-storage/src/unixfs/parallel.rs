//! Cutting a file on several cores: leaves are hashed by turns, the tree is made of them in order.
//!
//! Each worker takes the next chunk (under a lock, in order), hashes it, and sends it on; the caller's thread puts the
//! leaves in order and makes their parents, so blocks come to the sink exactly as from [`Importer`]. A reader is read by
//! the workers themselves, so that reading is spread over the cores, too. What is in memory already needs none of this
//! ([`import_bytes_parallel`]).

mod memory;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

pub use self::memory::import_bytes_parallel;
use super::{
    ImportOptions, Importer, Root,
    import::{Leaf, fill},
};
use crate::block::NewBlock;

/// Most workers: more do not make it faster, and each takes two chunks of memory.
pub const MAX_THREADS: usize = 64;

/// Cuts all that a reader gives, hashing on `threads` threads. Blocks come as from [`import`](super::import), in the
/// same order and on the caller's thread.
///
/// Memory is two chunks a thread.
///
/// ```
/// use std::{io, num::NonZeroUsize};
/// use alive_storage::{NewBlock, unixfs::{Profile, import_parallel}};
/// let mut sink = |_: &NewBlock<'_>| Ok::<(), io::Error>(());
/// let threads = NonZeroUsize::MIN.saturating_add(1);
/// let root = import_parallel(&b"hello world"[..], Profile::default().into(), threads, &mut sink)?;
/// assert_eq!(root.cid.to_string(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
/// # Ok::<(), io::Error>(())
/// ```
///
/// # Errors
/// Those of the reader and of the sink.
pub fn import_parallel<E: From<io::Error>>(
    reader: impl Read + Send,
    options: ImportOptions,
    threads: NonZeroUsize,
    sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
) -> Result<Root, E> {
    let buffers = 2 * threads.get().min(MAX_THREADS);
    let (give_back, free) = sync_channel(buffers);
    for _ in 0..buffers {
        // There is room for all of them.
        let _sent = give_back.try_send(vec![0; options.chunk_size()]);
    }
    let source = Mutex::new(Reading { reader, free, next: Some(0) });
    run(&source, options, threads, sink, give_back)
}

/// A reader, and the buffers that are not in use.
struct Reading<R> {
    reader: R,
    free: Receiver<Vec<u8>>,
    /// Number of the next chunk, `None` after the last one.
    next: Option<usize>,
}

/// A buffer with content at its front.
struct Filled {
    buffer: Vec<u8>,
    len: usize,
}

impl Filled {
    fn content(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl<R: Read> Reading<R> {
    /// The number of a chunk and its content, or `None` at the end.
    fn next_piece(&mut self) -> io::Result<Option<(usize, Filled)>> {
        let Some(number) = self.next.take() else { return Ok(None) };
        // Whoever waits here holds no chunk, so those that are on their way come back. The caller may be gone.
        let Ok(mut buffer) = self.free.recv() else { return Ok(None) };
        let len = fill(&mut self.reader, &mut buffer)?;
        if len == buffer.len() {
            self.next = Some(number + 1);
        }
        Ok((len > 0).then_some((number, Filled { buffer, len })))
    }
}

type Hashed = io::Result<(usize, Filled, Leaf)>;

fn run<R: Read + Send, E: From<io::Error>>(
    source: &Mutex<Reading<R>>,
    options: ImportOptions,
    threads: NonZeroUsize,
    sink: &mut impl FnMut(&NewBlock<'_>) -> Result<(), E>,
    give_back: SyncSender<Vec<u8>>,
) -> Result<Root, E> {
    let threads = threads.get().min(MAX_THREADS);
    let mut importer = Importer::new(options);
    thread::scope(|scope| {
        // It ends here, before the workers are waited for: one of them may wait for a buffer that it would give back.
        let give_back = give_back;
        let (send, hashed) = sync_channel(2 * threads);
        for _ in 0..threads {
            let send = send.clone();
            scope.spawn(move || work(source, &options, &send));
        }
        drop(send);
        // Chunks that came before one that was taken earlier.
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for leaf in hashed {
            let (number, piece, leaf) = leaf?;
            early.insert(number, (piece, leaf));
            while let Some((piece, leaf)) = early.remove(&next) {
                importer.push_leaf(piece.content(), &leaf, sink)?;
                // The workers may be gone, and the buffer with them.
                let _ended = give_back.try_send(piece.buffer);
                next += 1;
            }
        }
        Ok::<(), E>(())
    })?;
    importer.finish(sink)
}

/// Hashes chunks until there are no more or no one wants them.
fn work<R: Read>(source: &Mutex<Reading<R>>, options: &ImportOptions, send: &SyncSender<Hashed>) {
    loop {
        // A reader that panics takes the import down by its scope: poison says nothing more.
        let piece = source.lock().unwrap_or_else(PoisonError::into_inner).next_piece();
        let hashed = match piece {
            Ok(None) => return,
            Ok(Some((number, piece))) => {
                let leaf = Leaf::hash(piece.content(), options);
                Ok((number, piece, leaf))
            }
            Err(error) => Err(error),
        };
        let failed = hashed.is_err();
        if send.send(hashed).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
