//! Modules of PHP: the links in `/etc/php/VERSION/SAPI/conf.d` that phpenmod(8) makes.
//!
//! A module's package asks for `php_invoke enmod VERSION ALL MODULE`. The link is named after the priority that the
//! module's file gives in a comment, for every SAPI that is there, whichever was installed first.

use super::filling::Filling;
use super::script::{Command, is_file_name};
use crate::fetch::error::FetchError;
use crate::fetch::member::Member;
use crate::path::RootPath;

/// For a module whose file gives none (`get_priority` in php-common's php-helper).
const PRIORITY: &str = "20";

/// Makes the links that a command of a package, given by index, asks for; how many.
///
/// # Errors
/// [`FetchError::Read`] of a staged file.
pub fn enable(filling: &mut Filling<'_>, package: usize, command: &Command) -> Result<usize, FetchError> {
    let words = command.literal();
    let Some(["php_invoke", "enmod", version, wanted, module]) = words.as_deref() else { return Ok(0) };
    if ![version, wanted, module].iter().all(|name| is_file_name(name)) {
        return Ok(0);
    }
    let etc = path("/etc/php").join(version.as_bytes());
    let file = etc.join(b"mods-available").join(format!("{module}.ini").as_bytes());
    let Some((_, text)) = filling.read(&file)? else { return Ok(0) };
    let text = String::from_utf8_lossy(&text);
    let name = format!("{}-{module}.ini", priority(&text));
    let sapis = filling.below(&path("/usr/lib/php").join(version.as_bytes()).join(b"sapi"));
    let mut made = 0;
    for sapi in sapis.iter().map(RootPath::file_name).filter(|sapi| *wanted == "ALL" || wanted.as_bytes() == *sapi) {
        let directory = etc.join(sapi).join(b"conf.d");
        if filling.exists(&directory) {
            let link = Member::symlink(directory.join(name.as_bytes()), file.as_bytes());
            made += usize::from(filling.make(package, link));
        }
    }
    Ok(made)
}

/// `; priority=10`; the number stays text, since it becomes part of a name.
fn priority<'t>(text: &'t str) -> &'t str {
    let value = |line: &'t str| {
        let (key, value) = line.strip_prefix(';')?.split_once('=')?;
        let value = value.trim();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        (key.trim() == "priority" && is_number).then_some(value)
    };
    text.lines().find_map(value).unwrap_or(PRIORITY)
}

fn path(text: &str) -> RootPath {
    RootPath::new(text).expect("a constant")
}
