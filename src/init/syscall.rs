//! The system calls of the init, without a C library.
//!
//! Numbers and structures are those of the kernel's `asm/unistd.h` and `uapi` headers; both architectures are 64-bit,
//! so the structures are the same. Calls that aarch64 never had (`open`, `fork`, `mkdir`) are made through their
//! successors (`openat`, `clone`, `mkdirat`).

use super::errno::Errno;
use core::ffi::{CStr, c_char};

/// A file descriptor; closed by [`close`] only, as the init keeps hardly any.
pub type Descriptor = i32;
pub type Pid = i32;

pub const O_RDONLY: usize = 0;
pub const O_RDWR: usize = 2;
pub const O_CLOEXEC: usize = 0o2_000_000;

pub const SIOCADDRT: usize = 0x890b;
pub const SIOCGIFFLAGS: usize = 0x8913;
pub const SIOCSIFFLAGS: usize = 0x8914;
pub const SIOCSIFADDR: usize = 0x8916;
pub const SIOCSIFNETMASK: usize = 0x891c;
pub const TIOCSCTTY: usize = 0x540e;
pub const TIOCSPGRP: usize = 0x5410;
pub const TIOCOUTQ: usize = 0x5411;

const AT_FDCWD: usize = -100isize as usize;
const SIGCHLD: usize = 17;
const SIGTTOU: usize = 22;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const LSEEK: usize = 8;
    pub const MMAP: usize = 9;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const SOCKET: usize = 41;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const SETPGID: usize = 109;
    pub const SETSID: usize = 112;
    pub const SYNC: usize = 162;
    pub const MOUNT: usize = 165;
    pub const REBOOT: usize = 169;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const FACCESSAT: usize = 269;
    pub const DUP3: usize = 292;
    pub const PIPE2: usize = 293;
    pub const FINIT_MODULE: usize = 313;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const DUP3: usize = 24;
    pub const IOCTL: usize = 29;
    pub const MKDIRAT: usize = 34;
    pub const MOUNT: usize = 40;
    pub const FACCESSAT: usize = 48;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const PIPE2: usize = 59;
    pub const LSEEK: usize = 62;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const SYNC: usize = 81;
    pub const EXIT_GROUP: usize = 94;
    pub const NANOSLEEP: usize = 101;
    pub const CLOCK_GETTIME: usize = 113;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const REBOOT: usize = 142;
    pub const SETPGID: usize = 154;
    pub const SETSID: usize = 157;
    pub const GETPID: usize = 172;
    pub const SOCKET: usize = 198;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const MMAP: usize = 222;
    pub const WAIT4: usize = 260;
    pub const FINIT_MODULE: usize = 273;
}

pub fn open(path: &CStr, flags: usize) -> Result<Descriptor, Errno> {
    // SAFETY: the path ends with NUL and outlives the call.
    unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr().expose_provenance(), flags, 0, 0, 0]) }
        .map(|fd| fd as Descriptor)
}

pub fn close(fd: Descriptor) {
    // SAFETY: no memory is involved. Nothing can be done about an error.
    let _ = unsafe { call(number::CLOSE, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// Makes `target` another name of `fd`.
pub fn duplicate(fd: Descriptor, target: Descriptor) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    unsafe { call(number::DUP3, [fd as usize, target as usize, 0, 0, 0, 0]) }.map(drop)
}

/// Reads up to the length of `buffer`; 0 at the end.
pub fn read(fd: Descriptor, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most the buffer's length.
    unsafe { call(number::READ, [fd as usize, buffer.as_mut_ptr().expose_provenance(), buffer.len(), 0, 0, 0]) }
}

/// Writes all of `bytes`, or as much as can be written.
pub fn write(fd: Descriptor, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads at most the length.
        match unsafe { call(number::WRITE, [fd as usize, bytes.as_ptr().expose_provenance(), bytes.len(), 0, 0, 0]) } {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::EINTR) => {}
            _ => return,
        }
    }
}

/// The size of an open file in bytes; its offset is at the start afterwards.
pub fn file_size(fd: Descriptor) -> Result<usize, Errno> {
    const SEEK_SET: usize = 0;
    const SEEK_END: usize = 2;
    // SAFETY: no memory is involved.
    let size = unsafe { call(number::LSEEK, [fd as usize, 0, SEEK_END, 0, 0, 0]) }?;
    // SAFETY: as above.
    unsafe { call(number::LSEEK, [fd as usize, 0, SEEK_SET, 0, 0, 0]) }?;
    Ok(size)
}

/// Memory for `length` values, all bytes zero, that is never given back.
///
/// # Safety
/// All bytes zero must be a valid `T`.
pub unsafe fn allocate_zeroed<T>(length: usize) -> Result<&'static mut [T], Errno> {
    const PROT_READ_WRITE: usize = 1 | 2;
    const MAP_PRIVATE_ANONYMOUS: usize = 2 | 0x20;
    let bytes = length.checked_mul(size_of::<T>()).ok_or(Errno::ENOMEM)?.max(1);
    // SAFETY: a new mapping, which overlaps nothing.
    let address = unsafe { call(number::MMAP, [0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0]) }?;
    // SAFETY: the mapping is as long as the slice, page-aligned, zeroed, nobody else's, and is never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(address), length) })
}

/// Whether `path` leads to a file (`mode` 0) that can be executed (`mode` 1).
pub fn accessible(path: &CStr, mode: usize) -> Result<(), Errno> {
    // SAFETY: the path ends with NUL and outlives the call.
    unsafe { call(number::FACCESSAT, [AT_FDCWD, path.as_ptr().expose_provenance(), mode, 0, 0, 0]) }.map(drop)
}

pub fn make_directory(path: &CStr, mode: usize) -> Result<(), Errno> {
    // SAFETY: the path ends with NUL and outlives the call.
    unsafe { call(number::MKDIRAT, [AT_FDCWD, path.as_ptr().expose_provenance(), mode, 0, 0, 0]) }.map(drop)
}

/// Mounts a file system that needs no device.
pub fn mount(kind: &CStr, directory: &CStr, options: &CStr) -> Result<(), Errno> {
    let [kind, directory, options] = [kind, directory, options].map(|text| text.as_ptr().expose_provenance());
    // SAFETY: the three texts end with NUL and outlive the call.
    unsafe { call(number::MOUNT, [kind, directory, kind, 0, options, 0]) }.map(drop)
}

/// Loads the kernel module in an open file, without parameters.
pub fn load_module(fd: Descriptor) -> Result<(), Errno> {
    // SAFETY: the (empty) parameters end with NUL.
    unsafe { call(number::FINIT_MODULE, [fd as usize, c"".as_ptr().expose_provenance(), 0, 0, 0, 0]) }.map(drop)
}

/// A socket that is only used for `ioctl`.
pub fn ipv4_socket() -> Result<Descriptor, Errno> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | O_CLOEXEC;
    // SAFETY: no memory is involved.
    unsafe { call(number::SOCKET, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]) }.map(|fd| fd as Descriptor)
}

/// An `ioctl` whose argument is a structure.
///
/// # Safety
/// `T` must be the structure that `request` reads or writes.
pub unsafe fn control<T>(fd: Descriptor, request: usize, argument: &mut T) -> Result<(), Errno> {
    let argument = core::ptr::from_mut(argument).expose_provenance();
    // SAFETY: the caller's promise.
    unsafe { call(number::IOCTL, [fd as usize, request, argument, 0, 0, 0]) }.map(drop)
}

/// Makes a terminal the controlling one of this session, even when it is another session's.
pub fn take_terminal(fd: Descriptor) -> Result<(), Errno> {
    // SAFETY: the argument is a number.
    unsafe { call(number::IOCTL, [fd as usize, TIOCSCTTY, 1, 0, 0, 0]) }.map(drop)
}

/// How many bytes a terminal has not sent yet; 0 for what is no terminal.
pub fn unsent_bytes(fd: Descriptor) -> i32 {
    let mut count = 0i32;
    // SAFETY: TIOCOUTQ writes one int.
    let _ = unsafe { control(fd, TIOCOUTQ, &mut count) };
    count
}

pub fn new_session() {
    // SAFETY: no memory is involved. It fails for a process that leads its group: the session is its own already.
    let _ = unsafe { call(number::SETSID, [0; 6]) };
}

/// Puts this process into a process group of its own and makes that the terminal's foreground group.
///
/// A group in the background may only ask for that with SIGTTOU blocked (kernel `tty_check_change`).
pub fn become_foreground(terminal: Descriptor) {
    const SIG_BLOCK: usize = 0;
    const SIG_SETMASK: usize = 2;
    let change_mask = |how, mask: u64| {
        let mask_address = core::ptr::from_ref(&mask).expose_provenance();
        // SAFETY: the mask is as long as the call is told, and outlives it.
        let _ = unsafe { call(number::RT_SIGPROCMASK, [how, mask_address, 0, size_of::<u64>(), 0, 0]) };
    };
    // SAFETY: no memory is involved. Two zeros stand for the caller and for a group with the caller's number.
    let _ = unsafe { call(number::SETPGID, [0; 6]) };
    change_mask(SIG_BLOCK, 1 << (SIGTTOU - 1));
    // SAFETY: no memory is involved.
    let mut group = unsafe { call(number::GETPID, [0; 6]) }.unwrap_or(0) as Pid;
    // SAFETY: TIOCSPGRP reads a process number. Without a controlling terminal there is no foreground to take.
    let _ = unsafe { control(terminal, TIOCSPGRP, &mut group) };
    change_mask(SIG_SETMASK, 0);
}

/// A pipe, reading end first, that no program inherits.
pub fn pipe() -> Result<[Descriptor; 2], Errno> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors.
    unsafe { call(number::PIPE2, [ends.as_mut_ptr().expose_provenance(), O_CLOEXEC, 0, 0, 0, 0]) }?;
    Ok(ends)
}

/// Copies this process; gives 0 in the copy, and its number in the original.
///
/// # Safety
/// The process must have one thread, as the init has.
pub unsafe fn fork() -> Result<Pid, Errno> {
    // SAFETY: without CLONE_VM the copy has its own memory and goes on with its own stack.
    unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) }.map(|pid| pid as Pid)
}

/// Becomes another program; comes back only with an error.
///
/// # Safety
/// `arguments` and `environment` must be null-terminated arrays of NUL-terminated strings.
pub unsafe fn execute(program: &CStr, arguments: *const *const c_char, environment: *const *const c_char) -> Errno {
    // SAFETY: the caller's promise.
    match unsafe {
        call(
            number::EXECVE,
            [
                program.as_ptr().expose_provenance(),
                arguments.expose_provenance(),
                environment.expose_provenance(),
                0,
                0,
                0,
            ],
        )
    } {
        Ok(_) => Errno::EIO,
        Err(error) => error,
    }
}

/// Waits for the end of any child; gives its number and its wait status (wait(2)).
pub fn wait_any() -> Result<(Pid, i32), Errno> {
    let mut status = 0i32;
    let status_address = core::ptr::from_mut(&mut status).expose_provenance();
    // SAFETY: the kernel writes one int.
    let pid = unsafe { call(number::WAIT4, [usize::MAX, status_address, 0, 0, 0, 0]) }?;
    Ok((pid as Pid, status))
}

pub fn sleep_milliseconds(milliseconds: u32) {
    let duration = [i64::from(milliseconds / 1000), i64::from(milliseconds % 1000) * 1_000_000];
    // SAFETY: a timespec is two 64-bit integers.
    let _ = unsafe { call(number::NANOSLEEP, [duration.as_ptr().expose_provenance(), 0, 0, 0, 0, 0]) };
}

/// Milliseconds since some moment in the past.
pub fn monotonic_milliseconds() -> i64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0i64; 2];
    // SAFETY: a timespec is two 64-bit integers. The clock exists, and the call cannot fail otherwise.
    let _ =
        unsafe { call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, time.as_mut_ptr().expose_provenance(), 0, 0, 0, 0]) };
    time[0].saturating_mul(1000).saturating_add(time[1] / 1_000_000)
}

pub fn exit(status: usize) -> ! {
    loop {
        // SAFETY: no memory is involved.
        let _ = unsafe { call(number::EXIT_GROUP, [status, 0, 0, 0, 0, 0]) };
    }
}

/// Writes everything back and switches the machine off; comes back only where that is not allowed, as in a container.
pub fn power_off() {
    const MAGIC: [usize; 2] = [0xfee1_dead, 672_274_793];
    const POWER_OFF: usize = 0x4321_fedc;
    // SAFETY: no memory is involved.
    unsafe {
        let _ = call(number::SYNC, [0; 6]);
        let _ = call(number::REBOOT, [MAGIC[0], MAGIC[1], POWER_OFF, 0, 0, 0]);
    }
}

/// One system call. Numbers from -4095 to -1 are errors (kernel `IS_ERR_VALUE`).
///
/// # Safety
/// The arguments must be what the call of that number expects; memory it writes must be the caller's to change.
#[inline(never)]
unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; `syscall` changes rax, rcx and r11 only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise; `svc 0` changes x0 only.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    match result {
        -4095..=-1 => Err(Errno(result.unsigned_abs() as u16)),
        _ => Ok(result as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_carries_what_is_written_and_ends_when_it_is_closed() {
        let [reader, writer] = pipe().unwrap();
        write(writer, b"four");
        close(writer);
        let mut buffer = [0; 16];
        assert_eq!(read(reader, &mut buffer), Ok(4));
        assert_eq!(&buffer[..4], b"four");
        assert_eq!(read(reader, &mut buffer), Ok(0));
        close(reader);
    }

    #[test]
    fn a_sleep_takes_its_time() {
        let start = monotonic_milliseconds();
        sleep_milliseconds(20);
        assert!((20..10_000).contains(&(monotonic_milliseconds() - start)));
    }

    #[test]
    fn errors_carry_the_kernels_number() {
        assert_eq!(open(c"/no/such/file", O_RDONLY | O_CLOEXEC), Err(Errno::ENOENT));
        assert_eq!(accessible(c"/proc/self/exe/x", 0), Err(Errno(20)));
    }

    #[test]
    fn a_file_is_read_into_new_memory() {
        let fd = open(c"/proc/self/exe", O_RDONLY | O_CLOEXEC).unwrap();
        assert!(file_size(fd).unwrap() > 1000);
        // SAFETY: any byte is a u8.
        let buffer = unsafe { allocate_zeroed::<u8>(5000) }.unwrap();
        assert!(buffer.iter().all(|byte| *byte == 0));
        assert_eq!(read(fd, buffer), Ok(5000));
        assert!(buffer.starts_with(b"\x7fELF"));
        close(fd);
    }
}
