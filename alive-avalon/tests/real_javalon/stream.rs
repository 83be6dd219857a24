//! javalon streams over the development node, our reader shows it, and it reads what we publish.

use std::time::Duration;

use alive_avalon::{
    devnet::{DevAccount, DevnetConfig, dev_key, serve},
    rpc::{AvalonBlockSource, AvalonBlockSourceConfig, RpcClient, RpcConfig},
};
use alive_core::{
    Index,
    backend::{BlockSource as _, Next},
};
use serde_json::json;

use crate::javalon::run;

const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node.js, npm and packages"]
async fn a_stream_of_javalon_is_taken_told_and_indexed() {
    let alice = DevAccount::from_password("alice", "x");
    let config = DevnetConfig::default().account(alice).block_interval(Duration::from_millis(100));
    let server = serve(config).await.unwrap();
    let job = json!({
        "node": server.url(),
        "account": "alice",
        "key": dev_key("alice", "x").to_base58().as_str(),
        "streamKey": dev_key("stream", "x").to_base58().as_str(),
        "cid": CID,
    });
    let told = tokio::task::spawn_blocking(move || run("stream", &job)).await.unwrap();
    for answer in told["answers"].as_array().unwrap() {
        assert!(answer["result"].is_u64(), "each is confirmed by the number of a block: {answer}");
    }
    let words: Vec<_> =
        told["refused"].as_array().unwrap().iter().map(|told| &told["error"]["error"]).collect();
    let want = [
        "invalid signature",
        "playlist does not exist",
        "playlist does not exist",
        "transaction already in chain",
    ];
    assert_eq!(words, want);
    assert!(told["height"]["result"]["count"].as_u64().unwrap() > 17_150_006);
    assert_eq!(told["account"]["result"]["keys"][0]["types"], json!([25, 26]));
    assert_eq!(told["accounts"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(told["content"]["result"]["json"]["title"], "Live");
    assert_eq!(told["history"]["result"].as_array().unwrap().len(), 6);
    assert_eq!(told["schedule"]["result"]["shuffle"][0]["name"], "dtube");
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let source = AvalonBlockSource::new(client, AvalonBlockSourceConfig::default());
    let (mut index, mut last) = (Index::default(), None);
    loop {
        let Next::Blocks { blocks, .. } = source.next(last.as_ref(), 100).await.unwrap() else {
            panic!("forked")
        };
        for block in &blocks {
            index.apply_block(block).unwrap();
        }
        let Some(newest) = blocks.last() else { break };
        last = Some(newest.at.clone());
    }
    let stream = index.stream(&"alice".parse().unwrap(), &"show".parse().unwrap()).unwrap();
    assert!(stream.info().ended);
    assert_eq!(stream.info().settings.live_key.as_ref().unwrap().as_str(), "a.b");
    let lengths: Vec<_> =
        stream.pushes().map(|(_, push)| push.len.map(|len| len.to_string())).collect();
    assert_eq!(lengths, [Some("10.0".to_owned()), None]);
    server.shutdown().await;
}
