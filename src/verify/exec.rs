//! Whether the kernel would start a program, and with which error number not (execve(2); fs/exec.c, fs/binfmt_*.c).
//!
//! A missing interpreter gives the same `ENOENT` as a missing program, which has misled people ever since; here the
//! interpreter's name is kept.

use crate::objects::elf::{ElfError, INTERPRETER, Identity, PROGRAM_HEADERS};
use crate::objects::script::{DEPTH_LIMIT, Script};
use crate::path::{RootPath, escaped};
use crate::resolve::store::{Facts, Store};
use crate::root::{FileKind, LookupError, Root};
use goblin::elf::header::{EM_386, EM_X86_64, ET_DYN, ET_EXEC};

/// An error number with the C library's words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno {
    pub number: i32,
    pub words: &'static str,
}

pub(super) const ENOENT: Errno = Errno { number: 2, words: "No such file or directory" };
const EIO: Errno = Errno { number: 5, words: "Input/output error" };
const ENOEXEC: Errno = Errno { number: 8, words: "Exec format error" };
const EACCES: Errno = Errno { number: 13, words: "Permission denied" };
const ENOTDIR: Errno = Errno { number: 20, words: "Not a directory" };
const ELOOP: Errno = Errno { number: 40, words: "Too many levels of symbolic links" };

/// Why a program does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExecError {
    pub errno: Errno,
    /// The interpreter that is to blame, as `PT_INTERP` or the `#!` line spells it; absent when it is the program itself.
    pub interpreter: Option<String>,
    /// What is wrong, where the words of the number do not say it.
    pub why: Option<String>,
}

/// A program that starts, as far as the kernel is concerned.
#[derive(Debug)]
pub(super) struct Startable {
    /// The files that the kernel looks into on the way: the program, its interpreters, their runtime linker.
    pub files: Vec<RootPath>,
    /// The ELF file that becomes the process: the program, or of a script its interpreter.
    pub process: RootPath,
    /// The name that the process gets, where it is not the one it was started by: a script's interpreter.
    pub name: Option<String>,
}

/// The processors whose programs a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machines {
    Any,
    X86,
}

/// Looks at a program as the kernel does; `spelled` may be relative, the working directory is the root.
pub(super) fn check(
    root: &Root,
    store: &mut Store<'_>,
    spelled: &[u8],
    machines: Machines,
) -> Result<Startable, ExecError> {
    check_file(root, store, spelled, machines, 0)
}

fn check_file(
    root: &Root,
    store: &mut Store<'_>,
    spelled: &[u8],
    machines: Machines,
    depth: usize,
) -> Result<Startable, ExecError> {
    let found = root.lookup_spelled(spelled).map_err(|error| ExecError::new(errno_of(&error)))?;
    if found.info.kind != FileKind::File || found.info.mode & 0o111 == 0 {
        let why = (found.info.kind == FileKind::File).then(|| format!("it has mode {:04o}", found.info.mode));
        return Err(ExecError { why, ..ExecError::new(EACCES) });
    }
    let id = store.read(&found);
    match &store.object(id).facts {
        Facts::Elf(elf) => {
            check_identity(elf.identity, machines)?;
            let mut files = vec![found.path.clone()];
            if let Some(linker) = elf.interpreter.clone() {
                let linker = check_file(root, store, &linker, machines, depth).map_err(|e| e.blame(&linker))?;
                files.extend(linker.files);
            }
            Ok(Startable { files, process: found.path, name: None })
        }
        Facts::Script(head) => {
            let script = Script::parse(head).map_err(|error| not_executable(error.to_string()))?;
            let interpreter = script.interpreter.to_vec();
            if depth >= DEPTH_LIMIT {
                return Err(ExecError::new(ELOOP));
            }
            let mut startable =
                check_file(root, store, &interpreter, machines, depth + 1).map_err(|e| e.blame(&interpreter))?;
            startable.files.push(found.path);
            startable.name.get_or_insert_with(|| escaped(&interpreter).to_string());
            Ok(startable)
        }
        Facts::Damaged(error @ ElfError::OutOfRange { field: INTERPRETER }) => {
            Err(ExecError { why: Some(error.to_string()), ..ExecError::new(EIO) })
        }
        // The kernel looks at nothing else; the runtime linker, or the program, does not get far.
        Facts::Damaged(ElfError::OutOfRange { field } | ElfError::Zeros { field }) if *field != PROGRAM_HEADERS => {
            Ok(Startable { files: vec![found.path.clone()], process: found.path, name: None })
        }
        Facts::Damaged(error) => Err(not_executable(error.to_string())),
        Facts::Data => Err(not_executable("it is neither ELF nor a `#!` script".to_owned())),
        Facts::Unreadable(why) => Err(ExecError { why: Some(why.clone()), ..ExecError::new(EIO) }),
    }
}

fn check_identity(identity: Identity, machines: Machines) -> Result<(), ExecError> {
    if !matches!(identity.file_type, ET_EXEC | ET_DYN) {
        return Err(not_executable("it is an object file or a core".to_owned()));
    }
    if machines == Machines::X86 && !matches!(identity.machine, EM_X86_64 | EM_386) {
        return Err(not_executable(format!("it is for another processor, number {} in ELF", identity.machine)));
    }
    Ok(())
}

fn not_executable(why: String) -> ExecError {
    ExecError { why: Some(why), ..ExecError::new(ENOEXEC) }
}

fn errno_of(error: &LookupError) -> Errno {
    match error {
        LookupError::NotFound(_) | LookupError::Dangling { .. } => ENOENT,
        LookupError::NotADirectory(_) => ENOTDIR,
        LookupError::Loop(_) => ELOOP,
        LookupError::Io { .. } => EIO,
    }
}

impl ExecError {
    fn new(errno: Errno) -> ExecError {
        ExecError { errno, interpreter: None, why: None }
    }

    /// The error of an interpreter is that of the program; the innermost one is to blame.
    fn blame(mut self, interpreter: &[u8]) -> ExecError {
        self.interpreter.get_or_insert_with(|| escaped(interpreter).to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::elf::SymbolScan;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn errors_are_those_of_execve() {
        let host = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8], mode| {
            fs::write(host.path().join(name), bytes).unwrap();
            fs::set_permissions(host.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        file("plain", b"echo\n", 0o755);
        file("closed", b"#!/sh\n", 0o644);
        file("lost", b"#!/no/sh -e\n", 0o755);
        file("empty", b"#!\n", 0o755);
        file("twice", b"#!/lost\n", 0o755);
        file("self", b"#!/self\n", 0o755);
        file("broken", b"\x7fELF\x02\x01\x01", 0o755);
        symlink("loop", host.path().join("loop")).unwrap();
        symlink("nowhere", host.path().join("dangling")).unwrap();
        fs::create_dir(host.path().join("dir")).unwrap();
        let root = Root::open(host.path()).unwrap();
        let scan = SymbolScan::default();
        for (program, number, interpreter) in [
            ("/missing", 2, None),
            ("/dangling", 2, None),
            ("/lost", 2, Some("/no/sh")),
            ("/twice", 2, Some("/no/sh")),
            ("/plain", 8, None),
            ("/empty", 8, None),
            ("/broken", 8, None),
            ("/closed", 13, None),
            ("/dir", 13, None),
            ("/plain/x", 20, None),
            ("/loop", 40, None),
            ("/self", 40, Some("/self")),
        ] {
            let mut store = Store::new(&root, &scan);
            let error = check(&root, &mut store, program.as_bytes(), Machines::Any).unwrap_err();
            assert_eq!((error.errno.number, error.interpreter.as_deref()), (number, interpreter), "{program}");
        }
    }
}
