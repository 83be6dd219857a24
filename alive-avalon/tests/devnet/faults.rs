//! Bad nodes: nothing is published twice, nothing is lost, everything comes through in the end.

use std::future::poll_fn;

use alive_avalon::devnet::{AnswerFault, FaultRule, Switches};
use alive_core::{
    Op,
    backend::{BlockSource, Broadcaster, Next},
};
use rstest::rstest;

use super::support::{
    CID, START_MS, broadcaster, client, config, count_of, open, server, signed, source, step,
    with_blocks,
};

fn switches(fault: AnswerFault, path: &str, times: u32) -> Switches {
    let mut switches = Switches::default();
    switches.answers.push(FaultRule {
        fault,
        path: path.into(),
        per_mille: 1000,
        times: Some(times),
    });
    switches
}

fn op(json: &str) -> Op {
    Op::from_json(json).unwrap()
}

#[rstest]
#[case::lost(AnswerFault::Lost)]
#[case::garbage(AnswerFault::Garbage)]
#[case::cut(AnswerFault::Truncated { bytes: 3 })]
#[case::a_page(AnswerFault::Status { status: 502 })]
#[tokio::test]
async fn an_answer_that_does_not_come_publishes_nothing_twice(
    #[case] fault: AnswerFault,
    #[values("/transact", "/block/", "/count", "")] path: &str,
) {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    let show = op(r#"{"op":2,"link":"show","pub":"a.b"}"#);
    // Before anything is signed a failure is the caller's to try again.
    let push = op(&format!(r#"{{"op":0,"link":"show","seq":0,"src":"{CID}"}}"#));
    with_blocks(&[&server], alice.broadcast(&show)).await.unwrap();
    server.with(|chain| chain.set_switches(switches(fault, path, 4)));
    let mut tries = 0;
    loop {
        tries += 1;
        match with_blocks(&[&server], alice.broadcast(&push)).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_transient() && tries < 6, "{error:?}"),
        }
    }
    assert_eq!(server.with(|chain| count_of(chain, 26)), 1);
}

#[tokio::test]
async fn transactions_that_a_node_loses_are_sent_again_and_published_once() {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    server.with(|chain| {
        let mut switches = Switches::default();
        (switches.lost_transactions, switches.seed) = (700, 3);
        chain.set_switches(switches);
    });
    let show = op(r#"{"op":2,"link":"show","pub":"a.b"}"#);
    with_blocks(&[&server], alice.broadcast(&show)).await.unwrap();
    for seq in 0..5 {
        let push = op(&format!(r#"{{"op":0,"link":"show","seq":{seq},"src":"{CID}"}}"#));
        with_blocks(&[&server], alice.broadcast(&push)).await.unwrap();
    }
    assert_eq!(server.with(|chain| (count_of(chain, 25), count_of(chain, 26))), (1, 5));
}

#[tokio::test]
async fn a_broadcast_that_was_given_up_goes_on_with_the_same_transaction() {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    let show = op(r#"{"op":2,"link":"show","pub":"a.b"}"#);
    {
        let mut given_up = std::pin::pin!(alice.broadcast(&show));
        // Until the node has it, but no block.
        while server.with(|chain| chain.pending()) == 0 {
            let polled = poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            tokio::task::yield_now().await;
        }
    }
    server.with(step);
    let receipt = with_blocks(&[&server], alice.broadcast(&show)).await.unwrap();
    assert_eq!(server.with(|chain| count_of(chain, 25)), 1);
    assert!(receipt.block <= server.with(|chain| chain.head().num()));
}

#[tokio::test]
async fn a_transaction_that_expires_is_signed_anew_and_published_once() {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    let show = op(r#"{"op":2,"link":"show","pub":"a.b"}"#);
    let mut sent = std::pin::pin!(alice.broadcast(&show));
    while server.with(|chain| chain.pending()) == 0 {
        tokio::select! {
            biased;
            done = &mut sent => panic!("in no block yet: {done:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    // What waits is gone, and time jumps over its expiration.
    server.with(|chain| {
        let now = chain.head().time_ms();
        let mut switches = Switches::default();
        switches.lost_transactions = 1000;
        chain.set_switches(switches);
        chain.produce_block(now + 61_000).unwrap();
        chain.pop_blocks(1, false).unwrap();
        chain.produce_block(now + 61_000).unwrap();
        chain.set_switches(Switches::default());
    });
    with_blocks(&[&server], sent).await.unwrap();
    assert_eq!(server.with(|chain| count_of(chain, 25)), 1);
}

#[tokio::test]
async fn another_node_is_asked_where_one_is_gone_and_a_node_on_a_fork_is_noticed() {
    let (one, two) = (server(config()).await, server(config()).await);
    let urls = [one.url(), two.url()];
    let nodes = client(urls.iter().map(String::as_str));
    let follower = alive_avalon::rpc::AvalonBlockSource::new(
        nodes.clone(),
        alive_avalon::rpc::AvalonBlockSourceConfig::default(),
    );
    // Both have the same first blocks, then each its own.
    one.with(step);
    two.with(step);
    let Next::Blocks { blocks, .. } = follower.next(None, 100).await.unwrap() else { panic!() };
    assert_eq!(blocks.len(), 2);
    one.with(|chain| {
        let configure = signed(chain, "alice", 25, r#"{"link":"show","json":{"live":true}}"#);
        chain.push_transaction(configure, chain.head().time_ms()).unwrap();
        step(chain);
    });
    (0..2).for_each(|_| {
        two.with(step);
    });
    let at = blocks.last().unwrap().at.clone();
    let Next::Blocks { blocks, .. } = follower.next(Some(&at), 100).await.unwrap() else {
        panic!()
    };
    let head = blocks.last().unwrap().at.clone();
    one.shutdown().await;
    assert_eq!(follower.next(Some(&head), 100).await.unwrap(), Next::Forked);
    let Next::Blocks { blocks, .. } = follower.next(Some(&at), 100).await.unwrap() else {
        panic!()
    };
    assert_eq!(blocks.len(), 2);
    let alice = broadcaster(nodes, "alice");
    let show = op(r#"{"op":2,"link":"show","pub":"a.b"}"#);
    with_blocks(&[&two], alice.broadcast(&show)).await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_behind_takes_no_block_back_that_is_settled() {
    let server = server(config()).await;
    (0..30).for_each(|_| {
        server.with(step);
    });
    let source = source(&server.url());
    let Next::Blocks { blocks, irreversible } = source.next(None, 100).await.unwrap() else {
        panic!()
    };
    let settled = blocks.iter().rfind(|block| block.at.num <= irreversible).unwrap();
    server.with(|chain| {
        let mut switches = Switches::default();
        switches.behind = 28;
        chain.set_switches(switches);
    });
    let next = source.next(Some(&settled.at), 100).await.unwrap();
    assert_eq!(next, Next::Blocks { blocks: Vec::new(), irreversible });
}

#[tokio::test]
async fn a_block_that_is_not_what_it_says_is_not_believed() {
    // A liar that changes a block's transactions under the same hash, in front of an honest node.
    let mut honest = open(config());
    let configure = signed(&honest, "alice", 25, r#"{"link":"show","json":{"live":true}}"#);
    honest.push_transaction(configure, START_MS).unwrap();
    step(&mut honest);
    let honest = alive_avalon::devnet::serve_chain(honest).await.unwrap();
    let url = honest.url();
    let forward = move |path: String| {
        let url = url.clone();
        async move {
            let answer = reqwest::get(url + &path).await.unwrap().text().await.unwrap();
            answer.replace(r#""link":"show""#, r#""link":"liar""#)
        }
    };
    let router =
        axum::Router::new().fallback(move |uri: axum::http::Uri| forward(uri.path().to_owned()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let liar = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let alone = source(&liar).next(None, 100).await.unwrap_err();
    assert!(alone.is_transient(), "another node may say better: {alone:?}");
    let both = alive_avalon::rpc::AvalonBlockSource::new(
        client([liar.as_str(), honest.url().as_str()]),
        alive_avalon::rpc::AvalonBlockSourceConfig::default(),
    );
    let Next::Blocks { blocks, .. } = both.next(None, 100).await.unwrap() else { panic!() };
    let links: Vec<_> = blocks.iter().flat_map(|block| &block.ops).collect();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].as_ref().unwrap().op.link().as_str(), "show");
    serving.abort();
}
