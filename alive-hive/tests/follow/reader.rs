//! The byte scan finds what the parser finds, and the parser what the JSON tree has.

use alive_core::backend::Block;
use alive_hive::{
    BlockAnswer, BlockId, BlockReader, BlockTextError, ExtractedBlock, KeyPrefix, extract_blocks,
    fuzzing,
};
use proptest::{collection::vec, prelude::*, sample::select};
use rstest::rstest;
use serde_json::{Value, json};

use super::support::{block, custom, ours, range, transaction};

const END: &str = r#"{"op":1,"link":"s"}"#;

fn reader() -> BlockReader {
    BlockReader::new("alive-test", KeyPrefix::STM)
}

fn read(result: &str) -> Result<Vec<Block>, BlockTextError> {
    reader().read(result.as_bytes(), BlockAnswer::BlockRange)
}

/// What the tree of the whole answer gives.
fn by_tree(result: &str) -> Vec<Block> {
    let value: Value = serde_json::from_str(result).unwrap();
    let blocks = extract_blocks(&value, BlockAnswer::BlockRange, "alive-test").unwrap();
    blocks.iter().map(ExtractedBlock::to_block).collect()
}

/// A chain of these blocks, each of these transactions.
fn chain(blocks: &[Vec<String>]) -> String {
    let (mut previous, mut texts) = (BlockId::ZERO, Vec::new());
    for (secs, transactions) in (0..).zip(blocks) {
        let (id, text) = block(previous, secs, transactions);
        previous = id;
        texts.push(text);
    }
    range(&texts)
}

fn vote() -> String {
    let value = json!({ "voter": "a", "author": "b", "permlink": "alive-test", "weight": 1 });
    json!({ "type": "vote_operation", "value": value }).to_string()
}

/// Operations of others that look like ours, of ours in unusual writing, and junk.
fn odd_operations() -> Vec<String> {
    let fake = json!(range(&[block(BlockId::ZERO, 1, &[transaction(&ours(END))]).1]));
    let mut odd = vec![
        vote(),
        ours(END),
        ours("null"),
        ours(&"x".repeat(300)),
        custom(r#""alive-test2""#, "\"{}\""),
        custom(r#""ALIVE-TEST""#, "\"{}\""),
        custom(r#""alive-test ""#, "\"{}\""),
        custom(r#""other""#, r#""{\"id\":\"alive-test\",\"x\":\"\\u0061\"}""#),
        custom(r#""other""#, r#""],\"block_id\":\"""#),
        custom(r#""other""#, &fake.to_string()),
        custom(r#""\u0061live-test""#, &json!(END).to_string()),
        custom(r#""alive\u002dtest""#, &json!(END).to_string()),
        custom(r#""alive\\u002dtest""#, &json!(END).to_string()),
        custom(r#""alive-test""#, "null"),
        custom("5", "\"{}\""),
        r#"{"type":"custom_json_\u006fperation","value":{"id":"alive-test","json":"{}"}}"#.into(),
        r#"{"value":{"json":"{}","id":"alive-test"},"type":"custom_json_operation"}"#.into(),
        r#"{"type":"x","type":"custom_json_operation","value":{"id":"alive-test","json":"{}"}}"#
            .into(),
        r#"["custom_json",{"id":"alive-test","json":"{}","required_posting_auths":["a",5]}]"#
            .into(),
        r#"["custom_json",{"id":"alive-test","json":"{}"},1]"#.into(),
        r#"["custom_json"]"#.into(),
        r#"{"type":"unheard_of_operation","value":{"block_id":"alive-test","a":[[[{}]]]}}"#.into(),
        r#"{"block_id":"alive-test"}"#.into(),
    ];
    odd.extend(["null", "5", "[]", "{}", "\"alive-test\"", "1.5e3"].map(String::from));
    odd
}

fn any_blocks() -> impl Strategy<Value = Vec<Vec<String>>> {
    let operations = vec(select(odd_operations()), 0..3).prop_map(|ops| ops.join(","));
    let operations = prop_oneof![
        6 => operations.prop_map(|ops| transaction(&ops)),
        4 => Just(transaction(&vote())),
        1 => select(vec!["null", "7", "{}", "[]", r#"{"operations":null}"#, r#"{"operations":{}}"#,
            r#"{"operations":[],"block_id":"x"}"#]).prop_map(String::from),
    ];
    vec(vec(operations, 0..4), 0..6)
}

/// Where white space, other bytes or a part of the text itself get into it.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Cut(prop::sample::Index, usize),
    Put(prop::sample::Index, &'static str),
}

fn any_change() -> impl Strategy<Value = Change> {
    let bytes = br#"[]{}",:\u0 a"#.to_vec();
    let texts = vec![
        " ",
        "\n",
        "\\",
        "\\u0061",
        "\"alive-test\"",
        r#"],"block_id":""#,
        r#"{"previous":""#,
        "]}",
        "[{",
        r#""transactions":[],"#,
    ];
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), select(bytes)).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (at(), at(), 0..400_usize).prop_map(|(from, to, len)| Change::Copy(from, to, len)),
        (at(), 1..60_usize).prop_map(|(at, len)| Change::Cut(at, len)),
        (at(), select(texts)).prop_map(|(at, text)| Change::Put(at, text)),
    ]
}

fn change(text: &mut Vec<u8>, change: &Change) {
    if text.is_empty() {
        return;
    }
    match change {
        Change::Byte(at, byte) => {
            let at = at.index(text.len());
            text[at] = *byte;
        }
        Change::Copy(from, to, len) => {
            let from = from.index(text.len());
            let part = text[from..(from + len).min(text.len())].to_vec();
            let to = to.index(text.len());
            text.splice(to..to, part);
        }
        Change::Cut(at, len) => {
            let at = at.index(text.len());
            text.drain(at..(at + len).min(text.len()));
        }
        Change::Put(at, part) => {
            let at = at.index(text.len());
            text.splice(at..at, part.bytes());
        }
    }
}

/// Puts white space between all that JSON lets it stand between.
fn spaced(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn scan_parser_and_tree_find_the_same(blocks in any_blocks()) {
        let text = chain(&blocks);
        let want = by_tree(&text);
        prop_assert_eq!(want.len(), blocks.len());
        prop_assert_eq!(&read(&text).unwrap(), &want);
        let parsed = reader().parse(text.as_bytes(), BlockAnswer::BlockRange).unwrap();
        prop_assert_eq!(&parsed, &want);
        // Sorted members and white space: the scan leaves it to the parser.
        prop_assert_eq!(&read(&spaced(&text)).unwrap(), &want);
    }

    #[test]
    fn a_changed_answer_is_read_as_the_parser_reads_it(
        blocks in any_blocks(),
        changes in vec(any_change(), 1..4),
    ) {
        let mut text = chain(&blocks).into_bytes();
        for one in &changes {
            change(&mut text, one);
        }
        fuzzing::scanned_blocks(&text);
    }

    #[test]
    fn any_transactions_between_right_headers_are_read_as_the_parser_reads_them(
        blocks in any_blocks(),
        changes in vec(any_change(), 0..3),
    ) {
        let mut text = blocks.concat().join(",").into_bytes();
        for one in &changes {
            change(&mut text, one);
        }
        fuzzing::scanned_blocks(&text);
    }

    #[test]
    fn any_bytes_are_read_as_the_parser_reads_them(data: Vec<u8>) {
        fuzzing::scanned_blocks(&data);
        fuzzing::plain_transactions(&data);
    }

    #[test]
    fn changed_transactions_of_ours_are_plain_only_if_the_parser_reads_the_same(
        payloads in vec(select(vec![END, "null", "é \"\\", ""]), 1..4),
        changes in vec(any_change(), 0..3),
    ) {
        let texts: Vec<String> = payloads.iter().map(|payload| transaction(&ours(payload))).collect();
        let mut text = texts.join(",").into_bytes();
        for one in &changes {
            change(&mut text, one);
        }
        fuzzing::plain_transactions(&text);
        // Deep in the text, where a change of any place seldom comes.
        for byte in b"\"\\,]}[{ 0" {
            let middle = text.len() / 2;
            if let Some(place) = text.get_mut(middle) {
                *place = *byte;
            }
            fuzzing::plain_transactions(&text);
        }
    }

    /// The id at every place of the vectors that are searched, and of the end of the text.
    #[test]
    fn our_id_is_found_wherever_it_stands(before in 0..300_usize, after in 0..300_usize) {
        let pad = |len| custom("\"other\"", &json!("x".repeat(len)).to_string());
        let text = chain(&[vec![transaction(&[pad(before), ours(END), pad(after)].join(","))]]);
        prop_assert_eq!(read(&text).unwrap()[0].ops.len(), 1);
    }
}

#[rstest]
#[case(custom(r#""\u0061live-test""#, r#""{}""#), 1)]
#[case(custom(r#""\u0061\u006c\u0069\u0076\u0065\u002d\u0074\u0065\u0073\u0074""#, r#""{}""#), 1)]
#[case(custom(r#""alive\u002Dtest""#, r#""{}""#), 1)]
#[case(custom(r#""\\u0061live-test""#, r#""{}""#), 0)]
#[case(custom(r#""other""#, r#""{\"id\":\"alive-test\"}""#), 0)]
#[case(format!(r#"{{ "value" : {{"json":"{{}}" ,"id" :"alive-test"}},"type":"custom_json_operation"}}"#), 1)]
fn an_id_counts_however_it_is_written(#[case] operation: String, #[case] count: usize) {
    let text = chain(&[vec![transaction(&operation)]]);
    assert_eq!(by_tree(&text)[0].ops.len(), count);
    assert_eq!(read(&text).unwrap()[0].ops.len(), count);
}

#[test]
fn blocks_without_our_operations_are_not_parsed() {
    // What stands between the brackets is no JSON, so a parser would fail.
    let text = fuzzing::framed_blocks(&[b"<not json>", b"", b"{{{{"]);
    let blocks = reader().read(&text, BlockAnswer::BlockRange).unwrap();
    assert_eq!(blocks.iter().map(|block| block.at.num).collect::<Vec<_>>(), [1, 2, 3]);
    reader().parse(&text, BlockAnswer::BlockRange).unwrap_err();
    let ours = fuzzing::framed_blocks(&[b"<not json>", br#"<"alive-test">"#]);
    reader().read(&ours, BlockAnswer::BlockRange).unwrap_err();
}

/// Headers, ids and links are right, and the whole is JSON, but the second block ends inside its own transactions.
#[test]
fn a_block_that_is_cut_askew_is_passed_over_and_never_read_as_another() {
    let (head, tail) = (r#"{"signatures":["#, r#""1f1f1f1f1f1"]}"#);
    assert_eq!(head.len(), tail.len(), "so that the fuzz body cuts between them");
    let text = fuzzing::framed_blocks(&[b"{}", head.as_bytes(), tail.as_bytes()]);
    serde_json::from_slice::<Value>(&text).unwrap();
    let blocks = reader().read(&text, BlockAnswer::BlockRange).unwrap();
    assert!(blocks.iter().all(|block| block.ops.is_empty()), "{blocks:?}");
    reader().parse(&text, BlockAnswer::BlockRange).unwrap_err();
    fuzzing::scanned_blocks(format!("{head}{tail}").as_bytes());
    // With an operation of ours in it, it is read as JSON has it.
    let head = format!(r#"{{"x":{},"signatures":["#, ours(END));
    let text = fuzzing::framed_blocks(&[b"{}", head.as_bytes(), tail.as_bytes()]);
    reader().read(&text, BlockAnswer::BlockRange).unwrap_err();
}

#[test]
fn an_id_that_may_be_escaped_is_found_by_parsing() {
    for id in ["a/b", "a\"b", "a\\b", "ä", "", "a\nb"] {
        let operation = custom(&json!(id).to_string(), "\"{}\"");
        let text = chain(&[vec![transaction(&operation)]]).replace("a/b", "a\\/b");
        let blocks = BlockReader::new(id, KeyPrefix::STM)
            .read(text.as_bytes(), BlockAnswer::BlockRange)
            .unwrap();
        assert_eq!(blocks[0].ops.len(), 1, "{id:?}");
    }
}

#[test]
fn a_block_is_not_another_for_a_lie_in_its_text() {
    let one = block(BlockId::ZERO, 0, &[transaction(&ours(END))]);
    let two = block(one.0, 3, &[transaction(&vote())]);
    let good = range(&[one.1, two.1]);
    assert_eq!(read(&good).unwrap(), by_tree(&good));
    let lie = |from: &str, to: &str| {
        assert!(good.contains(from));
        let text = good.replacen(from, to, 1);
        let read = read(&text);
        let parsed = reader().parse(text.as_bytes(), BlockAnswer::BlockRange);
        assert!(parsed.is_err(), "{to}");
        read.unwrap_err()
    };
    lie("alive.wit", "other.wit");
    lie("\\\"op\\\":1", "\\\"op\\\":2");
    lie("2027-01-15T08:00:03", "2027-01-15T08:00:06");
    // All transactions are left out.
    let (start, end) =
        (good.rfind(r#""transactions":["#).unwrap() + 16, good.rfind(r#"],"block_id""#).unwrap());
    lie(&good[start..end], "");
}

#[test]
fn single_blocks_and_absent_ones_are_read() {
    let (id, text) = block(BlockId::ZERO, 0, &[transaction(&ours(END))]);
    let single = format!(r#"{{"block":{text}}}"#);
    for (result, method) in [(&single, BlockAnswer::Block), (&text, BlockAnswer::Condenser)] {
        let blocks = reader().read(result.as_bytes(), method).unwrap();
        assert_eq!((blocks[0].at.id.as_str(), blocks[0].ops.len()), (id.to_string().as_str(), 1));
    }
    for (result, method) in [("{}", BlockAnswer::Block), ("null", BlockAnswer::Condenser)] {
        assert!(reader().read(result.as_bytes(), method).unwrap().is_empty());
    }
}

#[test]
fn a_header_with_extensions_is_passed_over_and_one_unknown_is_parsed() {
    let value: Value = serde_json::from_str(&block(BlockId::ZERO, 0, &[]).1).unwrap();
    let mut value = value;
    value["extensions"] = json!([{ "type": "unheard", "value": 5 }]);
    let text = json!({ "blocks": [value] }).to_string();
    assert_eq!(read(&text).unwrap().len(), 1);
}
