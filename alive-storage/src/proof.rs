//! What plain bytes are: the id that they get by an import, and whether an id is theirs.

use std::convert::Infallible;

use crate::{
    block::{Block, NewBlock},
    cid::{self, Cid, Version},
    unixfs::{ImportOptions, Importer, Profile},
};

/// The id that a file gets.
pub(crate) fn cid_of(data: &[u8], options: ImportOptions) -> Cid {
    let mut sink = |_: &NewBlock<'_>| Ok::<(), Infallible>(());
    let mut importer = Importer::new(options);
    let Ok(()) = importer.push(data, &mut sink);
    let Ok(root) = importer.finish(&mut sink);
    root.cid
}

/// Whether plain content has this id under a profile of `ipfs add`, or as version 1 without raw leaves, which is how chunks
/// must be added to have a version 1 id that the original indexer takes.
pub(crate) fn is_content(root: &Cid, data: &[u8]) -> bool {
    let matches = |options: ImportOptions| cid_of(data, options) == *root;
    let plain_v1 = || ImportOptions::from(Profile::UnixfsV02015).with_cid_version(Version::V1);
    match (root.version(), root.codec()) {
        (Version::V0, _) => matches(Profile::UnixfsV02015.into()),
        (Version::V1, cid::RAW) => Block::check(*root.hash(), data.to_vec().into()).is_ok(),
        (Version::V1, cid::DAG_PB) => {
            matches(plain_v1())
                || [Profile::CidV1256k, Profile::UnixfsV12025]
                    .into_iter()
                    .any(|profile| matches(profile.into()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_under_every_way_of_adding_it_and_other_bytes_are_not() {
        let data = vec![7; 600_000];
        let v1 = ImportOptions::default().with_cid_version(Version::V1);
        let profiles = [Profile::CidV1256k, Profile::UnixfsV02015, Profile::UnixfsV12025];
        for options in profiles.map(ImportOptions::from).into_iter().chain([v1]) {
            let root = cid_of(&data, options);
            assert!(is_content(&root, &data), "{options:?}");
            assert!(!is_content(&root, &data[1..]), "{options:?}");
        }
    }

    #[test]
    fn other_codecs_are_no_content() {
        let raw = cid_of(b"x", Profile::CidV1256k.into());
        assert!(!is_content(&Cid::new_v1(0x71, *raw.hash()), b"x"));
    }
}
