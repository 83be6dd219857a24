use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

use super::*;

fn written(text: &str) -> String {
    JsonText::of(text).unwrap().as_str().to_owned()
}

#[rstest]
#[case(
    "[-0,-0.0,0e5,1.0,1e20,1e21,0.000001,1e-7,1e400,-1e400,5e-324,1e-400]",
    "[0,0,0,1,100000000000000000000,1e+21,0.000001,1e-7,null,null,5e-324,0]"
)]
#[case(
    "[9007199254740993,123456789012345678,999999999999999,-999999999999999]",
    "[9007199254740992,123456789012345680,999999999999999,-999999999999999]"
)]
#[case(
    "[0.5,-0.5,0.10,10.003,-12.50,0.000001,0.0000012,0.0000001,0.00000012,-0.000000,100000.000001]",
    "[0.5,-0.5,0.1,10.003,-12.5,0.000001,0.0000012,1e-7,1.2e-7,0,100000.000001]"
)]
#[case(
    "[0.1234567890123456789,123456789012.345,1234567890123.4567,99999999999999.9]",
    "[0.12345678901234568,123456789012.345,1234567890123.4568,99999999999999.9]"
)]
#[case(
    "[1.7976931348623157e308,2.2250738585072011e-308,-123.456e+2,1E2]",
    "[1.7976931348623157e+308,2.225073858507201e-308,-12345.6,100]"
)]
fn numbers_are_written_as_javascript_does(#[case] json: &str, #[case] want: &str) {
    assert_eq!(written(json), want);
}

#[rstest]
#[case(
    r#""\u0000\u001F\u007f\u2028\/\b\f\n\r\t\"\\""#,
    "\"\\u0000\\u001f\u{7f}\u{2028}/\\b\\f\\n\\r\\t\\\"\\\\\""
)]
#[case(r#""\u0022\u005C\u000a\u0041""#, r#""\"\\\nA""#)]
#[case(r#""\uD83D\uDE00\uD83D\uD83D\uDE00\uDE00""#, "\"😀\\ud83d😀\\ude00\"")]
#[case(r#""\uD83Dx\uDE00""#, r#""\ud83dx\ude00""#)]
#[case(r#""\uDBFF\\uDC00""#, r#""\udbff\\uDC00""#)]
fn strings_are_written_as_javascript_does(#[case] json: &str, #[case] want: &str) {
    assert_eq!(written(json), want);
}

#[rstest]
#[case(r#"{"b":1,"a":2,"b":3}"#, r#"{"b":3,"a":2}"#)]
#[case(
    r#"{"4294967295":0,"4294967294":1,"01":2,"-1":3,"1.5":4,"0":5,"":6}"#,
    r#"{"0":5,"4294967294":1,"4294967295":0,"01":2,"-1":3,"1.5":4,"":6}"#
)]
#[case(
    r#"{"x":{"2":{"b":0,"1":0},"1":[{"9":1,"8":2}]},"x":{"2":{"b":0,"1":[]},"1":[{"9":1,"8":2}]}}"#,
    r#"{"x":{"1":[{"8":2,"9":1}],"2":{"1":[],"b":0}}}"#
)]
#[case(r#"{"a":0,"4294967295":1,"4294967294":2}"#, r#"{"4294967294":2,"a":0,"4294967295":1}"#)]
#[case(r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#)]
#[case(r#"{"__proto__":{"x":1},"1":2}"#, r#"{"1":2,"__proto__":{"x":1}}"#)]
#[case(r#"{"a\/":1,"a/":2}"#, r#"{"a/":2}"#)]
#[case(r#"{"b":0 , "\u0062":1.50 ,"1\u0030":2,"9":[ 1 ]}"#, r#"{"9":[1],"10":2,"b":1.5}"#)]
#[case(" [ { } , [ ] , true , false , null ] ", "[{},[],true,false,null]")]
fn members_come_in_the_order_of_javascript(#[case] json: &str, #[case] want: &str) {
    assert_eq!(written(json), want);
}

#[test]
fn equal_keys_are_found_among_many() {
    let keys = (0..100).map(|n| format!(r#""k{n}":{n}"#)).collect::<Vec<_>>().join(",");
    assert_eq!(written(&format!("{{{keys}}}")), format!("{{{keys}}}"));
    let twice = format!(r#"{{{keys},"k3":"x"}}"#);
    assert_eq!(written(&twice), format!("{{{keys}}}").replace(r#""k3":3"#, r#""k3":"x""#));
}

#[rstest]
#[case("", 0, JsonTextReason::End)]
#[case("\u{feff}1", 0, JsonTextReason::Token)]
#[case("1 2", 2, JsonTextReason::Rest)]
#[case("01", 1, JsonTextReason::Rest)]
#[case("-", 1, JsonTextReason::End)]
#[case("-a", 1, JsonTextReason::Number)]
#[case("1.", 2, JsonTextReason::End)]
#[case("1.e5", 2, JsonTextReason::Number)]
#[case("1e", 2, JsonTextReason::End)]
#[case("+1", 0, JsonTextReason::Token)]
#[case("[1,]", 3, JsonTextReason::Token)]
#[case("{\"a\":1,}", 7, JsonTextReason::Token)]
#[case("{\"a\" 1}", 5, JsonTextReason::Token)]
#[case("[1}", 2, JsonTextReason::Token)]
#[case("{1:1}", 1, JsonTextReason::Token)]
#[case("[", 1, JsonTextReason::End)]
#[case("\"a", 2, JsonTextReason::End)]
#[case("\"a\nb\"", 2, JsonTextReason::Control)]
#[case("\"01234567890\u{1f}\"", 12, JsonTextReason::Control)]
#[case(r#""\x""#, 2, JsonTextReason::Escape)]
#[case(r#""\u12g4""#, 5, JsonTextReason::Escape)]
#[case(r#""\ud800\u12""#, 11, JsonTextReason::Escape)]
#[case("tru", 0, JsonTextReason::Token)]
#[case("1\u{a0}", 1, JsonTextReason::Rest)]
#[case("NaN", 0, JsonTextReason::Token)]
fn what_is_no_json_is_refused(
    #[case] json: &str,
    #[case] at: usize,
    #[case] reason: JsonTextReason,
) {
    assert_eq!(JsonText::of(json), Err(JsonTextError { at, reason }), "{json:?}");
}

#[test]
fn no_depth_is_too_deep_and_no_disorder_too_slow() {
    let arrays = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(written(&arrays), arrays);
    let depth = 100_000;
    let disorder = format!("{}0{}", r#"{"b":0,"1":"#.repeat(depth), "}".repeat(depth));
    let order = format!("{}0{}", r#"{"1":"#.repeat(depth), r#","b":0}"#.repeat(depth));
    assert_eq!(written(&disorder), order);
}

#[test]
fn every_place_of_a_special_byte_is_found() {
    for len in 0..40 {
        for special in [b'"', b'\\', 0, 0x1f] {
            for other in [b'a', b' ', 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                let mut bytes = vec![other; 40];
                assert_eq!(plain_len(&bytes), 40);
                bytes[len] = special;
                assert_eq!(plain_len(&bytes), len, "{special} after {other}");
            }
        }
    }
}

proptest! {
    #[test]
    fn it_agrees_with_serde_json_and_is_stable(text in any_json()) {
        let once = written(&text);
        prop_assert_eq!(&written(&once), &once);
        let (before, after): (Value, Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::from_str(&once).unwrap());
        prop_assert!(alive_core_equal(&before, &after), "{} and {}", before, after);
    }

    #[test]
    fn it_refuses_just_what_serde_json_refuses(text in r#"[\[\]{}",:0-9eE+.\-a-z\\ ]{0,12}"#) {
        let refused = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err();
        prop_assert_eq!(JsonText::of(&text).is_err(), refused, "{}", text);
    }

    #[test]
    fn doubles_read_back(number in proptest::num::f64::NORMAL) {
        let mut text = String::new();
        push_number(&mut text, number);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        prop_assert_eq!(written(&format!("{number:e}")), text);
    }

    #[test]
    fn what_is_left_as_it_stands_is_what_would_be_written(
        text in r"-?(0|[1-9][0-9]{0,16})(\.0{0,8}[0-9]{1,16})?",
    ) {
        let mut anew = String::new();
        push_number(&mut anew, text.parse().unwrap());
        prop_assert_eq!(written(&text), anew);
    }

    #[test]
    fn utf16_lengths_are_those_of_the_standard_library(text: String) {
        prop_assert_eq!(utf16_len(&text), text.encode_utf16().count());
    }

    #[test]
    fn strings_are_written_as_serde_json_does(text: String) {
        let mut out = String::new();
        push_string(&mut out, &text);
        prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
    }
}

/// Numbers by value, as one side may have lost `.0`.
fn alive_core_equal(a: &Value, b: &Value) -> bool {
    alive_core::conformance::equal(a, b)
}

/// Any JSON text, with odd spacing and order.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        // Few digits: serde_json as it is used here may miss the last of many.
        any::<i32>().prop_map(|n| format!(" {:e}", f64::from(n) / 64.0)),
        any::<i64>().prop_map(|n| (n >> 11).to_string()),
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        Just("null".to_owned()),
        Just("[ ]".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof!["[a-c]", "[0-9]{1,2}", any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|v| format!("[{}]", v.join(" ,"))),
            prop::collection::vec((key, inner), 0..6).prop_map(|v| {
                let member = |(k, v): &(String, String)| {
                    format!("{}\t:{v}", serde_json::to_string(k).unwrap())
                };
                format!("{{{}}}", v.iter().map(member).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}
