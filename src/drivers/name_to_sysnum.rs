//! `/etc/name_to_sysnum`: system calls that are modules of their own (`kernel/sys`), and their numbers.
//!
//! No driver is named in it, so it is never trimmed; the kernel panics when the file is missing.

/// `call number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCall {
    /// The module's name below `kernel/sys`, where the call is not part of the kernel.
    pub name: String,
    pub number: u32,
}

pub(super) fn read_line(line: &str) -> Result<Option<SystemCall>, String> {
    Ok(super::name_to_major::binding(line)?.map(|(name, number)| SystemCall { name, number }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_call_and_its_number() {
        assert_eq!(read_line("doorfs\t\t201").unwrap(), Some(SystemCall { name: "doorfs".to_owned(), number: 201 }));
        assert_eq!(read_line("#").unwrap(), None);
        assert!(read_line("doorfs x").is_err());
    }
}
