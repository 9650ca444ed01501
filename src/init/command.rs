//! Starts programs, waits for them and says how they ended.

use super::errno::Errno;
use super::message::{Decimal, say, say_after_output, say_all, say_error};
use super::syscall::{self, O_RDWR, Pid};
use core::ffi::{CStr, c_char};
use core::ptr::null;

/// Where a program without a slash in its name is looked for when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const F_OK: usize = 0;
const X_OK: usize = 1;
/// What a process tells by its exit status when it could not become the program (as a shell does).
const CANNOT_START: usize = 127;

/// A null-terminated array of C strings of fixed capacity: an `argv` or an environment.
pub struct Strings {
    /// Always one more than is used, so that a null pointer follows the last string.
    pointers: &'static mut [*const c_char],
    length: usize,
}

impl Strings {
    pub fn with_capacity(capacity: usize) -> Result<Strings, Errno> {
        let length = capacity.checked_add(1).ok_or(Errno::ENOMEM)?;
        // SAFETY: a pointer of zeros is a null pointer.
        Ok(Strings { pointers: unsafe { syscall::allocate_zeroed(length) }?, length: 0 })
    }

    pub fn clear(&mut self) {
        self.pointers.fill(null());
        self.length = 0;
    }

    /// Appends a string, which is dropped silently beyond the capacity: the caller knows how many there can be.
    pub fn push(&mut self, string: &'static CStr) {
        if self.length + 1 < self.pointers.len()
            && let Some(place) = self.pointers.get_mut(self.length)
        {
            *place = string.as_ptr();
            self.length += 1;
        }
    }

    /// Sets a variable from its `NAME=value`, in the place of an earlier value.
    pub fn set_variable(&mut self, assignment: &'static CStr) {
        let name = assignment.to_bytes().split_inclusive(|byte| *byte == b'=').next().unwrap_or(b"");
        let earlier = self.iter().position(|variable| variable.to_bytes().starts_with(name));
        match earlier.and_then(|index| self.pointers.get_mut(index)) {
            Some(place) => *place = assignment.as_ptr(),
            None => self.push(assignment),
        }
    }

    /// Becomes a copy of `other`.
    pub fn copy_from(&mut self, other: &Strings) {
        self.clear();
        for string in other.iter() {
            self.push(string);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> {
        // SAFETY: the first `length` pointers came from C strings that live for ever.
        self.pointers.iter().take(self.length).map(|pointer| unsafe { CStr::from_ptr(*pointer) })
    }

    fn value(&self, name: &[u8]) -> Option<&'static [u8]> {
        self.iter().find_map(|variable| variable.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// Whether the next command has to wait for this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Foreground,
    Background,
}

/// The programs that run, so that the name of one that fails can be told.
pub struct Supervisor {
    background: &'static mut [Child],
}

/// A program in the background; process 0 stands for a free place.
#[derive(Clone, Copy)]
struct Child {
    process: Pid,
    program: Option<&'static CStr>,
}

impl Supervisor {
    /// Room for `capacity` programs in the background.
    pub fn with_capacity(capacity: usize) -> Result<Supervisor, Errno> {
        // SAFETY: zeros are process 0 and, as a reference is never null, no program.
        Ok(Supervisor { background: unsafe { syscall::allocate_zeroed(capacity) }? })
    }

    /// Starts a program; in the foreground, comes back when it has ended.
    pub fn run(&mut self, arguments: &Strings, environment: &Strings, mode: Mode) {
        let Some(program) = arguments.iter().next() else { return };
        say_command(arguments);
        match start(program, arguments, environment, mode) {
            Err(error) => say_not_started(program, error),
            Ok(process) if mode == Mode::Foreground => self.wait_for(process, program),
            Ok(process) => {
                if let Some(free) = self.background.iter_mut().find(|child| child.process == 0) {
                    *free = Child { process, program: Some(program) };
                }
            }
        }
    }

    /// Waits until every program in the background has ended.
    pub fn wait_for_background(&mut self) {
        while self.background.iter().any(|child| child.process != 0) {
            match syscall::wait_any() {
                Ok((process, status)) => self.ended(process, status),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn wait_for(&mut self, foreground: Pid, program: &'static CStr) {
        loop {
            match syscall::wait_any() {
                Ok((process, status)) if process == foreground => return say_ended(program, status),
                Ok((process, status)) => self.ended(process, status),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Notes the end of a program in the background, or of an orphan that PID 1 inherited, which nobody asks for.
    fn ended(&mut self, process: Pid, status: i32) {
        if let Some(child) = self.background.iter_mut().find(|child| child.process == process) {
            child.process = 0;
            if let Some(program) = child.program {
                say_ended(program, status);
            }
        }
    }
}

/// Starts a program; an error is the one of `execve`, sent back through a pipe that a successful `execve` closes.
fn start(program: &CStr, arguments: &Strings, environment: &Strings, mode: Mode) -> Result<Pid, Errno> {
    let mut buffer = [0; 4096];
    let file = find_program(program, environment, &mut buffer);
    let [reader, writer] = syscall::pipe()?;
    // SAFETY: the init has one thread.
    let process = match unsafe { syscall::fork() } {
        Ok(0) => {
            prepare(mode);
            // SAFETY: both arrays end with a null pointer, and hold C strings.
            let error = unsafe { syscall::execute(file, arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
            syscall::write(writer, &error.0.to_ne_bytes());
            syscall::exit(CANNOT_START)
        }
        outcome => outcome,
    };
    syscall::close(writer);
    let mut error = [0; 2];
    let outcome = match syscall::read(reader, &mut error) {
        Ok(2) => Err(Errno(u16::from_ne_bytes(error))),
        _ => process,
    };
    syscall::close(reader);
    outcome
}

/// In the new process: in the foreground it gets the keyboard and Ctrl-C, in the background neither.
fn prepare(mode: Mode) {
    match mode {
        Mode::Foreground => syscall::become_foreground(0),
        Mode::Background => {
            syscall::new_session();
            if let Ok(null) = syscall::open(c"/dev/null", O_RDWR) {
                let _ = syscall::duplicate(null, 0);
                syscall::close(null);
            }
        }
    }
}

/// The file of a program: itself if it has a slash, else the first executable file of that name in PATH.
fn find_program<'a>(program: &'a CStr, environment: &Strings, buffer: &'a mut [u8; 4096]) -> &'a CStr {
    if program.to_bytes().contains(&b'/') {
        return program;
    }
    let path = environment.value(b"PATH").unwrap_or(DEFAULT_PATH);
    let found = path.split(|byte| *byte == b':').find_map(|directory| {
        let file = join(directory, program, buffer)?;
        syscall::accessible(file, X_OK).ok()?;
        Some(file.to_bytes_with_nul().len())
    });
    found.and_then(|length| CStr::from_bytes_with_nul(buffer.get(..length)?).ok()).unwrap_or(program)
}

fn join<'a>(directory: &[u8], program: &CStr, buffer: &'a mut [u8; 4096]) -> Option<&'a CStr> {
    let parts = [directory, b"/", program.to_bytes_with_nul()];
    let length = parts.iter().map(|part| part.len()).sum();
    let place = buffer.get_mut(..length)?;
    for (to, from) in place.iter_mut().zip(parts.iter().flat_map(|part| part.iter())) {
        *to = *from;
    }
    CStr::from_bytes_with_nul(place).ok()
}

fn say_command(arguments: &Strings) {
    let words = arguments.iter().flat_map(|word| [b" ", word.to_bytes()]);
    say_all(core::iter::once(&b"starting"[..]).chain(words));
}

fn say_not_started(program: &CStr, error: Errno) {
    if error == Errno::ENOENT && syscall::accessible(program, F_OK).is_ok() {
        let missing = b": its interpreter (the PT_INTERP or #! line names it) is missing";
        say(&[b"cannot start ", program.to_bytes(), missing]);
    } else {
        say_error([b"cannot start ", program.to_bytes()], error);
    }
}

/// Says how a program ended, unless all went well. The wait status is taken apart as by wait(2)'s macros.
fn say_ended(program: &CStr, status: i32) {
    let program = program.to_bytes();
    let number = |number: i32| Decimal::new(number.unsigned_abs());
    match (status & 0x7f, status >> 8 & 0xff) {
        (0, 0) => {}
        (0, code) => say_after_output(&[program, b" exited with status ", number(code).digits()]),
        (signal, _) => say_after_output(&[program, b" was ended by signal ", number(signal).digits()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&'static CStr]) -> Strings {
        let mut strings = Strings::with_capacity(8).unwrap();
        words.iter().for_each(|word| strings.set_variable(word));
        strings
    }

    #[test]
    fn a_variable_keeps_its_last_value() {
        let variables = strings(&[c"A=1", c"AB=2", c"A=3", c"B="]);
        assert!(variables.iter().eq([c"A=3", c"AB=2", c"B="]));
        assert_eq!(variables.value(b"AB"), Some(&b"2"[..]));
        assert_eq!(variables.value(b"C"), None);
        let mut copy = strings(&[c"Z=1", c"Y=2", c"X=3", c"W=4"]);
        copy.copy_from(&variables);
        assert!(copy.iter().eq(variables.iter()));
        assert!(copy.pointers[3].is_null());
    }

    #[test]
    fn strings_beyond_the_capacity_leave_the_end_in_place() {
        let mut strings = Strings::with_capacity(1).unwrap();
        strings.push(c"a");
        strings.push(c"b");
        assert!(strings.iter().eq([c"a"]));
        assert!(strings.pointers[1].is_null());
    }

    #[test]
    fn a_bare_name_is_looked_up_in_path_order() {
        let find = |program: &'static CStr, path: &'static CStr| {
            let mut buffer = [0; 4096];
            find_program(program, &strings(&[path]), &mut buffer).to_owned()
        };
        assert_eq!(find(c"sh", c"PATH=/nowhere:/bin").as_c_str(), c"/bin/sh");
        assert!(find(c"sh", c"HOME=/").to_bytes().ends_with(b"/bin/sh"));
        assert_eq!(find(c"no-such-program", c"PATH=/bin").as_c_str(), c"no-such-program");
        assert_eq!(find(c"./sh", c"PATH=/bin").as_c_str(), c"./sh");
    }
}
