//! Compressed lists that grow with them: [`GrowingGzip`].

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Compresses a list that grows at its end; a new segment costs no more than a block.
///
/// A gzip file is deflate blocks between a head and a checksum. The lines of the list are cut into blocks that never
/// change and refer to nothing outside of themselves, so they are compressed once; the header, which may change, and the
/// unfinished block are compressed anew each time. Where the cuts are depends on nothing but the text, so equal lists
/// give equal bytes however they grew.
#[derive(Debug, Default)]
pub(super) struct GrowingGzip {
    /// Whole blocks, compressed.
    blocks: Vec<u8>,
    /// How many bytes of lines are in them.
    taken: usize,
    checksum: Hasher,
}

impl GrowingGzip {
    /// Bytes of lines in a block. Larger ones would be a little smaller compressed, and each segment would cost more.
    const BLOCK: usize = 32 << 10;
    /// The rest of the text is mostly hashes: a higher level takes three times as long for 2 %.
    const LEVEL: Compression = Compression::fast();

    /// Compresses a list whose lines are those of the last call with more behind them; its header and its tail may be other
    /// ones. `None` if the library fails, which it does for no text.
    pub(super) fn compress(&mut self, header: &[u8], lines: &[u8], tail: &[u8]) -> Option<Vec<u8>> {
        while let Some(block) = lines.get(self.taken..).and_then(|rest| rest.get(..Self::BLOCK)) {
            deflate(&mut self.blocks, block, FlushCompress::Sync)?;
            self.checksum.update(block);
            self.taken += block.len();
        }
        let rest = [lines.get(self.taken..)?, tail].concat();
        let mut out = Vec::with_capacity(self.blocks.len() + header.len() + rest.len() + 64);
        out.extend_from_slice(&HEAD);
        deflate(&mut out, header, FlushCompress::Sync)?;
        out.extend_from_slice(&self.blocks);
        deflate(&mut out, &rest, FlushCompress::Finish)?;

        let mut checksum = Hasher::new();
        checksum.update(header);
        let mut of_lines = self.checksum.clone();
        of_lines.update(&rest);
        checksum.combine(&of_lines);
        out.extend_from_slice(&checksum.finalize().to_le_bytes());
        // The format counts modulo 2^32.
        let len = header.len().wrapping_add(self.taken).wrapping_add(rest.len()) & 0xffff_ffff;
        out.extend_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
        Some(out)
    }
}

/// Compresses a text that will not grow.
pub(super) fn compressed(text: &[u8]) -> Option<Vec<u8>> {
    GrowingGzip::default().compress(&[], text, &[])
}

/// Deflate, no name, no time, unknown system. Source: RFC 1952, section 2.3.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Appends deflate blocks that end at a whole byte.
fn deflate(out: &mut Vec<u8>, data: &[u8], flush: FlushCompress) -> Option<()> {
    let mut compress = Compress::new(GrowingGzip::LEVEL, false);
    loop {
        let done = usize::try_from(compress.total_in()).ok()?;
        let rest = data.get(done..)?;
        out.reserve(rest.len() / 2 + 64);
        let status = compress.compress_vec(rest, out, flush).ok()?;
        let all_in = usize::try_from(compress.total_in()).ok()? == data.len();
        let is_done = match flush {
            FlushCompress::Finish => status == Status::StreamEnd,
            // With room left nothing is held back any more.
            _ => all_in && out.len() < out.capacity(),
        };
        if is_done {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Decompresses one gzip member and nothing behind it, as strict clients do.
    fn plain(gzip: &[u8]) -> Vec<u8> {
        let (mut text, mut decoder) = (Vec::new(), GzDecoder::new(gzip));
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "something stands behind the end");
        text
    }

    /// Lines as lists have them.
    fn lines(count: usize) -> Vec<u8> {
        let line = |n: usize| {
            let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("#EXTINF:10.000000,\n/ipfs/bafy{hash:016x}{:016x}?filename={n}.ts\n", !hash)
        };
        (0..count).map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn a_day_shrinks_and_a_segment_more_compresses_one_block() {
        let day = lines(8640);
        let mut gzip = GrowingGzip::default();
        let all = gzip.compress(b"#EXTM3U\n", &day, b"").unwrap();
        assert_eq!(plain(&all), [b"#EXTM3U\n", &*day].concat());
        assert!(all.len() * 2 < day.len(), "{} of {}", all.len(), day.len());
        let blocks = gzip.blocks.clone();
        let longer = lines(8641);
        let more = gzip.compress(b"x", &longer, b"tail").unwrap();
        assert_eq!(plain(&more), [b"x", &*longer, b"tail"].concat());
        assert_eq!(gzip.blocks, blocks);
    }

    #[test]
    fn nothing_compresses() {
        assert_eq!(plain(&compressed(b"").unwrap()), b"");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_and_its_growth_leaves_no_trace(
            text in vec(any::<u8>(), 0..3000),
            repeats in 1_usize..60,
            cuts in vec(any::<prop::sample::Index>(), 0..6),
            header in vec(any::<u8>(), 0..400),
            tail in vec(any::<u8>(), 0..400),
        ) {
            let text = text.repeat(repeats);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.sort_unstable();
            let mut grown = GrowingGzip::default();
            for cut in cuts {
                let gzip = grown.compress(&header, &text[..cut], &tail).unwrap();
                prop_assert_eq!(plain(&gzip), [&*header, &text[..cut], &tail].concat());
            }
            let grown = grown.compress(&header, &text, &[]).unwrap();
            prop_assert_eq!(plain(&grown), [&*header, &*text].concat());
            prop_assert_eq!(grown, GrowingGzip::default().compress(&header, &text, &[]).unwrap());
        }
    }
}
