use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::{cid::Cid, unixfs::import};

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn options(chunk: usize) -> ImportOptions {
    ImportOptions::default().with_chunk_size(chunk).unwrap().with_max_links(3).unwrap()
}

/// A reader that gives a few bytes at a time, and fails at an offset.
struct Slow<'a> {
    data: &'a [u8],
    fails_at: usize,
    read: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.fails_at {
            return Err(io::Error::other("unplugged"));
        }
        let len = buffer.len().min(self.data.len()).min(7).min(self.fails_at - self.read);
        let (now, rest) = self.data.split_at(len);
        buffer[..len].copy_from_slice(now);
        (self.data, self.read) = (rest, self.read + len);
        Ok(len)
    }
}

fn collect(
    blocks: &mut Vec<(Cid, Vec<u8>)>,
) -> impl FnMut(&NewBlock<'_>) -> Result<(), io::Error> + '_ {
    |block| {
        blocks.push((*block.cid(), block.to_bytes().to_vec()));
        Ok(())
    }
}

proptest! {
    #[test]
    fn blocks_come_as_from_one_thread(
        data in proptest::collection::vec(any::<u8>(), 0..2000),
        chunk in 1_usize..90,
        count in 1_usize..6,
        raw: bool,
    ) {
        let options = options(chunk).with_raw_leaves(raw);
        let (mut one, mut many, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let want = import(&data[..], options, &mut collect(&mut one)).unwrap();
        let slow = Slow { data: &data, fails_at: usize::MAX, read: 0 };
        let root = import_parallel(slow, options, threads(count), &mut collect(&mut many));
        prop_assert_eq!(root.unwrap(), want);
        prop_assert_eq!(&many, &one);
        let root = import_bytes_parallel(&data, options, threads(count), &mut collect(&mut bytes));
        prop_assert_eq!(root.unwrap(), want);
        prop_assert_eq!(&bytes, &one);
    }

    #[test]
    fn an_error_of_the_reader_or_of_the_sink_ends_it(
        at in 0_usize..1000,
        chunk in 1_usize..90,
        count in 1_usize..6,
    ) {
        let data = [3; 1000];
        let slow = Slow { data: &data, fails_at: at, read: 0 };
        let failed = import_parallel(slow, options(chunk), threads(count), &mut collect(&mut Vec::new()));
        prop_assert_eq!(failed.unwrap_err().to_string(), "unplugged");
        let full_after = |mut left: usize| move |_: &NewBlock<'_>| {
            left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            Ok::<(), io::Error>(())
        };
        let (options, threads, mut sink) = (options(chunk), threads(count), full_after(at / chunk));
        let failed = import_parallel(&data[..], options, threads, &mut sink);
        prop_assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let failed = import_bytes_parallel(&data, options, threads, &mut full_after(at / chunk));
        prop_assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn no_more_is_read_ahead_than_there_are_buffers() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.0.fetch_add(buffer.len(), Ordering::SeqCst);
            Ok(if read < 1_000_000 { buffer.len() } else { 0 })
        }
    }
    let (read, mut taken, mut ahead) = (AtomicUsize::new(0), 0, 0);
    let options = options(1000).with_raw_leaves(true);
    let mut sink = |block: &NewBlock<'_>| {
        if block.cid().codec() == crate::cid::RAW {
            taken += block.size();
            ahead = ahead.max(read.load(Ordering::SeqCst).saturating_sub(taken));
        }
        Ok::<(), io::Error>(())
    };
    import_parallel(Counted(&read), options, threads(3), &mut sink).unwrap();
    assert_eq!(taken, 1_000_000);
    assert!(ahead <= 2 * 3 * 1000, "{ahead} bytes ahead");
}
