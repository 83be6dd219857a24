//! Programs that others wrote, for tests against them: packages of npm and `PyPI`, installed into a folder of the build.
//!
//! Nothing of them is in the sources but lock files with the hash of every package; npm and pip refuse what does not have it.
//! What is installed stays until a lock file changes, so a second run needs no network. It is for tests: what fails, panics.

#![expect(clippy::panic, clippy::unwrap_used, reason = "it serves tests alone")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// How often an installation is tried: registries have bad moments.
const ATTEMPTS: u64 = 3;

/// Copies the files of `sources`, among them `package-lock.json`, to `folder` and installs their packages there, without the
/// scripts that packages bring along. Gives `folder`.
///
/// # Panics
/// If Node.js or npm is missing or a package cannot be installed.
pub fn npm(sources: &Path, folder: PathBuf) -> PathBuf {
    install(sources, folder, "package-lock.json", |folder| {
        run(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(folder));
    })
}

/// Copies the files of `sources`, among them `requirements.txt`, to `folder`, makes a Python of its own in `venv` there, and
/// installs with it: once for each list of arguments, only packages that are built, with a known hash, and none that is not
/// named. Gives `folder`.
///
/// # Panics
/// If Python 3 is missing or a package cannot be installed.
pub fn pip(sources: &Path, folder: PathBuf, installs: &[&[&str]]) -> PathBuf {
    install(sources, folder, "requirements.txt", |folder| {
        let venv = folder.join("venv");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        for arguments in installs {
            let mut pip = Command::new(venv.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            pip.args(["--require-hashes", "--no-deps", "--only-binary=:all:"]).args(*arguments);
            run(pip.current_dir(folder));
        }
    })
}

/// Copies the sources, and installs their packages unless those of the same lock file are there.
fn install(
    sources: &Path,
    folder: PathBuf,
    lock_file: &str,
    install: impl FnOnce(&Path),
) -> PathBuf {
    fs::create_dir_all(&folder).unwrap();
    // One process at a time: tests of several crates and of other work trees may share the folder.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    for file in fs::read_dir(sources).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    let (wanted, done) = (fs::read(sources.join(lock_file)).unwrap(), folder.join("installed"));
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    install(&folder);
    fs::write(done, wanted).unwrap();
    folder
}

fn run(command: &mut Command) {
    for attempt in 1..=ATTEMPTS {
        let output = command.output();
        match &output {
            Ok(output) if output.status.success() => return,
            _ if attempt < ATTEMPTS => thread::sleep(Duration::from_secs(5 * attempt)),
            Ok(output) => panic!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_when_their_lock_file_changes() {
        let [sources, build] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let folder = build.path().join("of/packages");
        let mut installed = 0;
        let mut ready = |text: &str| {
            fs::write(sources.path().join("lock.json"), text).unwrap();
            let given = install(sources.path(), folder.clone(), "lock.json", |at| {
                assert_eq!(fs::read_to_string(at.join("lock.json")).unwrap(), text);
                installed += 1;
            });
            assert_eq!(given, folder);
            installed
        };
        assert_eq!([ready("one"), ready("one"), ready("two"), ready("one")], [1, 1, 2, 3]);
    }

    #[test]
    fn an_installation_that_was_cut_short_is_made_again() {
        let [sources, build] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        fs::write(sources.path().join("lock.json"), "").unwrap();
        let folder = || build.path().to_owned();
        let cut = || install(sources.path(), folder(), "lock.json", |_| panic!("cut short"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(cut)).is_err());
        let mut again = false;
        install(sources.path(), folder(), "lock.json", |_| again = true);
        assert!(again);
    }
}
