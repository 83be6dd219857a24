//! Running the real program, and what the tests feed it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// The program under test, in an environment without settings.
pub(crate) fn alive(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alive"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ALIVE")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    alive(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that runs until it is dropped, and then is killed.
pub(crate) struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until a line starts like this, and gives the rest of it.
    pub(crate) fn line(&mut self, start: &str) -> String {
        for line in &mut self.lines {
            if let Some(rest) = line.unwrap().strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
        panic!("the program ended without a line {start:?}: {:?}", self.child.wait());
    }

    /// `SIGTERM`: asks it to stop, and tells how it did.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// Waits for its end, and tells how it ended.
    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// `SIGKILL` on Unix: the program cannot do anything about it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Running {
    /// Sends it a signal, such as `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sample recording.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/media").join(name)
}

/// A port that was free a moment ago, for an address that must stay the same over restarts.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) async fn get(url: &str) -> reqwest::Result<reqwest::Response> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    client.get(url).send().await?.error_for_status()
}

/// The URIs of a playlist, made absolute, and whether it has its end. Nothing while it cannot be had.
pub(crate) async fn playlist(url: &str) -> Option<(Vec<String>, bool)> {
    let text = get(url).await.ok()?.bytes().await.ok()?;
    let list = alive_playlist::MediaPlaylist::read(&text).unwrap();
    let base = reqwest::Url::parse(url).unwrap();
    let uris =
        list.segments().iter().map(|segment| base.join(segment.uri.as_str()).unwrap().into());
    Some((uris.collect(), list.header().ended))
}

/// Whether a program is installed; if not, says loudly that a test is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like one that passed")]
pub(crate) fn has(program: &str, test: &str) -> bool {
    let found = Command::new(program)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED {test}: {program} is not installed");
    }
    found
}
