use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::unixfs::{ImportOptions, Importer, Profile};

fn hello() -> Entry {
    let cid = cid::parse("Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD").unwrap();
    Entry { cid, dag_size: 19 }
}

fn build(builder: DirectoryBuilder) -> (Root, Block) {
    let mut made = None;
    let mut sink = |block: &NewBlock<'_>| {
        made = Some(Block::check(*block.cid().hash(), block.to_bytes()).unwrap());
        Ok::<(), DirectoryError>(())
    };
    let root = builder.finish(&mut sink).unwrap();
    (root, made.unwrap())
}

/// A directory block with any bytes as names.
fn raw_directory(names: &[&[u8]], kind: u64) -> Block {
    let mut node = Vec::new();
    for name in names {
        let cid = hello().cid.to_bytes();
        let name_len = name.len() as u64;
        let len = 2 + cid.len() as u64 + 1 + crate::varint::len(name_len) + name_len;
        wire::put_bytes_head(2, len, &mut node);
        wire::put_bytes_head(1, cid.len() as u64, &mut node);
        node.extend(&cid);
        wire::put_bytes_head(2, name_len, &mut node);
        node.extend_from_slice(name);
    }
    let mut message = Vec::new();
    wire::put_varint(1, kind, &mut message);
    wire::put_bytes_head(1, message.len() as u64, &mut node);
    node.extend(message);
    let block = NewBlock::hash(|hash| Cid::new_v1(cid::DAG_PB, hash), [&node, &[], &[]]);
    Block::check(*block.cid().hash(), block.to_bytes()).unwrap()
}

#[test]
fn the_order_of_adding_does_not_matter() {
    let names = ["b", "a", "ab", "B", "ä", "a b"];
    let mut orders = [DirectoryBuilder::new(Version::V1), DirectoryBuilder::new(Version::V1)];
    for name in names {
        orders[0].add_entry(name.parse().unwrap(), hello()).unwrap();
    }
    for name in names.iter().rev() {
        orders[1].add_entry(name.parse().unwrap(), hello()).unwrap();
    }
    let [one, two] = orders.map(build);
    assert_eq!(one, two);
    let read = Directory::decode(&one.1).unwrap();
    let order: Vec<&str> = read.entries().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["B", "a", "a b", "ab", "b", "ä"]);
    assert_eq!(read.find("ab"), Some(&hello()));
    assert_eq!(read.find("c"), None);
}

/// As `ipfs-unixfs-importer` 17 of npm makes them, and with it every JavaScript IPFS node.
#[test]
fn directories_have_the_ids_that_another_implementation_gives_them() {
    let large: Vec<u8> = (0..600_000_u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
    for (profile, inner, outer, size) in [
        (
            Profile::UnixfsV02015,
            "QmPcyUe6EWeAn4NXmzYzPQnu1SLjpsszppkU4zeP9ad18e",
            "QmbQBTeGzSjPmiMWVtes6x5forvd8h62Eb5PnJDiSf9AJe",
            600_549,
        ),
        (
            Profile::CidV1256k,
            "bafybeifwf4edsgltq2y7atejiratwq2o2x3iov63qnwdq5qg6i2olwzuam",
            "bafybeie54qpa4nzk6amnbixhegf2ssczs36cd6q7d6vqr4njzi4uorgnwy",
            600_495,
        ),
    ] {
        let options = ImportOptions::from(profile);
        let import = |data: &[u8]| {
            let mut importer = Importer::new(options);
            let mut sink = |_: &NewBlock<'_>| Ok::<(), Infallible>(());
            importer.push(data, &mut sink).unwrap();
            importer.finish(&mut sink).unwrap()
        };
        let mut folder = DirectoryBuilder::new(options.cid_version());
        folder.add("stream0.ts".parse().unwrap(), &import(&large)).unwrap();
        let folder = build(folder).0;
        assert_eq!(folder.cid.to_string(), inner);
        let mut top = DirectoryBuilder::new(options.cid_version());
        let files: [(&str, &[u8]); 4] = [
            ("stream.m3u8", b"#EXTM3U\n"),
            ("b", b"hello world"),
            ("B", b""),
            ("ä b", b"hello world"),
        ];
        for (name, data) in files {
            top.add(name.parse().unwrap(), &import(data)).unwrap();
        }
        top.add("240p".parse().unwrap(), &folder).unwrap();
        let top = build(top).0;
        assert_eq!((top.cid.to_string().as_str(), top.dag_size), (outer, size));
    }
}

#[test]
fn a_name_is_taken_once() {
    let mut builder = DirectoryBuilder::new(Version::V0);
    builder.add_entry("a".parse().unwrap(), hello()).unwrap();
    let twice = builder.add_entry("a".parse().unwrap(), hello());
    assert_eq!(twice, Err(DirectoryError::Taken("a".parse().unwrap())));
    assert!(matches!(
        Directory::decode(&raw_directory(&[b"a", b"a"], 1)),
        Err(DirectoryError::Taken(_))
    ));
}

#[test]
fn hostile_names_are_refused_in_and_out() {
    let long = [b'x'; 256];
    let hostile: [&[u8]; 15] = [
        b"",
        b".",
        b"..",
        b"/",
        b"a/b",
        b"../up",
        b"/etc",
        b"a\\b",
        b"C:\\x",
        b"nul\0",
        b"x\r\nLocation: y",
        b"\x7f",
        b"\xff\xfe",
        "\u{202e}gpj.exe".as_bytes(),
        &long,
    ];
    for name in hostile {
        assert!(
            std::str::from_utf8(name).is_err()
                || std::str::from_utf8(name).unwrap().parse::<EntryName>().is_err()
        );
        let read = Directory::decode(&raw_directory(&[b"good", name], 1));
        assert!(matches!(read, Err(DirectoryError::Name(_))), "{name:?}: {read:?}");
    }
    assert_eq!("x".repeat(255).parse::<EntryName>().unwrap().as_str().len(), 255);
}

#[test]
fn files_and_parts_of_split_directories_are_no_directories() {
    for kind in [0, 2, 3, 4, 5, 9] {
        let read = Directory::decode(&raw_directory(&[b"a"], kind));
        assert_eq!(read, Err(DirectoryError::Node(NodeError::NotDirectory(kind))));
    }
}

#[test]
fn a_directory_that_kubo_would_split_is_refused() {
    let mut builder = DirectoryBuilder::new(Version::V0);
    let mut entries = 0;
    let refused = loop {
        let name = format!("{entries:0>200}").parse().unwrap();
        match builder.add_entry(name, hello()) {
            Ok(()) => entries += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, DirectoryError::TooLarge { entries: entries + 1 });
    let (_, block) = build(builder);
    assert!(
        block.data().len() < MAX_DIRECTORY_BYTES && block.data().len() > MAX_DIRECTORY_BYTES - 300
    );
    assert_eq!(Directory::decode(&block).unwrap().entries().len(), entries);
}

proptest! {
    #[test]
    fn what_was_written_is_read(names in proptest::collection::btree_set("[^/\\\\]{1,20}", 0..20)) {
        let mut builder = DirectoryBuilder::new(Version::V0);
        let mut taken = 0;
        for name in &names {
            if let Ok(name) = name.parse() {
                builder.add_entry(name, hello()).unwrap();
                taken += 1;
            }
        }
        let (root, block) = build(builder);
        prop_assert_eq!(root.dag_size, block.data().len() as u64 + taken * 19);
        let read = Directory::decode(&block).unwrap();
        prop_assert_eq!(read.entries().len() as u64, taken);
    }

    #[test]
    fn names_that_are_taken_hold_no_step_and_no_line(name: String) {
        if let Ok(name) = name.parse::<EntryName>() {
            let path = std::path::Path::new("base").join(name.as_str());
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("base")));
            prop_assert!(!name.as_str().bytes().any(|byte| byte < 0x20 || byte == 0x7f));
        }
    }
}
