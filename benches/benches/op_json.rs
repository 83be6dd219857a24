//! Reading operations strictly, beside reading the same text as any JSON value, which checks no field.
//!
//! Most of the difference is the content id: checking it takes a conversion from base 58. It has a line of its own.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::hint::black_box;

use alive_core::{ContentId, Op, SignedOp};
use benches::day::{self, Ids};
use criterion::{Criterion, Throughput};
use serde_json::{Value, json};

/// Operations that are read in one run.
const COUNT: usize = 1000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let ops = day::pushes(1, COUNT);
    payloads(&mut criterion, &ops);
    envelopes(&mut criterion, &ops);
    criterion.final_summary();
}

fn payloads(criterion: &mut Criterion, ops: &[SignedOp]) {
    let texts: Vec<String> = ops.iter().map(|signed| signed.op.to_json()).collect();
    let segments = day::segments(Ids::V0, COUNT);
    let ids: Vec<String> = segments.iter().map(|segment| segment.content.to_string()).collect();
    let mut group = criterion.benchmark_group("op: payload of a push");
    group.throughput(Throughput::Elements(texts.len().try_into().expect("small")));
    group.bench_function("read", |b| {
        b.iter(|| each(&texts, |text| Op::from_json(text).expect("it was just written")));
    });
    group.bench_function("peer: serde_json::Value", |b| {
        b.iter(|| each(&texts, |text| serde_json::from_str::<Value>(text).expect("it is JSON")));
    });
    group.bench_function("part: content id alone", |b| {
        b.iter(|| each(&ids, |id| id.parse::<ContentId>().expect("it was just written")));
    });
    group.bench_function("write", |b| {
        b.iter(|| {
            for signed in ops {
                black_box(signed.op.to_json());
            }
        });
    });
    group.finish();
}

fn envelopes(criterion: &mut Criterion, ops: &[SignedOp]) {
    let envelope = |signed: &SignedOp| {
        let value = json!({
            "id": "alive-test",
            "json": signed.op.to_json(),
            "required_auths": [],
            "required_posting_auths": [signed.account.as_str()],
        });
        json!({"type": "custom_json_operation", "value": value}).to_string()
    };
    let texts: Vec<String> = ops.iter().map(envelope).collect();
    let mut group = criterion.benchmark_group("op: the whole custom_json");
    group.throughput(Throughput::Elements(texts.len().try_into().expect("small")));
    group.bench_function("read", |b| {
        b.iter(|| {
            each(&texts, |text| SignedOp::from_operation_json(text, "alive-test").expect("ours"));
        });
    });
    group.bench_function("peer: serde_json::Value of both layers", |b| {
        b.iter(|| each(&texts, both_layers));
    });
    group.finish();
}

fn both_layers(text: &str) -> (Value, Value) {
    let outer: Value = serde_json::from_str(text).expect("it is JSON");
    let payload = outer.pointer("/value/json").and_then(Value::as_str).expect("it was put there");
    let inner = serde_json::from_str(payload).expect("it is JSON");
    (outer, inner)
}

fn each<T>(texts: &[String], read: impl Fn(&str) -> T) {
    for text in texts {
        black_box(read(text));
    }
}
