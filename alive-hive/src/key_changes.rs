//! Whose keys a block changes, so that nobody goes on with the old ones: [`accounts_with_new_keys`].

use std::collections::BTreeSet;

use alive_core::AccountName;
use memchr::memmem;
use serde_json::Value;

/// Operations that change authorities, with the member that names the account.
const OPERATIONS: [(&str, &str); 7] = [
    ("account_create", "new_account_name"),
    ("account_create_with_delegation", "new_account_name"),
    ("account_update", "account"),
    ("account_update2", "account"),
    ("create_claimed_account", "new_account_name"),
    ("recover_account", "account_to_recover"),
    ("reset_account", "account_to_reset"),
];
/// One of these is in the text of each of them, in either form.
const SIGNS: [&[u8]; 2] = [b"account_", b"_account\""];

/// The accounts whose authorities the blocks in an answer make or change, whichever method gave it.
///
/// Pass the text as it came: without a sign of such an operation nothing is parsed, and most blocks have none. For a cache
/// of keys ([`AccountKeys::forget`](alive_core::backend::AccountKeys::forget)); one that misses a change, because a node
/// left the operation out, is wrong for as long as its answers count.
///
/// ```
/// let block = r#"{"block":{"transactions":[{"operations":[
///     {"type":"account_update2_operation","value":{"account":"alice","posting":{}}}]}]}}"#;
/// let changed = alive_hive::accounts_with_new_keys(block);
/// assert!(changed.contains(&"alice".parse()?));
/// # Ok::<(), alive_core::AccountNameError>(())
/// ```
pub fn accounts_with_new_keys(answer: &str) -> BTreeSet<AccountName> {
    let mut found = BTreeSet::new();
    if SIGNS.iter().any(|sign| memmem::find(answer.as_bytes(), sign).is_some())
        && let Ok(value) = serde_json::from_str(answer)
    {
        collect(&value, &mut found);
    }
    found
}

/// Looks through every list of operations; the parser bounds the depth.
fn collect(value: &Value, found: &mut BTreeSet<AccountName>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_array() {
                    Some(operations) if name == "operations" => {
                        found.extend(operations.iter().filter_map(changed));
                    }
                    _ => collect(member, found),
                }
            }
        }
        _ => {}
    }
}

/// The account whose keys this operation changes.
fn changed(operation: &Value) -> Option<AccountName> {
    let (name, body) = match operation.as_array().map(Vec::as_slice) {
        Some([name, body]) => (name.as_str()?, body),
        Some(_) => return None,
        None => {
            let name = operation.get("type")?.as_str()?;
            (name.strip_suffix("_operation")?, operation.get("value")?)
        }
    };
    let (_, member) = OPERATIONS.iter().find(|(known, _)| *known == name)?;
    body.get(member)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn names(operations: &[Value]) -> Vec<String> {
        let block = json!({ "transactions": [{ "operations": operations }] });
        let forms = [
            json!({ "block": block }).to_string(),
            json!({ "jsonrpc": "2.0", "result": { "blocks": [{ "transactions": [] }, block] } })
                .to_string(),
            block.to_string(),
        ];
        let found = forms.map(|text| accounts_with_new_keys(&text));
        assert!(found.iter().all(|one| *one == found[0]));
        found[0].iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case("account_create", "new_account_name")]
    #[case("account_create_with_delegation", "new_account_name")]
    #[case("account_update", "account")]
    #[case("account_update2", "account")]
    #[case("create_claimed_account", "new_account_name")]
    #[case("recover_account", "account_to_recover")]
    #[case("reset_account", "account_to_reset")]
    fn every_operation_that_changes_keys_is_seen_in_both_forms(
        #[case] name: &str,
        #[case] member: &str,
    ) {
        let body = json!({ member: "alice", "creator": "bob", "recovery_account": "carol" });
        assert_eq!(names(&[json!([name, body])]), ["alice"]);
        let nai = json!({ "type": format!("{name}_operation"), "value": body });
        assert_eq!(names(&[nai]), ["alice"]);
    }

    #[test]
    fn other_operations_and_texts_within_them_change_nobody() {
        let inside = json!([["account_update", { "account": "alice" }]]).to_string();
        let others = [
            json!(["custom_json", { "json": inside, "required_posting_auths": ["alice"] }]),
            json!(["account_witness_vote", { "account": "alice" }]),
            json!(["account_update", { "account": 5 }]),
            json!(["account_update", { "account": "" }]),
            json!(["account_update"]),
            json!({ "type": "account_update", "value": { "account": "alice" } }),
            json!(null),
            json!(7),
        ];
        assert!(names(&others).is_empty());
        for text in ["", "account_", "{\"account_\":", &"[".repeat(100_000)] {
            assert!(accounts_with_new_keys(text).is_empty());
        }
    }
}
