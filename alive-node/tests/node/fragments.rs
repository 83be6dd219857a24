//! Recordings of fragments of MP4: what the list of renditions says of them.

use std::{fs, path::Path};

use alive_core::{
    ContentId,
    backend::{SharedStorage, Storage as _},
    memory::MemoryStorage,
};
use alive_node::{Backends, SharedContentReader};
use alive_playlist::MultivariantPlaylist;

use crate::support::{Bench, config, configure};

/// A node with content of its own.
struct Stage {
    bench: Bench,
    content: alive_storage::MemoryStorage,
}

impl Stage {
    async fn start() -> Self {
        let content = alive_storage::MemoryStorage::default();
        let reader = SharedContentReader::new(content.clone());
        let storage = MemoryStorage::default();
        let more = move |backends: Backends| backends.content(reader);
        let shared = SharedStorage::new(storage.clone());
        Self { bench: Bench::over(config(), storage, shared, more).await, content }
    }

    async fn put(&self, data: Vec<u8>) -> ContentId {
        self.content.put(data.into()).await.unwrap()
    }

    /// The sample's segments, with bytes behind them that no player minds, so that each has an id of its own.
    async fn sample(&self, name: &str) -> Vec<ContentId> {
        let mut ids = Vec::new();
        for number in 0..3 {
            let free = [&[0, 0, 0, 12][..], b"free", &[number, 0, 0, name.as_bytes()[0]]].concat();
            let data = media(&format!("stream{number}.m4s"));
            ids.push(self.put([data, free].concat()).await);
        }
        ids
    }

    async fn master(&self) -> MultivariantPlaylist<'static> {
        let answer = self.bench.get("/stream/alice/s/master.m3u8").await;
        MultivariantPlaylist::read(&answer.body).unwrap().into_owned()
    }

    /// Publishes payloads and waits until all segments are listed.
    async fn publish(&mut self, payloads: &[String]) {
        self.bench.block(payloads).await;
        let listed = |text: &str| text.matches("#EXTINF").count();
        let count = payloads.len() - 1;
        self.bench.list_until("/stream/alice/s", |list| listed(list.text()) == count).await;
    }
}

fn media(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4");
    fs::read(Path::new(folder).join(name)).unwrap()
}

/// The sample's section with another size of the picture, and another level of its coding.
fn other_section(width: u16, height: u16, level: u8) -> Vec<u8> {
    let mut section = media("init.mp4");
    let entry = section.windows(4).position(|window| window == b"avc1").unwrap() + 4;
    section[entry + 24..entry + 26].copy_from_slice(&width.to_be_bytes());
    section[entry + 26..entry + 28].copy_from_slice(&height.to_be_bytes());
    let config = section.windows(4).position(|window| window == b"avcC").unwrap() + 4;
    section[config + 3] = level;
    section
}

fn push(seq: usize, fields: &str) -> String {
    format!(r#"{{"op":0,"link":"s","seq":{seq},"len":10,{fields}}}"#)
}

/// Of each rendition codecs, picture and frame rate.
fn described(
    list: &MultivariantPlaylist<'_>,
) -> Vec<(Option<String>, Option<String>, Option<String>)> {
    let of = |variant: &alive_playlist::Variant<'_>| {
        let codecs = variant.codecs.as_ref().map(|codecs| codecs.as_str().to_owned());
        let size = variant.resolution.map(|size| format!("{}x{}", size.width, size.height));
        (codecs, size, variant.frame_rate.as_ref().map(|rate| rate.as_str().to_owned()))
    };
    list.variants.iter().map(of).collect()
}

fn some(codecs: &str, size: &str) -> (Option<String>, Option<String>, Option<String>) {
    (Some(codecs.to_owned()), Some(size.to_owned()), Some("15.000".to_owned()))
}

#[tokio::test]
async fn renditions_of_fragments_are_described_as_section_and_segments_are() {
    let mut stage = Stage::start().await;
    let (own, low) = (stage.sample("own").await, stage.sample("lower").await);
    let section = stage.put(media("init.mp4")).await;
    let small = stage.put(other_section(160, 90, 0x0c)).await;
    let fields = |n: usize| {
        let (src, low) = (own[n], low[n]);
        format!(r#""src":"{src}","map":"{section}","240":"{low}","map240":"{small}""#)
    };
    let pushes = (0..3).map(|n| push(n, &fields(n)));
    stage.publish(&[vec![configure()], pushes.collect()].concat()).await;
    let list = stage.master().await;
    let want = [some("avc1.4d4015,mp4a.40.2", "320x180"), some("avc1.4d400c,mp4a.40.2", "160x90")];
    assert_eq!(described(&list), want);
    let sizes: Vec<_> =
        (0..3).map(|n| media(&format!("stream{n}.m4s")).len() as u64 + 12).collect();
    for variant in &list.variants {
        let total: u64 = sizes.iter().sum();
        assert_eq!(variant.bandwidth, (sizes.iter().max().unwrap() * 8).div_ceil(10));
        assert_eq!(variant.average_bandwidth, Some((total * 8).div_ceil(30)));
    }
    stage.bench.node.shutdown().await;
}

#[tokio::test]
async fn what_a_section_does_not_explain_has_rates_and_no_more() {
    let mut stage = Stage::start().await;
    let own = stage.sample("own").await;
    let garbage = stage.put(b"this is no section".to_vec()).await;
    let huge = [media("init.mp4"), vec![0, 0, 0, 0], b"free".to_vec(), vec![0; 1 << 20]].concat();
    let huge = stage.put(huge).await;
    let absent = crate::support::content(9);
    let src = own[0];
    let fields = format!(
        r#""src":"{src}","map":"{garbage}","240":"{}","map240":"{absent}","480":"{}","map480":"{huge}""#,
        own[1], own[2]
    );
    stage.publish(&[configure(), push(0, &fields)]).await;
    let list = stage.master().await;
    assert_eq!(described(&list), vec![(None, None, None); 3]);
    assert!(list.variants.iter().all(|variant| variant.average_bandwidth.is_some()));
    stage.bench.node.shutdown().await;
}

#[tokio::test]
async fn another_section_is_measured_too_and_one_that_comes_later() {
    let mut stage = Stage::start().await;
    let own = stage.sample("own").await;
    let section = media("init.mp4");
    let first = stage.put(section.clone()).await;
    let second = other_section(640, 360, 0x1e);
    // Its id is known before its bytes are here.
    let elsewhere = alive_storage::MemoryStorage::default();
    let late = elsewhere.put(second.clone().into()).await.unwrap();
    let with = |n: usize, map: ContentId, more: &str| {
        push(n, &format!(r#""src":"{}","map":"{map}"{more}"#, own[n]))
    };
    let pushes = [with(0, first, ""), with(1, late, r#","d":1"#)];
    stage.publish(&[&[configure()], &pushes[..]].concat()).await;
    let want = [some("avc1.4d4015,mp4a.40.2", "320x180")];
    assert_eq!(described(&stage.master().await), want, "of the second nothing is known");
    stage.put(second).await;
    stage.bench.block(&[with(2, late, "")]).await;
    stage.bench.list_until("/stream/alice/s", |list| list.listed().len() == 3).await;
    let want = [some("avc1.4d4015,mp4a.40.2,avc1.4d401e", "640x360")];
    assert_eq!(described(&stage.master().await), want);
    stage.bench.node.shutdown().await;
}
