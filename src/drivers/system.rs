//! `/etc/system` and the files of `/etc/system.d`: settings of the kernel and its modules (system(5)).
//!
//! The kernel reads `/etc/system.d/.self-assembly`, which bootadm(8) joins from the other files of that directory, and
//! then `/etc/system`. A `*` begins a comment, as `#` does.

use super::lex::{Lexer, Token, TokenKind};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemCommand {
    /// The module search path, in order.
    ModuleDirectories(Vec<String>),
    /// A module that must not be loaded, such as `drv/ohci`.
    Exclude(String),
    /// Accepted and without effect.
    Include(String),
    /// A module to load at boot; `drv/NAME` attaches the driver too.
    ForceLoad(String),
    RootDevice(String),
    RootFileSystem(String),
    SwapDevice(String),
    SwapFileSystem(String),
    /// `set [module:]variable = value`.
    Set(Setting),
}

/// A variable that is set, with `=`, or changed, with `&` and `|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `None` for the kernel itself.
    pub module: Option<String>,
    pub variable: String,
    pub operator: char,
    /// As it is written, without quotes.
    pub value: String,
    /// 32 and 64 for `set32` and `set64`, which the other kind of kernel ignores.
    pub bits: Option<u8>,
}

impl SystemCommand {
    /// The module that is loaded or set, without its namespace: `ohci` for `drv/ohci`.
    pub fn module(&self) -> Option<&str> {
        match self {
            SystemCommand::Exclude(module) | SystemCommand::Include(module) | SystemCommand::ForceLoad(module) => {
                module.rsplit('/').next()
            }
            SystemCommand::Set(setting) => setting.module.as_deref(),
            _ => None,
        }
    }

    /// Whether the command loads or keeps out a module that is no driver, as `forceload: misc/x` does.
    pub fn is_other_namespace(&self) -> bool {
        match self {
            SystemCommand::Exclude(module) | SystemCommand::Include(module) | SystemCommand::ForceLoad(module) => {
                module.rsplit_once('/').is_some_and(|(namespace, _)| namespace.rsplit('/').next() != Some("drv"))
            }
            _ => false,
        }
    }
}

pub(super) fn read_line(line: &str) -> Result<Option<SystemCommand>, String> {
    let mut lexer = Lexer::new(line, 1);
    let command = match lexer.next().map(|token| token.kind) {
        None | Some(TokenKind::Mark('*')) => return Ok(None),
        Some(TokenKind::Name(command)) => command,
        Some(other) => return Err(format!("{} where a command should be", other.shown())),
    };
    // The kernel knows each command in capitals and in small letters, and no mixture.
    let known = if command.chars().any(|c| c.is_ascii_lowercase()) { &command } else { &command.to_ascii_lowercase() };
    match &known[..] {
        "moddir" => {
            module_directories(&mut lexer).map(|directories| Some(SystemCommand::ModuleDirectories(directories)))
        }
        "exclude" => word(&mut lexer, SystemCommand::Exclude),
        "include" => word(&mut lexer, SystemCommand::Include),
        "forceload" => word(&mut lexer, SystemCommand::ForceLoad),
        "rootdev" => word(&mut lexer, SystemCommand::RootDevice),
        "rootfs" => word(&mut lexer, SystemCommand::RootFileSystem),
        "swapdev" => word(&mut lexer, SystemCommand::SwapDevice),
        "swapfs" => word(&mut lexer, SystemCommand::SwapFileSystem),
        "set" => setting(&mut lexer, None),
        "set32" => setting(&mut lexer, Some(32)),
        "set64" => setting(&mut lexer, Some(64)),
        _ => Err(format!("the command `{command}` is not known")),
    }
}

fn colon(lexer: &mut Lexer<'_>) -> Result<(), String> {
    match lexer.next().map(|token| token.kind) {
        Some(TokenKind::Mark(':')) => Ok(()),
        _ => Err("a colon must follow the command".to_owned()),
    }
}

fn word(lexer: &mut Lexer<'_>, command: fn(String) -> SystemCommand) -> Result<Option<SystemCommand>, String> {
    colon(lexer)?;
    let word = lexer.raw_word();
    if word.is_empty() {
        return Err("the command has no value".to_owned());
    }
    end(lexer.next())?;
    Ok(Some(command(word)))
}

fn module_directories(lexer: &mut Lexer<'_>) -> Result<Vec<String>, String> {
    colon(lexer)?;
    let text = lexer.raw_line();
    let directories: Vec<String> =
        text.split([' ', '\t', ':']).filter(|directory| !directory.is_empty()).map(str::to_owned).collect();
    if directories.is_empty() { Err("the command has no value".to_owned()) } else { Ok(directories) }
}

fn setting(lexer: &mut Lexer<'_>, bits: Option<u8>) -> Result<Option<SystemCommand>, String> {
    let mut next = || lexer.next().map(|token| token.kind);
    let Some(TokenKind::Name(mut variable)) = next() else { return Err("no variable to set".to_owned()) };
    let mut module = None;
    let mut operator = next();
    if operator == Some(TokenKind::Mark(':')) {
        module = Some(variable);
        let Some(TokenKind::Name(name)) = next() else { return Err("no variable to set".to_owned()) };
        variable = name;
        operator = next();
    }
    let Some(TokenKind::Mark(operator @ ('=' | '&' | '|'))) = operator else {
        return Err(format!("no operator after `{variable}`"));
    };
    let value = match next() {
        Some(TokenKind::Number(value, _)) => value,
        Some(TokenKind::Text(value)) if operator == '=' => value,
        Some(other) => return Err(format!("{} is no value for `{variable}`", other.shown())),
        None => return Err(format!("no value for `{variable}`")),
    };
    end(lexer.next())?;
    Ok(Some(SystemCommand::Set(Setting { module, variable, operator, value, bits })))
}

/// Nothing but a comment may follow a command.
fn end(token: Option<Token>) -> Result<(), String> {
    match token.map(|token| token.kind) {
        None | Some(TokenKind::Mark('*')) => Ok(()),
        Some(extra) => Err(format!("{} after the command", extra.shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(module: Option<&str>, variable: &str, operator: char, value: &str, bits: Option<u8>) -> SystemCommand {
        let (module, variable) = (module.map(str::to_owned), variable.to_owned());
        SystemCommand::Set(Setting { module, variable, operator, value: value.to_owned(), bits })
    }

    #[test]
    fn commands_are_read_in_both_spellings() {
        let text = str::to_owned;
        for (line, expected) in [
            ("exclude: drv/ohci", SystemCommand::Exclude(text("drv/ohci"))),
            ("FORCELOAD : fs/zfs * comment", SystemCommand::ForceLoad(text("fs/zfs"))),
            ("rootdev:/devices/pci@0,0:a", SystemCommand::RootDevice(text("/devices/pci@0,0:a"))),
            ("rootfs:ufs", SystemCommand::RootFileSystem(text("ufs"))),
            (
                "moddir: /kernel /usr/kernel:/x",
                SystemCommand::ModuleDirectories(vec![text("/kernel"), text("/usr/kernel"), text("/x")]),
            ),
        ] {
            assert_eq!(read_line(line), Ok(Some(expected)), "{line:?}");
        }
    }

    #[test]
    fn settings_have_modules_operators_and_values() {
        for (line, expected) in [
            ("set maxusers=40", set(None, "maxusers", '=', "40", None)),
            ("set zfs:zfs_arc_max = 0x10000000", set(Some("zfs"), "zfs_arc_max", '=', "0x10000000", None)),
            ("set64 pcplusmp:apic_x & ~1", set(Some("pcplusmp"), "apic_x", '&', "~1", Some(64))),
            ("set s = \"text here\" # comment", set(None, "s", '=', "text here", None)),
        ] {
            assert_eq!(read_line(line), Ok(Some(expected)), "{line:?}");
        }
    }

    #[test]
    fn comments_say_nothing() {
        for line in ["", "* set x=1", "# set x=1", "  * x", "** \""] {
            assert_eq!(read_line(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn what_the_kernel_would_warn_about_is_named() {
        for (line, expected) in [
            ("Exclude: x", "the command `Exclude` is not known"),
            ("exclude drv/x", "a colon must follow the command"),
            ("exclude:", "the command has no value"),
            ("exclude: a b", "`b` after the command"),
            ("moddir:", "the command has no value"),
            ("set", "no variable to set"),
            ("set x", "no operator after `x`"),
            ("set a:=1", "no variable to set"),
            ("set x=", "no value for `x`"),
            ("set x|\"y\"", "`y` is no value for `x`"),
            ("set x=1 2", "`2` after the command"),
            ("=1", "`=` where a command should be"),
        ] {
            assert_eq!(read_line(line).unwrap_err(), expected, "{line:?}");
        }
    }

    #[test]
    fn the_module_is_named_without_its_namespace() {
        let module = |line: &str| read_line(line).unwrap().unwrap().module().map(str::to_owned);
        assert_eq!(module("forceload: drv/sd").as_deref(), Some("sd"));
        assert_eq!(module("set sd:x=1").as_deref(), Some("sd"));
        assert_eq!(module("set x=1"), None);
        assert!(read_line("forceload: misc/sd").unwrap().unwrap().is_other_namespace());
        assert!(!read_line("forceload: drv/sd").unwrap().unwrap().is_other_namespace());
    }
}
