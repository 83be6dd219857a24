use proptest::prelude::*;

use super::*;
use crate::gun::Lex;

fn at(ms: f64) -> State {
    State::new(ms).unwrap()
}

fn put(graph: &mut Graph, soul: &str, key: &str, value: &str, state: f64, origin: u64) -> Merge {
    let (soul, key) = (soul.into(), key.into());
    graph.merge(&soul, &key, &value.into(), at(state), Origin(origin), Instant::now(), 1e12)
}

fn keys(graph: &mut Graph, soul: &str, part: &Part) -> Vec<String> {
    let node = graph.select(&soul.into(), part, Instant::now());
    let entries = node.map(|node| node.entries).unwrap_or_default();
    entries.iter().map(|(key, _, _)| key.to_string()).collect()
}

/// What all sizes must add up to.
fn check_sums(graph: &Graph) {
    let mut brought: HashMap<Origin, usize> = HashMap::new();
    let mut bytes = 0;
    for (soul, node) in &graph.nodes {
        let mut sum = NODE_BYTES + soul.len();
        for (key, entry) in &node.entries {
            sum += entry_bytes(key, &entry.value);
            *brought.entry(entry.origin).or_default() += entry_bytes(key, &entry.value);
        }
        assert_eq!(node.bytes, sum);
        assert_eq!(graph.uses.get(&node.used), Some(soul));
        bytes += sum;
    }
    assert_eq!((graph.bytes, &graph.brought), (bytes, &brought));
    assert_eq!(graph.uses.len(), graph.nodes.len());
}

proptest! {
    #[test]
    fn any_order_of_merges_gives_one_graph(
        writes in proptest::collection::vec((0..2_u8, 0..3_u8, 0..4_u8, 0..3_u8), 1..24),
        seed: u64,
    ) {
        let values = ["\"", "9", "～", "😀"];
        let run = |order: &[(u8, u8, u8, u8)]| {
            let mut graph = Graph::default();
            for (soul, key, value, state) in order {
                let value = values[usize::from(*value)];
                put(&mut graph, &soul.to_string(), &key.to_string(), value, f64::from(*state), 1);
            }
            check_sums(&graph);
            let souls = ["0", "1"].map(Text::from);
            souls.map(|soul| graph.select(&soul, &Part::All, Instant::now()))
        };
        let mut shuffled = writes.clone();
        // A permutation that depends on the seed alone, with some of them twice.
        shuffled.sort_by_key(|write| {
            let (a, b, c, d) = *write;
            (seed ^ u64::from_be_bytes([a, b, c, d, a, d, b, c])).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        shuffled.extend_from_slice(&writes[..writes.len() / 2]);
        prop_assert_eq!(run(&writes), run(&shuffled));
    }

    #[test]
    fn sizes_add_up_and_stay_within_the_limit(
        writes in proptest::collection::vec((0..20_u8, 0..3_u8, 0..60_usize, 0..3_u64), 0..80),
    ) {
        let mut graph = Graph::new(GraphLimits::default().bytes(4_000));
        for (n, (soul, key, len, origin)) in writes.into_iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            put(&mut graph, &soul.to_string(), &key.to_string(), &"x".repeat(len), n as f64, origin);
            graph.evict();
            check_sums(&graph);
            prop_assert!(graph.bytes() <= 4_000);
        }
    }
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let mut graph = Graph::new(GraphLimits::default().bytes(3 * (NODE_BYTES + ENTRY_BYTES + 3)));
    for soul in ["a", "b", "c"] {
        put(&mut graph, soul, "k", "v", 1.0, 1);
    }
    assert_eq!(graph.evict(), 0);
    keys(&mut graph, "a", &Part::All);
    put(&mut graph, "d", "k", "v", 1.0, 1);
    assert_eq!(graph.evict(), 1);
    assert!(graph.has(&"a".into()) && !graph.has(&"b".into()));
}

#[test]
fn unused_nodes_are_forgotten_in_time() {
    let mut graph = Graph::new(GraphLimits::default().unused(Duration::from_secs(10)));
    put(&mut graph, "a", "k", "v", 1.0, 1);
    let now = Instant::now();
    assert_eq!(graph.forget_unused(now + Duration::from_secs(9)), 0);
    assert_eq!(graph.forget_unused(now + Duration::from_secs(11)), 1);
    assert!(graph.is_empty());
    check_sums(&graph);
}

#[test]
fn an_origin_has_a_quota_and_a_node_a_size() {
    let limits = GraphLimits::default().bytes_per_origin(1_000).node_bytes(2_000);
    let mut graph = Graph::new(limits);
    put(&mut graph, "a", "k", &"x".repeat(700), 1.0, 7);
    let more =
        |soul: &str, len: usize| Delta::of(soul, "m", "x".repeat(len).as_str().into(), at(2.0));
    assert_eq!(graph.check_room(&more("b", 200), Origin(7)), Err(Full::Origin));
    assert_eq!(graph.check_room(&more("b", 200), Origin(8)), Ok(()));
    assert_eq!(graph.check_room(&more("b", 1_500), Origin::OWN), Ok(()));
    assert_eq!(graph.check_room(&more("a", 1_000), Origin::OWN), Err(Full::Node));
    // What it has brought is given back when the node goes.
    graph.remove(&"a".into());
    assert_eq!(graph.check_room(&more("b", 200), Origin(7)), Ok(()));
}

#[test]
fn ranges_are_inclusive_and_bounded() {
    let mut graph = Graph::default();
    for n in 0..20 {
        put(&mut graph, "s", &format!("k{n:02}"), "value", 1.0, 1);
    }
    let mut range = |lex: &str, limit: Option<f64>| {
        let lex = Lex::from_json(&Json::parse(lex).unwrap(), limit).unwrap();
        keys(&mut graph, "s", &Part::Range(lex))
    };
    assert_eq!(range(r#"{"*":"k1"}"#, None), ["k10"], "one item without a limit");
    assert_eq!(range(r#"{"*":"k1"}"#, Some(1e9)).len(), 10);
    assert_eq!(range(r#"{">":"k03","<":"k05"}"#, Some(1e9)), ["k03", "k04", "k05"]);
    assert_eq!(range(r#"{">":"k03","<":"k05","-":true}"#, Some(1e9)), ["k05", "k04", "k03"]);
    assert_eq!(range(r#"{"=":"k07"}"#, Some(1e9)), ["k07"]);
    assert_eq!(range(r#"{"*":""}"#, Some(100.0)), ["k00", "k01", "k02"]);
    assert!(Lex::from_json(&Json::parse("{}").unwrap(), None).is_none());
}

#[test]
fn an_expired_entry_takes_its_own_item_along_and_nobody_elses() {
    let mut graph = Graph::default();
    let list: Text = "~me/hive/a/b<?600".into();
    let now = Instant::now();
    for (key, soul, state) in
        [("1", "~me/item1", 1.0), ("2", "~you/item", 2.0), ("3", "~me/item3", 9e5)]
    {
        let signed = format!(r##"{{":":{{"#":"{soul}"}},"~":"sig"}}"##);
        let value = Value::from(signed.as_str());
        graph.merge(&list, &key.into(), &value, at(state), Origin(1), now, 1e12);
        put(&mut graph, soul, "src", "cid", 1.0, 1);
    }
    let pruned = graph.prune(1e6);
    assert_eq!(pruned.nodes, [Text::from("~me/item1")]);
    assert_eq!(pruned.keys.len(), 2);
    assert_eq!(keys(&mut graph, "~me/hive/a/b<?600", &Part::All), ["3"]);
    assert!(graph.has(&"~you/item".into()) && graph.has(&"~me/item3".into()));
    check_sums(&graph);
}
