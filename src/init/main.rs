//! The crate root of the image's init: what a freestanding program has instead of a standard library.
//!
//! `build.rs` compiles this file by itself, outside of cargo. Everything else of the init is in modules that the
//! library's tests compile too, so that the linter and the tests see them.

#![no_std]
#![no_main]
#![forbid(unsafe_op_in_unsafe_fn)]

mod command;
mod errno;
mod message;
mod network;
mod plan;
mod run;
mod syscall;
mod system;

/// The kernel starts here, with a stack; its arguments are of no interest.
extern "C" fn start() -> ! {
    run::run()
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    start = sym start,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "b {start}",
    start = sym start,
);

/// The end of PID 1 is a kernel panic, which is what a bug here deserves.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    message::say(&[b"internal error in /init"]);
    syscall::exit(1)
}

// The compiler calls these functions by name. Volatile accesses keep it from turning the loops into calls of themselves; the
// init only copies short strings, so that they are slow does not matter.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for offset in 0..length {
        // SAFETY: the caller promises `length` bytes at both places.
        unsafe { to.add(offset).write_volatile(from.add(offset).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: as for memcpy; going up is right when the bytes move down.
        return unsafe { memcpy(to, from, length) };
    }
    for offset in (0..length).rev() {
        // SAFETY: as for memcpy.
        unsafe { to.add(offset).write_volatile(from.add(offset).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for offset in 0..length {
        // SAFETY: the caller promises `length` bytes.
        unsafe { to.add(offset).write_volatile(byte as u8) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for offset in 0..length {
        // SAFETY: the caller promises `length` bytes at both places.
        let (left, right) = unsafe { (left.add(offset).read_volatile(), right.add(offset).read_volatile()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// The compiler's name for a `memcmp` of which only zero matters.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: the same promise.
    unsafe { memcmp(left, right, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller promises a NUL byte.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
