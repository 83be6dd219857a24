//! The program as a person meets it: what it prints and what it ends with.

use crate::support::{alive, run, sample, stdout};

fn vectors(name: &str) -> String {
    format!("{}/../vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_demo_brings_every_segment_back() {
    for name in ["ts-6x10s", "resumed"] {
        let recording = sample(name);
        let output = run(&["demo", "--speed", "40", "--recording", recording.to_str().unwrap()]);
        let text = stdout(&output);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("6 recorded, 6 back, byte for byte and in order"), "{text}");
        assert!(text.contains("on chain"), "{text}");
    }
}

/// What is pushed by itself and what is bundled depends on how soon segments are stored, so a machine that is busy with something
/// else has more than one try.
#[test]
fn the_demo_shows_direct_pushes_and_chunks() {
    const TRIES: usize = 4;
    let shows_both = |text: &str| {
        let number = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let (chunks, operations) = (number("chunks "), number("operations "));
        // The end is an operation, too.
        chunks >= 2 && operations >= chunks + 3
    };
    let mut told = (0..TRIES).map(|_| stdout(&run(&["demo", "--speed", "10"])));
    assert!(told.any(|text| shows_both(&text)));
}

#[test]
fn a_recording_that_is_none_is_refused_with_its_name() {
    let output = run(&["demo", "--recording", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/folder"));
}

#[test]
fn conformance_says_what_failed_and_what_it_does_not_know() {
    let output = run(&["conformance", &vectors("core.op.json"), &vectors("core.chunk.json")]);
    assert!(output.status.success());
    assert_eq!(stdout(&output).lines().last(), Some("306 passed, 0 failed, 0 skipped"));

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, kind: &str, want: &str| {
        let case = format!(r#"{{"name":"one","in":{{"csv":""}},"out":{want}}}"#);
        let text = format!(r#"{{"format":"alive-vectors/1","kind":"{kind}","cases":[{case}]}}"#);
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    write("good.json", "core.chunk", r#"{"error":"empty"}"#);
    write("bad.json", "core.chunk", r#"{"segments":[]}"#);
    write("other.json", "nobody.knows", "{}");
    let output = run(&["conformance", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("FAILED core.chunk one") && text.contains("skipped nobody.knows"),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
}

#[test]
fn cid_is_that_of_ipfs_add() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello");
    std::fs::write(&file, "hello world").unwrap();
    let cid = |profile: &str| stdout(&run(&["cid", "--profile", profile, file.to_str().unwrap()]));
    assert!(cid("unixfs-v0-2015").starts_with("Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD "));
    let raw = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e ";
    assert!(cid("cid-v1-256k").starts_with(raw));
}

#[test]
fn keys_come_from_the_environment_and_are_never_shown_unasked() {
    let derived = alive(&["key", "derive", "--account", "alice"])
        .env("ALIVE_MASTER_PASSWORD", "password")
        .output()
        .unwrap();
    let text = stdout(&derived);
    let wif = "5JZABPReZZqYBvrFYDAhmN6NQ6r9wDn9B9FnXPNLixhBaAyRbsq";
    let public = "STM86eLQPsLySq5NASzEmkgCJ3LYAc3mqsswneuFCfT6xECn9aPv5";
    assert_eq!(text, format!("private {wif}\npublic  {public}\n"));

    let shown = alive(&["key", "public"]).env("ALIVE_POSTING_KEY", wif).output().unwrap();
    assert_eq!(stdout(&shown), format!("{public}\n"));

    let broken = alive(&["key", "public"]).env("ALIVE_POSTING_KEY", &wif[1..]).output().unwrap();
    let said = format!("{}{}", stdout(&broken), String::from_utf8_lossy(&broken.stderr));
    assert!(!broken.status.success() && !said.contains(&wif[1..]), "{said}");
}

#[test]
fn no_key_is_taken_from_the_command_line_and_a_missing_one_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["end", "--account", "alice", "--link", "s", "--posting-key", "5J"]);
    assert!(!output.status.success());
    let output = alive(&["end", "--account", "alice", "--link", "s"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("ALIVE_POSTING_KEY"));
}

#[test]
fn every_command_shows_an_example() {
    let commands = [
        "cid",
        "configure",
        "conformance",
        "cost",
        "demo",
        "devnet",
        "end",
        "export",
        "import",
        "key",
        "node",
        "stream",
        "verify",
    ];
    for command in commands {
        let text = stdout(&run(&[command, "--help"]));
        assert!(text.contains(&format!("Example: alive {command}")), "{command}: {text}");
    }
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello"), "hello world").unwrap();
    std::fs::write(folder.path().join("alive.toml"), "[cid]\nprofile = \"cid-v1-256k\"\n").unwrap();
    let cid = |args: &[&str], profile: Option<&str>| {
        let mut command = alive(&[&["cid", "hello"], args].concat());
        command.current_dir(folder.path());
        if let Some(profile) = profile {
            command.env("ALIVE_PROFILE", profile);
        }
        stdout(&command.output().unwrap()).split(' ').next().unwrap().to_owned()
    };
    let v0 = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
    let raw = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    assert_eq!(cid(&[], None), raw);
    assert_eq!(cid(&[], Some("unixfs-v0-2015")), v0);
    assert_eq!(cid(&["--profile", "unixfs-v1-2025"], Some("unixfs-v0-2015")), raw);

    std::fs::write(folder.path().join("alive.toml"), "[cid]\nposting-key = \"5J\"\n").unwrap();
    let refused = alive(&["cid", "hello"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("posting-key"), "{said}");
}

#[test]
fn a_recording_of_fragments_comes_back_whole() {
    let recording = sample("fmp4");
    let said = stdout(&run(&["demo", "--speed", "40", "--recording", recording.to_str().unwrap()]));
    assert!(said.contains("3 segments"), "{said}");
}

#[test]
fn what_cannot_be_published_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let list = std::fs::read_to_string(sample("ts-6x10s").join("stream.m3u8")).unwrap();
    let key = "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n#EXTINF";
    std::fs::write(folder.path().join("stream.m3u8"), list.replacen("#EXTINF", key, 1)).unwrap();
    for number in 0..6 {
        let name = format!("stream{number}.ts");
        std::fs::copy(sample("ts-6x10s").join(&name), folder.path().join(name)).unwrap();
    }
    let output = run(&["demo", "--speed", "40", "--recording", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("turn off encryption in the recorder"), "{said}");
}

#[test]
fn an_account_that_the_chain_cannot_have_is_refused_before_any_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let output = alive(&["stream", "--account", "../x", "--link", "s", "--folder", "recording"])
        .current_dir(folder.path())
        .env("ALIVE_POSTING_KEY", "5JZABPReZZqYBvrFYDAhmN6NQ6r9wDn9B9FnXPNLixhBaAyRbsq")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("../x cannot be an account"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_node_over_haf_refuses_settings_that_cannot_work() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let node = |more: &[&str]| {
        let mut args = vec!["node", "--listen", "127.0.0.1:0", "--data", data];
        args.extend(more);
        let output = run(&args);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let wrong = node(&["--haf", "postgresql://alive:secret@localhost:x/haf"]);
    assert!(wrong.contains("connection to HAF") && !wrong.contains("secret"), "{wrong}");
    let name = node(&["--haf", "host=/tmp", "--haf-context", "no name"]);
    assert!(name.contains("context \"no name\""), "{name}");
    assert!(node(&["--haf", "host=/tmp", "--haf-batch", "0"]).contains("--haf-batch"));
}

/// The output stands in the book, as does what it means.
#[test]
fn the_scenario_of_the_book_runs_as_printed_there() {
    let guides = format!("{}/../docs/src/guides", env!("CARGO_MANIFEST_DIR"));
    let output = run(&["stake", "run", &format!("{guides}/renditions-by-stake.json")]);
    let text = stdout(&output);
    let chapter = std::fs::read_to_string(format!("{guides}/renditions-by-stake.md")).unwrap();
    assert!(output.status.success() && text.lines().count() > 20, "{text}");
    assert!(
        chapter.contains(&format!("```text\n{text}```")),
        "the book is not up to date:\n{text}"
    );
}

#[test]
fn stake_runs_cases_of_the_vectors_and_says_what_is_wrong() {
    let mature = vectors("stake.mature.json");
    let output = run(&["stake", "run", &mature, "--case", "m-refusals", "--json"]);
    let got: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let file = std::fs::read_to_string(&mature).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == "m-refusals");
    assert_eq!(got["state"], case.unwrap()["out"]["state"]);
    assert_eq!(got["pool_after"], case.unwrap()["out"]["pool_after"]);

    let scenario = vectors("stake.scenario.json");
    let table = stdout(&run(&["stake", "run", &scenario, "--case", "bond-refusals"]));
    assert!(table.contains("refused: no account is named"), "{table}");
    assert!(table.contains("candidates: nobody"), "{table}");

    for (args, says) in [
        (vec!["stake", "run", &mature], "choose one with --case: m-self-bond"),
        (vec!["stake", "run", &mature, "--case", "nope"], "choose one with --case"),
        (vec!["stake", "run", "no/such/file"], "no/such/file"),
    ] {
        let output = run(&args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && error.contains(says), "{error}");
    }
}
