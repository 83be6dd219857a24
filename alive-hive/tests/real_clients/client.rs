//! Programs that use one unmodified client each: [`Client`].

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::packages::Packages;

/// Where the programs are; the benches of the workspace run them, too.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alive-hive/tests");
/// A program that says nothing for so long is stuck.
const DEADLINE: Duration = Duration::from_mins(4);

/// A Hive client that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Beem,
    Dhive,
    HiveTx,
    Wax,
}

impl Client {
    /// Does one piece of work with the client and gives what the program answers.
    pub(crate) fn run(self, work: &str, job: &Value) -> Value {
        let packages = Packages::ready(Path::new(SOURCES), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let node = |name| {
            let mut node = Command::new("node");
            node.args(["main.mjs", name]).current_dir(&packages.js);
            node
        };
        let mut command = match self {
            Self::Beem => {
                let mut python = Command::new(&packages.python);
                // beem keeps its settings in a database of the user's home.
                python.arg("main.py").current_dir(&packages.py).env("HOME", &packages.py);
                python.env_remove("XDG_DATA_HOME");
                python
            }
            Self::Dhive => node("dhive"),
            Self::HiveTx => node("hive-tx"),
            Self::Wax => node("wax"),
        };
        let output = output_of(command.arg(work), job.to_string());
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("{self:?} answered {output}"))
    }
}

/// What a program writes for this input, once it has ended well.
fn output_of(command: &mut Command, input: String) -> String {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // A program that has ended without reading says why below.
    thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let errors = read(child.stderr.take().unwrap());
    let output = read(stdout).recv_timeout(DEADLINE);
    if output.is_err() {
        child.kill().unwrap();
    }
    let ended = child.wait().unwrap();
    let errors = errors.recv().unwrap();
    assert!(ended.success(), "{command:?}, {ended}:\n{errors}");
    output.unwrap()
}

/// Reads all, beside whatever else goes on.
fn read(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(from.read_to_end(&mut bytes));
        drop(send.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receive
}
