use proptest::prelude::*;

use super::*;
use crate::car::{CarReader, CarWriter};

const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";

fn block(data: &[u8]) -> (Cid, Block) {
    let new = crate::block::NewBlock::hash(|hash| Cid::new_v1(cid::RAW, hash), [data, &[], &[]]);
    (*new.cid(), Block::check(*new.cid().hash(), new.to_bytes()).unwrap())
}

fn archive(contents: &[Vec<u8>]) -> Vec<u8> {
    let mut car = CarWriter::new(Vec::new(), &[]).unwrap();
    for content in contents {
        let (cid, block) = block(content);
        car.add(&cid, &block).unwrap();
    }
    assert_eq!(car.blocks(), contents.len() as u64);
    let bytes = car.bytes();
    let car = car.finish().unwrap();
    assert_eq!(bytes, car.len() as u64);
    car
}

/// Decodes an archive that comes in pieces of a size.
fn decode(car: &[u8], piece: usize, limit: u64) -> Result<Vec<CarBlock>, CarError> {
    let mut decoder = CarDecoder::new(limit);
    let mut blocks = Vec::new();
    for piece in car.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(block) = decoder.poll()? {
            blocks.push(block);
        }
    }
    decoder.finish()?;
    Ok(blocks)
}

fn read(car: &[u8], limit: u64) -> Result<Vec<CarBlock>, CarError> {
    CarReader::new(car, limit)?.collect()
}

#[test]
fn a_section_that_is_too_long_is_refused_before_its_bytes_come() {
    let mut car = HEADER.to_vec();
    varint::put(MAX_SECTION_BYTES as u64 + 1, &mut car);
    for result in [decode(&car, 100, 1 << 40), read(&car, 1 << 40)] {
        let refused = result.unwrap_err();
        assert!(matches!(refused, CarError::Section { offset: 18, .. }), "{refused:?}");
    }
    let mut header = Vec::new();
    varint::put(MAX_HEADER_BYTES as u64 + 1, &mut header);
    assert!(matches!(decode(&header, 1, 1 << 40), Err(CarError::Section { offset: 0, .. })));
}

#[test]
fn lengths_in_more_than_one_form_are_refused() {
    for tail in [&[0x80, 0x00][..], &[0xff; 10], &[0xa5, 0x80, 0x00]] {
        let car = [HEADER, tail].concat();
        for result in [decode(&car, 1, 1 << 20), read(&car, 1 << 20)] {
            assert!(matches!(result, Err(CarError::Length { offset: 18, .. })), "{result:?}");
        }
    }
    let empty = [HEADER, &[0]].concat();
    assert!(matches!(decode(&empty, 3, 99), Err(CarError::Empty { offset: 18 })));
    assert!(matches!(read(&empty, 99), Err(CarError::Empty { offset: 18 })));
}

#[test]
fn no_more_than_the_limit_is_taken() {
    let car = archive(&[vec![1; 500], vec![2; 500]]);
    let len = car.len() as u64;
    assert_eq!(decode(&car, 64, len).unwrap().len(), 2);
    assert_eq!(read(&car, len).unwrap().len(), 2);
    assert!(matches!(decode(&car, 64, len - 1), Err(CarError::TooLarge { .. })));
    assert!(matches!(read(&car, len - 1), Err(CarError::TooLarge { .. })));
    // An archive without end is given up at the limit, too.
    let endless = std::io::Read::chain(&car[..], std::io::repeat(b'+'));
    let reader = CarReader::new(endless, 1 << 16).unwrap();
    assert!(reader.last().unwrap().is_err());
}

#[test]
fn whole_sections_of_a_pushed_piece_are_not_copied() {
    let car = Bytes::from(archive(&[vec![7; 5000]]));
    let mut decoder = CarDecoder::new(1 << 20);
    decoder.push(car.clone());
    let block = decoder.poll().unwrap().unwrap();
    let offset = usize::try_from(block.offset()).unwrap();
    assert_eq!(block.block().data().as_ptr(), car[offset..].as_ptr());
}

#[test]
fn a_writer_takes_no_block_of_another_id() {
    let (cid, _) = block(b"one");
    let (_, other) = block(b"other");
    let mut car = CarWriter::new(Vec::new(), &[cid]).unwrap();
    assert!(car.add(&cid, &other).is_err());
    assert_eq!(car.blocks(), 0);
}

proptest! {
    #[test]
    fn blocks_come_out_as_they_went_in_whatever_the_pieces(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        piece in 1_usize..400,
    ) {
        let car = archive(&contents);
        let blocks = decode(&car, piece, 1 << 20).unwrap();
        prop_assert_eq!(&blocks, &read(&car, 1 << 20).unwrap());
        let data: Vec<&[u8]> = blocks.iter().map(|block| &block.block().data()[..]).collect();
        prop_assert_eq!(&data, &contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for block in &blocks {
            let at = usize::try_from(block.offset()).unwrap();
            prop_assert!(car[at..].starts_with(block.block().data()));
        }
    }

    #[test]
    fn cut_anywhere_but_between_sections_it_is_refused(
        lens in proptest::collection::vec(1_usize..200, 1..5),
        cut: prop::sample::Index,
        piece in 1_usize..99,
    ) {
        let contents: Vec<Vec<u8>> = lens.iter().map(|len| vec![9; *len]).collect();
        let car = archive(&contents);
        let ends: Vec<usize> = (0..=contents.len()).map(|n| archive(&contents[..n]).len()).collect();
        let cut = cut.index(car.len());
        let whole = ends.iter().position(|end| *end == cut);
        let (pushed, pulled) = (decode(&car[..cut], piece, 9999), read(&car[..cut], 9999));
        prop_assert_eq!(pushed.as_ref().ok().map(Vec::len), whole);
        prop_assert_eq!(pulled.as_ref().ok().map(Vec::len), whole);
    }

    #[test]
    fn any_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0_u8..8) {
        let mut car = archive(&[vec![1; 90], vec![2; 40]]);
        let good = read(&car, 9999).unwrap();
        let at = at.index(car.len());
        car[at] ^= 1 << bit;
        // The codec of an id is not covered by any hash: all else is.
        let codec_only = read(&car, 9999).is_ok_and(|blocks| {
            blocks.len() == 2 && blocks.iter().zip(&good).all(|(a, b)| a.block() == b.block())
        });
        let is_codec = [18 + 2, 18 + 1 + 36 + 90 + 2].iter().any(|codec| at == *codec || at == codec - 1);
        prop_assert!(!codec_only || is_codec, "byte {} is not covered", at);
    }
}
