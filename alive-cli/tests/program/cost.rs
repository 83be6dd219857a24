//! `alive cost`, from a node and without one.

use serde_json::Value;

use crate::support::{Running, alive, run, stdout};

fn json(args: &[&str]) -> Value {
    let output = run(&[&["cost", "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn without_a_node_the_cost_is_that_of_the_recorded_prices() {
    let cost = json(&["--example", "--hours", "2", "--renditions", "2"]);
    assert_eq!(cost["transactions"], 122);
    let names = cost["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["configure", "push", "end"]);
    let sum: u64 = cost["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["rc_total"].as_u64().unwrap())
        .sum();
    assert_eq!(cost["rc"], sum);
    assert!(cost["account"].is_null());
    let dearer = json(&["--example", "--hours", "2", "--renditions", "4"]);
    assert!(dearer["rc"].as_u64() > cost["rc"].as_u64());
}

#[test]
fn what_was_saved_gives_the_same_and_credits_tell_whether_they_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    let file = file.to_str().unwrap();
    let first = json(&["--example", "--save", file]);
    assert_eq!(json(&["--params", file]), first);

    let needs = first["rc"].as_u64().unwrap();
    let with = |credits: u64, max: u64| {
        let (credits, max) = (credits.to_string(), max.to_string());
        json(&["--params", file, "--credits", &credits, "--max-credits", &max])["account"].clone()
    };
    let rich = with(needs * 2, needs * 2);
    assert_eq!((rich["can_pay"].as_bool(), rich["wait_secs"].as_f64()), (Some(true), Some(0.0)));
    let poor = with(needs / 2, needs * 2);
    assert_eq!(poor["can_pay"], false);
    assert!(poor["runs_out_after_secs"].as_f64().unwrap() > 600.0, "{poor}");
    assert!(poor["wait_secs"].as_f64().unwrap() > 0.0, "{poor}");

    let table = run(&["cost", "--params", file, "--max-credits", "1"]);
    let text = stdout(&table);
    assert!(text.contains("push") && text.contains("HIVE POWER"), "{text}");
}

#[test]
fn what_cannot_be_streamed_or_read_is_told() {
    for (args, words) in [
        (&["--example", "--hours=-1"][..], "--hours"),
        (&["--example", "--hours", "1000"], "30 days"),
        (&["--example", "--renditions", "5"], "at most 4"),
        (&["--example", "--hours", "48", "--interval", "0", "--segment", "2"], "push less often"),
        (&["--params", "no/such/file"], "no/such/file"),
    ] {
        let output = run(&[&["cost"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
    }
    // Nobody listens there: the node's address is what to look at.
    let nobody = run(&["cost", "--hive-node", "http://127.0.0.1:1"]);
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(said.contains("--hive-node") && said.contains("--example"), "{said}");
}

#[test]
fn a_node_tells_prices_and_credits() {
    let mut devnet = Running::start(alive(&[
        "devnet",
        "--account",
        "alice:alice",
        "--listen",
        "127.0.0.1:0",
        "--block-time",
        "50ms",
    ]));
    let url = devnet.line("listening on ");
    let node = &["--network", "devnet", "--hive-node", &url, "--account", "alice"];
    let cost = json(&[node, &["--hours", "1"][..]].concat());
    assert_eq!(cost["transactions"], 62);
    assert!(cost["account"]["max"].is_u64(), "{cost}");
    let output = run(&["cost", "--network", "devnet", "--hive-node", &url, "--account", "nobody"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no account nobody"));
}
