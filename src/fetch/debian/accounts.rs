//! System accounts: what `adduser --system`, `addgroup --system`, `groupadd` and systemd-sysusers(8) add to `/etc/passwd`
//! and `/etc/group`.
//!
//! A number that the package does not ask for is the first that is free from 100 on, as with adduser(8); on a machine it
//! depends on what was installed before. `/etc/shadow` is not made: accounts get `*` in the place of a password, as
//! base-passwd's own have, and nobody can log in with that.

use super::filling::Filling;
use super::script::Command;
use crate::fetch::error::FetchError;
use crate::fetch::illumos::accounts::{has_line, numbers};
use crate::fetch::illumos::add_line;
use crate::fetch::member::{Content, MemberKind};
use crate::path::RootPath;
use std::collections::HashMap;

/// Commands for [`Accounts::run`]; useradd(8) is known, and not understood.
pub const COMMANDS: [&str; 5] = ["adduser", "addgroup", "groupadd", "systemd-sysusers", "useradd"];

/// `FIRST_SYSTEM_UID` and `LAST_SYSTEM_UID` of adduser.conf(5).
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=999;
const NOLOGIN: &str = "/usr/sbin/nologin";
const NOBODY: u32 = 65534;
/// Where sysusers.d(5) has files of packages.
const SYSUSERS: &str = "/usr/lib/sysusers.d";

/// `/etc/passwd` and `/etc/group` while they grow.
pub struct Accounts {
    passwd: String,
    group: String,
}

/// What a user is made with; empty strings where nothing was said.
#[derive(Default)]
struct User<'a> {
    name: &'a str,
    uid: Option<u32>,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl Accounts {
    /// The files as they are; `None` when the root has none, that is no base-passwd.
    ///
    /// # Errors
    /// [`FetchError::Read`] of a staged file.
    pub fn load(filling: &Filling<'_>) -> Result<Option<Accounts>, FetchError> {
        let text = |path: &str| {
            let found = filling.read(&RootPath::new(path).expect("a constant"))?;
            Ok(found.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let (passwd, group) = (text("/etc/passwd")?, text("/etc/group")?);
        Ok(passwd.zip(group).map(|(passwd, group)| Accounts { passwd, group }))
    }

    /// Puts the files back.
    ///
    /// # Errors
    /// [`FetchError::Read`] of a staged file.
    pub fn store(self, filling: &mut Filling<'_>) -> Result<(), FetchError> {
        for (path, text) in [("/etc/passwd", self.passwd), ("/etc/group", self.group)] {
            if let Some((origin, old)) = filling.read(&RootPath::new(path).expect("a constant"))?
                && old != text.as_bytes()
            {
                let member = &mut filling.packages[origin.package].members[origin.member];
                member.kind = MemberKind::File(Content::Bytes(text.into_bytes()));
            }
        }
        Ok(())
    }

    /// Does what a command would do; whether it could be read, and what it needs is there.
    ///
    /// # Errors
    /// [`FetchError::Read`] of a staged file.
    pub fn run(&mut self, filling: &Filling<'_>, command: &Command) -> Result<bool, FetchError> {
        let Some(words) = command.literal() else { return Ok(false) };
        let words = &words[1..];
        match command.name() {
            name @ ("adduser" | "addgroup") => Ok(self.adduser(name == "addgroup", words).is_some()),
            "groupadd" => Ok(self.groupadd(words).is_some()),
            "systemd-sysusers" => self.sysusers(filling, words),
            _ => Ok(false),
        }
    }

    /// systemd-sysusers(8) with the names of files; without them it reads what all packages brought.
    fn sysusers(&mut self, filling: &Filling<'_>, words: &[&str]) -> Result<bool, FetchError> {
        let files: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
        for file in &files {
            let path = if file.starts_with('/') { (**file).to_owned() } else { format!("{SYSUSERS}/{file}") };
            let Ok(path) = RootPath::new(path) else { return Ok(false) };
            let Some((_, bytes)) = filling.read(&path)? else { return Ok(false) };
            if self.sysusers_lines(&String::from_utf8_lossy(&bytes)).is_none() {
                return Ok(false);
            }
        }
        Ok(!files.is_empty())
    }

    /// adduser(8) and addgroup(8), in the forms for system accounts.
    fn adduser(&mut self, mut only_group: bool, words: &[&str]) -> Option<()> {
        let (mut user, mut is_system, mut own_group, mut in_group) = (User::default(), false, false, None);
        let (mut number, mut gid) = (None, None);
        let mut operands = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            // `--home DIR` and `--home=DIR` are one.
            let (option, joined) = word.split_once('=').map_or((*word, None), |(option, value)| (option, Some(value)));
            let mut value = || joined.or_else(|| rest.next().copied());
            match option {
                "--system" => is_system = true,
                "--group" => own_group = true,
                "--ingroup" => in_group = Some(value()?),
                "--uid" => number = Some(value()?.parse().ok()?),
                "--gid" => gid = Some(value()?.parse().ok()?),
                "--home" => user.home = value()?,
                "--shell" => user.shell = value()?,
                "--gecos" | "--comment" => user.gecos = value()?,
                "--quiet"
                | "--no-create-home"
                | "--disabled-password"
                | "--disabled-login"
                | "--force-badname"
                | "--allow-badname"
                | "--allow-bad-names"
                | "--allow-all-names" => {}
                _ if option.starts_with('-') => return None,
                _ => operands.push(*word),
            }
        }
        let [name, group @ ..] = &operands[..] else { return None };
        user.name = name;
        if let [group] = group {
            return self.join(name, group);
        }
        only_group |= own_group && !is_system;
        if !group.is_empty() || !is_system && !only_group {
            return None;
        }
        if only_group || own_group {
            self.add_group(name, gid)?;
        }
        if only_group {
            return Some(());
        }
        user.uid = number;
        user.gid = match (own_group, in_group) {
            (true, _) => self.gid(name)?,
            (false, Some(group)) => self.gid(group)?,
            (false, None) => gid.unwrap_or(NOBODY),
        };
        user.home = if user.home.is_empty() { "/nonexistent" } else { user.home };
        self.add_user(user)
    }

    /// groupadd(8).
    fn groupadd(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["-g" | "--gid", number, name] => self.add_group(name, Some(number.parse().ok()?)),
            ["-r" | "--system", name] => self.add_group(name, None),
            _ => None,
        }
    }

    /// The lines of a file in the format of sysusers.d(5): groups first, then users, then members.
    fn sysusers_lines(&mut self, text: &str) -> Option<()> {
        let lines: Vec<_> = text.lines().map(fields).filter(|fields| !fields.is_empty()).collect();
        for kind in ["g", "u", "m"] {
            for line in &lines {
                let field = |index: usize| line.get(index).copied().filter(|text| *text != "-").unwrap_or_default();
                let (name, id) = (field(1), field(2));
                match field(0).trim_end_matches(['!', '+']) {
                    "g" if kind == "g" => self.add_group(name, number(id)?)?,
                    "u" if kind == "u" => {
                        let (uid, group) = id.split_once(':').unwrap_or((id, ""));
                        let uid = number(uid)?;
                        let gid = match group.parse() {
                            Ok(gid) => gid,
                            Err(_) if !group.is_empty() => self.gid(group)?,
                            Err(_) => {
                                self.add_group(name, uid)?;
                                self.gid(name)?
                            }
                        };
                        let home = if field(4).is_empty() { "/" } else { field(4) };
                        self.add_user(User { name, uid, gid, gecos: field(3), home, shell: field(5) })?;
                    }
                    "m" if kind == "m" => self.join(name, id)?,
                    "g" | "u" | "m" | "r" => {}
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// Adds a group that is not there.
    fn add_group(&mut self, name: &str, gid: Option<u32>) -> Option<()> {
        if !is_name(name) {
            return None;
        }
        if !has_line(&self.group, name) {
            let taken = numbers(&[], &self.group);
            let gid = gid.or_else(|| free(&taken))?;
            add_line(&mut self.group, &format!("{name}:*:{gid}:"));
        }
        Some(())
    }

    /// Adds a user who is not there.
    fn add_user(&mut self, user: User<'_>) -> Option<()> {
        let User { name, uid, gid, gecos, home, shell } = user;
        let is_plain = |text: &&str| !text.contains([':', '\n']);
        if !is_name(name) || ![gecos, home, shell].iter().all(is_plain) {
            return None;
        }
        if !has_line(&self.passwd, name) {
            let taken = numbers(&[], &self.passwd);
            let uid = uid.or_else(|| free(&taken))?;
            let shell = if shell.is_empty() { NOLOGIN } else { shell };
            add_line(&mut self.passwd, &format!("{name}:*:{uid}:{gid}:{gecos}:{home}:{shell}"));
        }
        Some(())
    }

    /// Makes a user a member of a group; both must be there.
    fn join(&mut self, user: &str, group: &str) -> Option<()> {
        if !has_line(&self.passwd, user) || !has_line(&self.group, group) {
            return None;
        }
        let with_member = |line: &str| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if fields.len() != 4 || fields[0] != group || fields[3].split(',').any(|member| member == user) {
                return format!("{line}\n");
            }
            let members = if fields[3].is_empty() { user.to_owned() } else { format!("{},{user}", fields[3]) };
            fields[3] = &members;
            fields.join(":") + "\n"
        };
        self.group = self.group.lines().map(with_member).collect();
        Some(())
    }

    fn gid(&self, group: &str) -> Option<u32> {
        numbers(&[], &self.group).get(group).copied()
    }
}

/// What Debian takes for a system account's name, and nothing that would damage the files.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// A number, or nothing where any will do; `None` for something else.
fn number(id: &str) -> Option<Option<u32>> {
    if id.is_empty() { Some(None) } else { Some(Some(id.parse().ok()?)) }
}

fn free(taken: &HashMap<String, u32>) -> Option<u32> {
    SYSTEM.into_iter().find(|number| !taken.values().any(|other| other == number))
}

/// The fields of a line; double or single quotes keep blanks in one.
fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (field, after) = match quote {
            Some(quote) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = after.trim_start();
    }
    fields
}
