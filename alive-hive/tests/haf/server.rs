//! A PostgreSQL server of a test's own: a folder, and a Unix socket; a port only where its options say so.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A running server with an empty database. It is stopped and its folder removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    programs: PathBuf,
    /// The server refuses to run as root.
    user: Option<(u32, u32)>,
    /// Further options of the server's command line.
    options: String,
}

impl Server {
    /// Makes a folder and starts a server in it.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// The same with further options, which win.
    pub(crate) fn start_with(options: &str) -> Self {
        Self::start_after(|_| options.to_owned())
    }

    /// The same, the options being made after the folder, which may get files that only the server can read.
    pub(crate) fn start_after(prepare: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::Builder::new().prefix("haf-").tempdir().unwrap();
        let user =
            (id("-u", None) == 0).then(|| (id("-u", Some("nobody")), id("-g", Some("nobody"))));
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let options = prepare(folder.path());
        if let Some((user, group)) = user {
            for file in fs::read_dir(folder.path()).unwrap() {
                chown(file.unwrap().path(), Some(user), Some(group)).unwrap();
            }
        }
        let server = Self { folder, programs: programs(), user, options };
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "haf", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        server.start_again();
        server
    }

    /// Starts a server that was stopped.
    pub(crate) fn start_again(&self) {
        let log = self.path("log");
        let (folder, more) = (self.folder.path().display(), &self.options);
        let options = format!("-k {folder} -c listen_addresses='' -c fsync=off {more}");
        self.run("pg_ctl", &["start", "-w", "-D", &self.data(), "-l", &log, "-o", &options]);
    }

    /// Stops it as a crash does: connections break, what was committed stays.
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }

    /// How to connect to it.
    pub(crate) fn address(&self) -> String {
        format!("host={} user=haf dbname=postgres", self.folder.path().display())
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // The server keeps what it inherits, and who waits for the output's end would wait for the server's.
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn run(&self, program: &str, args: &[&str]) {
        let status = self.command(program, args).status().unwrap();
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(status.success(), "{program} {args:?}: {status}\n{}", log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data()]).status();
    }
}

/// The folder of the server's programs, which is not in the path on Debian.
fn programs() -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has_server = |folder: &PathBuf| Path::new(folder).join("initdb").exists();
    folders
        .into_iter()
        .find(has_server)
        .expect("these tests need PostgreSQL 14 or newer: initdb is not there")
}

fn id(flag: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(flag).args(user).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
