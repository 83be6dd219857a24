//! What the chapter "Running a node" says to type: its commands, its systemd unit and its container file fit the program.

use std::{collections::BTreeMap, process::Command};

use crate::support::{Running, alive, free_port, get, run, stdout};

const CHAPTER: &str = include_str!("../../../docs/src/guides/running-a-node.md");
const MANIFEST: &str = include_str!("../../../Cargo.toml");
/// Variables of the program that are no settings of a command.
const LOG_VARIABLES: [&str; 2] = ["ALIVE_LOG", "ALIVE_LOG_FORMAT"];

/// The blocks of the chapter in this language, with the lines that go on put together.
fn blocks(language: &str) -> Vec<String> {
    let start = format!("\n```{language}\n");
    CHAPTER
        .split(&start)
        .skip(1)
        .map(|part| part.split("\n```").next().unwrap().replace("\\\n", " "))
        .collect()
}

fn block(language: &str, with: &str) -> String {
    let found = blocks(language).into_iter().find(|block| block.contains(with));
    found.unwrap_or_else(|| panic!("no {language} with {with}"))
}

/// The long flags and the variables that `alive node --help` names.
fn help() -> String {
    let output = run(&["node", "--help"]);
    assert!(output.status.success());
    // Lines are broken anywhere.
    stdout(&output).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_flags(help: &str, command: &str) {
    for word in command.split_whitespace().filter(|word| word.starts_with("--")) {
        let flag = word.split('=').next().unwrap();
        let is_known = help.split_whitespace().any(|known| known.trim_end_matches(',') == flag);
        assert!(is_known, "{flag} of {command:?} is no flag of alive node");
    }
}

fn assert_variable(help: &str, name: &str) {
    let is_known = LOG_VARIABLES.contains(&name) || help.contains(&format!("[env: {name}="));
    assert!(is_known, "{name} is no variable of alive node");
}

#[test]
fn every_node_of_the_chapter_has_flags_that_there_are() {
    let help = help();
    let blocks = blocks("sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    let nodes: Vec<_> = lines.filter(|line| line.starts_with("alive node ")).collect();
    assert!(nodes.len() >= 2, "{nodes:?}");
    for node in nodes {
        assert_flags(&help, node);
        // What clap refuses ends with 2; a node that got so far would have to be stopped.
        let args: Vec<_> = node.split_whitespace().skip(1).collect();
        let output = run(&[&args[..], &["--help"]].concat());
        assert!(output.status.success(), "{node}");
    }
    // A setting that the text names in `code` and that looks like a flag is one.
    for name in ["ipfs-listen", "alivedb-listen", "alivedb-user", "alivedb-password-file"] {
        assert!(CHAPTER.contains(&format!("`{name}`")), "{name}");
        assert_flags(&help, &format!("--{name}"));
    }
}

/// The settings of a unit, section by section.
fn unit_settings(unit: &str) -> BTreeMap<(String, String), Vec<String>> {
    let (mut section, mut settings) = (String::new(), BTreeMap::<_, Vec<_>>::new());
    for line in unit.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
        settings.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
    }
    settings
}

#[test]
fn the_unit_starts_the_program_with_flags_that_there_are() {
    let settings = unit_settings(&block("ini", "ExecStart"));
    let service = |key: &str| settings[&("Service".to_owned(), key.to_owned())].join(" ");
    let start = service("ExecStart");
    let (program, args) = start.split_once(' ').unwrap();
    assert_eq!(program, "/usr/local/bin/alive");
    assert!(args.starts_with("node "), "{args}");
    let help = help();
    assert_flags(&help, args);
    for variable in service("Environment").split_whitespace() {
        assert_variable(&help, variable.split('=').next().unwrap());
    }
    // The user is another one at every start and may write nowhere but there.
    assert_eq!((service("DynamicUser"), service("ProtectSystem")), ("yes".into(), "strict".into()));
    assert!(args.contains(&format!("--data /var/lib/{}", service("StateDirectory"))), "{args}");
    // The program has time to end by itself, and as many files as connections, and more.
    assert!(service("TimeoutStopSec").parse::<u32>().unwrap() > 10);
    assert!(service("LimitNOFILE").parse::<u32>().unwrap() > 4096);
    assert_eq!(settings[&("Install".to_owned(), "WantedBy".to_owned())], ["multi-user.target"]);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_takes_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alive-node.service");
    let unit = block("ini", "ExecStart");
    // It wants the program to be there.
    let unit = unit.replace("/usr/local/bin/alive", env!("CARGO_BIN_EXE_alive"));
    std::fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--generators=no", "--recursive-errors=no"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("alive-node.service"), "{said}");
}

/// The values of the container file's ENV lines.
fn container_environment(file: &str) -> Vec<(&str, &str)> {
    let lines = file.lines().filter_map(|line| line.strip_prefix("ENV "));
    lines.flat_map(str::split_whitespace).map(|pair| pair.split_once('=').unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_file_builds_and_starts_this_program() {
    let file = block("dockerfile", "ENTRYPOINT");
    let version = MANIFEST.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.unwrap().trim_matches('"');
    assert!(file.starts_with(&format!("FROM rust:{version}-")), "another compiler: {version}");
    assert!(file.contains("cargo build --release --locked -p alive-cli"));
    assert!(file.contains("COPY --from=build /alive/target/release/alive /usr/local/bin/alive"));
    let environment = container_environment(&file);
    let help = help();
    for (name, _) in &environment {
        assert_variable(&help, name);
    }
    let value = |name: &str| environment.iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(file.contains(&format!("\nVOLUME {}\n", value("ALIVE_NODE_DATA"))));
    let (host, port) = value("ALIVE_NODE_LISTEN").split_once(':').unwrap();
    assert_eq!(host, "0.0.0.0", "or nobody outside the container reaches it");
    assert!(file.contains(&format!("\nEXPOSE {port}\n")));
    let runs = block("sh", "docker run");
    assert!(runs.contains(&format!(":{port}:{port} ")), "{runs}");
    assert!(runs.contains(&format!(":{} ", value("ALIVE_NODE_DATA"))), "{runs}");
    for pair in runs.split("--env ").skip(1) {
        assert_variable(&help, pair.split('=').next().unwrap());
    }

    // What the container would start, with a port and a folder of ours.
    let folder = tempfile::tempdir().unwrap();
    let own_port = free_port();
    let entry: Vec<String> = ["ENTRYPOINT ", "CMD "]
        .into_iter()
        .flat_map(|start| {
            // The health check has a CMD, too, but no list.
            let list = file.lines().find_map(|line| line.strip_prefix(start)).unwrap();
            serde_json::from_str::<Vec<String>>(list).unwrap()
        })
        .collect();
    assert_eq!(entry[0], "alive");
    let args: Vec<_> = entry[1..].iter().map(String::as_str).collect();
    let mut command = alive(&args);
    command
        .envs(environment.iter().copied())
        .env("ALIVE_NODE_DATA", folder.path())
        .env("ALIVE_NODE_LISTEN", format!("127.0.0.1:{own_port}"));
    let mut node = Running::start(command);
    node.line("listening on ");
    let check = file.lines().find(|line| line.starts_with("HEALTHCHECK ")).unwrap();
    let url = check.split_whitespace().last().unwrap();
    assert!(url.starts_with(&format!("http://127.0.0.1:{port}/")), "{url}");
    get(&url.replace(port, &own_port.to_string())).await.unwrap();
    assert!(node.terminate().success());
}
