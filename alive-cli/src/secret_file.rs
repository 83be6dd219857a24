//! Secrets that the program makes itself: a file that only its owner can read.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

/// Reads a secret, or makes it on the first start. A file that others can read is refused: what was in it may be known.
///
/// The file is whole or not there, however the program ends.
pub(crate) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> anyhow::Result<Zeroizing<String>>,
) -> anyhow::Result<Zeroizing<String>> {
    read_or_make_at(path, make).with_context(|| format!("secret file {}", path.display()))
}

/// Reads a secret that must be there, under the same rule.
pub(crate) fn read_existing(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let secret = read(path).and_then(|secret| secret.context("there is no such file"));
    secret.with_context(|| format!("secret file {}", path.display()))
}

fn read_or_make_at(
    path: &Path,
    make: impl FnOnce() -> anyhow::Result<Zeroizing<String>>,
) -> anyhow::Result<Zeroizing<String>> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    write_new(path, &make()?)?;
    // Read again: another process may have been first.
    read(path)?.context("it was taken away while it was made")
}

fn read(path: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
    match std::fs::read_to_string(path) {
        Ok(secret) => {
            let secret = Zeroizing::new(secret);
            check_owner_only(path)?;
            Ok(Some(secret))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the file unless somebody else has.
fn write_new(path: &Path, secret: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(secret.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error.into()),
    }
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(unix)]
fn check_owner_only(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    let others = mode & 0o077;
    ensure!(
        others == 0,
        "others can read it (mode {:o}); make it anew, or `chmod 600` it if nobody has",
        mode & 0o777
    );
    Ok(())
}

#[cfg(not(unix))]
fn check_owner_only(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert_eq!(*read_or_make(&path, || Ok(secret("one"))).unwrap(), "one");
        assert_eq!(*read_or_make(&path, || panic!("it is there")).unwrap(), "one");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hush").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        for error in [read_or_make(&path, || Ok(secret("new"))), read_existing(&path)] {
            let text = format!("{:#}", error.unwrap_err());
            assert!(text.contains("mode 640") && !text.contains("hush"), "{text}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "hush");
    }

    #[test]
    fn a_secret_that_must_be_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(read_existing(&path).unwrap_err().to_string().contains("secret file"));
        assert!(!path.exists());
        write_new(&path, "hush").unwrap();
        assert_eq!(*read_existing(&path).unwrap(), "hush");
    }

    #[test]
    fn who_comes_second_takes_the_secret_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let taken = read_or_make(&path, || {
            write_new(&path, "first")?;
            Ok(secret("second"))
        });
        assert_eq!(*taken.unwrap(), "first");
    }
}
