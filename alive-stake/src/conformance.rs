//! The golden vectors of this crate: kinds `stake.elect`, `stake.mature` and `stake.scenario`.

use alive_core::conformance::{Kind, judge};
use serde_json::{Map, Value, json};

use crate::{
    amount::Amount,
    elect::{RoundSet, SetEntry, elect},
    scenario::Scenario,
};

/// The kinds of vectors that this crate knows.
pub const KINDS: &[Kind] = &[
    Kind { name: "stake.elect", check: |input, want| judge(election(input), want) },
    Kind { name: "stake.mature", check: check_run },
    Kind { name: "stake.scenario", check: check_run },
];

type Checked<T> = Result<T, String>;

fn election(input: &Value) -> Checked<Value> {
    let entries = array(input, "set")?.iter().map(entry).collect::<Checked<_>>()?;
    let random = random(text(input, "random_hex")?).ok_or("random_hex is not 32 bytes")?;
    let set = RoundSet::new(0, entries);
    let elected = elect(&set, amount(input, "max_price")?, &random).map_err(|e| e.to_string())?;
    Ok(json!({ "elected": elected.map(|entry| &entry.id) }))
}

fn entry(input: &Value) -> Checked<SetEntry> {
    let id = text(input, "id")?.parse().map_err(|e| format!("id: {e}"))?;
    let active = input.get("active").and_then(Value::as_bool).ok_or("active is no boolean")?;
    Ok(SetEntry { id, stake: amount(input, "stake")?, price: amount(input, "price")?, active })
}

fn random(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.strip_prefix("0x").unwrap_or(hex).as_bytes().chunks(2);
    let bytes = hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Runs the scenario; of the results only whether they are refusals is compared, of the rest what is wanted.
fn check_run(input: &Value, want: &Value) -> Checked<()> {
    let scenario = Scenario::from_json(input).map_err(|e| causes(&e))?;
    let run = scenario.run().map_err(|e| e.to_string())?;
    let (got, want) = (without_reasons(run.to_json()), without_reasons(want.clone()));
    let parts = want.as_object().ok_or("out is no object")?;
    for (name, want) in parts {
        let got = got.get(name).cloned().ok_or_else(|| format!("{name} is not known"))?;
        judge_parts(name, got, want)?;
    }
    Ok(())
}

/// Compares the members of an object, the elements of a list, one by one, so that the difference is a short one.
fn judge_parts(place: &str, got: Value, want: &Value) -> Checked<()> {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) if same_keys(&got, want) => {
            got.into_iter().try_for_each(|(name, got)| {
                let want = want.get(&name).unwrap_or(&Value::Null);
                judge_parts(&format!("{place}.{name}"), got, want)
            })
        }
        (Value::Array(got), Value::Array(want)) if got.len() == want.len() => got
            .into_iter()
            .zip(want)
            .enumerate()
            .try_for_each(|(at, (got, want))| judge_parts(&format!("{place}[{at}]"), got, want)),
        (got, want) => judge(Ok::<_, String>(json!({ "is": got })), &json!({ "is": want }))
            .map_err(|why| format!("{place}: {why}")),
    }
}

fn same_keys(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len() && a.keys().all(|key| b.contains_key(key))
}

fn without_reasons(mut out: Value) -> Value {
    let results = out.get_mut("results").and_then(Value::as_array_mut);
    for result in results.into_iter().flatten() {
        if result.get("error").is_some() {
            *result = json!({ "refused": true });
        }
    }
    out
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn amount(input: &Value, name: &str) -> Checked<Amount> {
    text(input, name)?.parse().map_err(|e| format!("{name}: {e}"))
}

fn text<'v>(input: &'v Value, name: &str) -> Checked<&'v str> {
    input.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name} is no text"))
}

fn array<'v>(input: &'v Value, name: &str) -> Checked<&'v [Value]> {
    let array = input.get(name).and_then(Value::as_array);
    array.map(Vec::as_slice).ok_or_else(|| format!("{name} is no array"))
}
