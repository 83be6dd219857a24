use rstest::rstest;

use super::*;

fn sample() -> Vec<u8> {
    let metadata = SkyfileMetadata::of_upload("a.ts", "video/mp2t", 0o644, 5);
    Skyfile::new(metadata, "hello".into()).unwrap().to_sector()
}

fn parse(sector: Vec<u8>) -> Result<Skyfile, SkyfileError> {
    Skyfile::parse(&sector.into())
}

#[test]
fn a_sector_with_its_zeros_reads_like_one_without() {
    let mut sector = sample();
    let file = parse(sector.clone()).unwrap();
    assert_eq!((file.data().as_ref(), file.metadata().length), (&b"hello"[..], 5));
    sector.resize(SECTOR_BYTES, 0);
    assert_eq!(parse(sector), Ok(file));
}

#[rstest]
#[case::version(0, 2, SkyfileError::LayoutVersion(2))]
#[case::fanout(17, 1, SkyfileError::Fanout)]
#[case::data_pieces(25, 1, SkyfileError::Fanout)]
#[case::parity_pieces(26, 1, SkyfileError::Fanout)]
#[case::cipher(34, 2, SkyfileError::Encrypted)]
#[case::key(98, 1, SkyfileError::Encrypted)]
#[case::larger_than_its_sector(1, 6, SkyfileError::TooLarge { used: 232 })]
#[case::smaller_than_its_metadata_say(1, 4, SkyfileError::Length { layout: 4, metadata: 5 })]
fn a_byte_that_says_something_else_is_refused(
    #[case] at: usize,
    #[case] byte: u8,
    #[case] error: SkyfileError,
) {
    let mut sector = sample();
    sector[at] = byte;
    assert_eq!(parse(sector), Err(error));
}

#[test]
fn sizes_that_overflow_are_refused() {
    let mut sector = sample();
    sector[1..17].fill(0xff);
    assert_eq!(parse(sector), Err(SkyfileError::TooLarge { used: u64::MAX }));
}

#[test]
fn every_shorter_part_is_refused() {
    let sector = sample();
    for len in 0..sector.len() {
        assert!(parse(sector[..len].to_vec()).is_err(), "{len}");
    }
}

#[test]
fn a_subfile_outside_of_the_file_is_refused() {
    let mut metadata = SkyfileMetadata::of_upload("a", "", 0, 5);
    metadata.subfiles.get_mut("a").unwrap().offset = 1;
    let sector = Skyfile::new(metadata.clone(), "hello".into()).unwrap().to_sector();
    assert_eq!(parse(sector), Err(SkyfileError::SubfileRange));
    metadata.subfiles.get_mut("a").unwrap().offset = u64::MAX;
    let sector = Skyfile::new(metadata, "hello".into()).unwrap().to_sector();
    assert_eq!(parse(sector), Err(SkyfileError::SubfileRange));
}

#[test]
fn a_sector_is_filled_to_its_last_byte_and_no_further() {
    let metadata = |len| SkyfileMetadata::of_bytes("a", 0, len as u64);
    let head = Skyfile::new(metadata(1_000_000), Bytes::new()).unwrap().used_bytes();
    let most = SECTOR_BYTES - head;
    let full = Skyfile::new(metadata(most), vec![1; most].into()).unwrap();
    assert_eq!((full.used_bytes(), full.skylink().range()), (SECTOR_BYTES, Some(0..SECTOR_BYTES)));
    let more = Skyfile::new(metadata(most + 1), vec![1; most + 1].into());
    assert_eq!(more, Err(SkyfileError::TooLarge { used: SECTOR_BYTES as u64 + 1 }));
}

#[test]
fn metadata_that_are_no_object_of_the_known_form_are_refused() {
    for json in
        ["", "[]", "{}", "{\"filename\":1,\"length\":0}", "{\"filename\":\"\",\"length\":-1}"]
    {
        let layout = Layout { file_size: 0, metadata_size: json.len() as u64 }.encode();
        let sector = [&layout, json.as_bytes()].concat();
        assert!(matches!(parse(sector), Err(SkyfileError::Json(_))), "{json}");
    }
}
