//! Configuration files that a script copies into place when they are not there: `cp` and ucf(1).
//!
//! That is how `/etc/nsswitch.conf` (libc-bin), `/etc/passwd` and `/etc/group` (base-passwd), `/etc/profile` (base-files)
//! and `php.ini` come about.

use super::filling::Filling;
use super::script::Command;
use crate::fetch::error::FetchError;
use crate::fetch::member::{Content, Member, MemberKind};
use crate::path::RootPath;

/// Makes the copy that a command would make for a package, given by index; whether it could.
///
/// # Errors
/// [`FetchError::Read`] of a staged file.
pub fn make(filling: &mut Filling<'_>, package: usize, command: &Command) -> Result<bool, FetchError> {
    // A copy that only may be made would hide that the file is missing.
    let Some(words) = command.literal().filter(|_| command.certain) else { return Ok(false) };
    // All options of these two that packages use take no value.
    let operands: Vec<_> = words[1..].iter().filter(|word| !word.starts_with('-')).collect();
    let [source, target] = operands[..] else { return Ok(false) };
    let (Ok(source), Ok(target)) = (RootPath::new(source), RootPath::new(target)) else { return Ok(false) };
    let Some((origin, bytes)) = filling.read(&source)? else { return Ok(false) };
    let Member { mode, uid, gid, mtime, .. } = filling.packages[origin.package].members[origin.member];
    let kind = MemberKind::File(Content::Bytes(bytes));
    Ok(filling.make(package, Member { path: target, kind, mode, uid, gid, mtime }))
}
