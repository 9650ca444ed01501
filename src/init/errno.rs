//! Error numbers of the kernel (`asm-generic/errno.h`) and the words that people know them by.

/// An error number, such as 2 for "No such file or directory".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    pub const ENOENT: Errno = Errno(2);
    pub const EINTR: Errno = Errno(4);
    pub const EIO: Errno = Errno(5);
    pub const ENOEXEC: Errno = Errno(8);
    pub const ENOMEM: Errno = Errno(12);
    pub const EBUSY: Errno = Errno(16);
    pub const EEXIST: Errno = Errno(17);
    pub const ENODEV: Errno = Errno(19);

    /// The C library's words; `None` for a number that hardly any of the init's calls gives.
    pub fn text(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "Operation not permitted",
            2 => "No such file or directory",
            5 => "Input/output error",
            6 => "No such device or address",
            7 => "Argument list too long",
            8 => "Exec format error",
            11 => "Resource temporarily unavailable",
            12 => "Cannot allocate memory",
            13 => "Permission denied",
            14 => "Bad address",
            16 => "Device or resource busy",
            17 => "File exists",
            19 => "No such device",
            20 => "Not a directory",
            21 => "Is a directory",
            22 => "Invalid argument",
            23 => "Too many open files in system",
            25 => "Inappropriate ioctl for device",
            26 => "Text file busy",
            36 => "File name too long",
            38 => "Function not implemented",
            40 => "Too many levels of symbolic links",
            74 => "Bad message",
            80 => "Accessing a corrupted shared library",
            95 => "Operation not supported",
            97 => "Address family not supported by protocol",
            99 => "Cannot assign requested address",
            101 => "Network is unreachable",
            126 => "Required key not available",
            129 => "Key was rejected by service",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn the_words_are_those_of_the_c_library() {
        for number in 1..=133 {
            if let Some(text) = Errno(number).text() {
                let theirs = std::io::Error::from_raw_os_error(number.into()).to_string();
                assert_eq!(theirs, format!("{text} (os error {number})"));
            }
        }
    }
}
