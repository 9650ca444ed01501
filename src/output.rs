//! Files and directories that get their name when they are complete, so that nothing half-written ever has it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use tempfile::{NamedTempFile, TempDir};

/// What the names of unfinished files and directories begin with.
const PREFIX: &str = ".minroot-";

/// The directory a file is in; `.` for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether there is a device, a pipe or a directory at `path`, which a new file should not take the place of.
pub fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file())
}

/// A new file beside `path`, readable as the umask says. It vanishes with the value unless [`finish`] gives it its name.
///
/// # Errors
/// The system's own, without the random name of the new file in it, which would tell a user nothing. Something at
/// `path` that is no regular file, such as a disk: it would be replaced, not written to.
pub fn begin(path: &Path) -> io::Result<NamedTempFile> {
    if is_no_file(path) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there now is not a regular file"));
    }
    // Not `tempfile_in`: it makes the file for the owner only, and puts the random name into errors.
    tempfile::Builder::new()
        .prefix(PREFIX)
        .make_in(directory_of(path), |new| File::options().read(true).write(true).create_new(true).open(new))
}

/// Gives the file its name; one that was there is replaced.
///
/// # Errors
/// The system's; the new file is gone then.
pub fn finish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A new directory beside `path`, open to its owner only. It vanishes with the value unless [`finish_directory`] gives it
/// its name.
///
/// # Errors
/// The system's own; something at `path` that is no empty directory.
pub fn begin_directory(path: &Path) -> io::Result<TempDir> {
    let is_empty = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    if !is_empty {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory_of(path))
}

/// Gives the directory its name; an empty one that was there is replaced.
///
/// # Errors
/// The system's; the new directory is gone then.
pub fn finish_directory(directory: TempDir, path: &Path) -> io::Result<()> {
    fs::rename(directory.path(), path)?;
    let _ = directory.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_has_its_name_only_when_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut file = begin(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        finish(file, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        drop(begin(&path).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_takes_the_place_of_an_empty_one_only() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tree");
        fs::create_dir(&path).unwrap();
        let begun = begin_directory(&path).unwrap();
        fs::write(begun.path().join("file"), "new").unwrap();
        finish_directory(begun, &path).unwrap();
        assert_eq!(fs::read(path.join("file")).unwrap(), b"new");
        assert_eq!(begin_directory(&path).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(begin_directory(&path.join("file")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_do_not_name_the_temporary_file() {
        let error = begin(Path::new("/nonexistent/file")).unwrap_err();
        assert_eq!(error.to_string(), "No such file or directory (os error 2)");
    }

    #[test]
    fn a_device_is_not_replaced() {
        assert!(is_no_file(Path::new("/dev/null")) && begin(Path::new("/dev/null")).is_err());
        assert!(!is_no_file(Path::new("/nonexistent")));
    }
}
