//! Users and groups: what packages call owners, as the numbers a root has for them.
//!
//! The numbers come from the packages' own `/etc/passwd` and `/etc/group`; for a root without those, they are the ones
//! that illumos has always used.

use super::add_line;
use std::collections::HashMap;

/// The files that accounts are in.
pub const FILES: [&str; 3] = ["/etc/passwd", "/etc/shadow", "/etc/group"];

/// illumos-gate usr/src/cmd/Adm/sun/passwd.
const USERS: [(&str, u32); 20] = [
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("uucp", 5),
    ("nuucp", 9),
    ("dladm", 15),
    ("netadm", 16),
    ("netcfg", 17),
    ("smmsp", 25),
    ("listen", 37),
    ("gdm", 50),
    ("lp", 71),
    ("webservd", 80),
    ("postgres", 90),
    ("unknown", 96),
    ("nobody", 60001),
    ("noaccess", 60002),
    ("nobody4", 65534),
];

/// illumos-gate usr/src/cmd/Adm/group.
const GROUPS: [(&str, u32); 22] = [
    ("root", 0),
    ("other", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("uucp", 5),
    ("mail", 6),
    ("tty", 7),
    ("lp", 8),
    ("nuucp", 9),
    ("staff", 10),
    ("daemon", 12),
    ("sysadmin", 14),
    ("games", 20),
    ("smmsp", 25),
    ("gdm", 50),
    ("netadm", 65),
    ("webservd", 80),
    ("unknown", 96),
    ("nobody", 60001),
    ("noaccess", 60002),
    ("nogroup", 65534),
];

/// The first number for an account that does not ask for one (pkg(7), "User Actions": the first free below 100 is
/// taken).
const FREE: std::ops::Range<u32> = 18..100;

/// An account that a package asks for: a `user` or `group` action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    User {
        name: String,
        uid: Option<u32>,
        group: String,
        /// The real name.
        gecos: String,
        home: String,
        shell: String,
        /// As in `/etc/shadow`.
        password: String,
    },
    Group {
        name: String,
        gid: Option<u32>,
    },
}

/// The account files while they grow.
pub struct Accounts {
    passwd: String,
    shadow: String,
    group: String,
}

/// Numbers by name.
pub struct Ids {
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Ids {
    pub fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied().or_else(|| name.parse().ok())
    }

    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().or_else(|| name.parse().ok())
    }
}

impl Accounts {
    /// Starts with the text of each file, empty for those that are not there.
    pub fn new(passwd: String, shadow: String, group: String) -> Accounts {
        Accounts { passwd, shadow, group }
    }

    /// Adds an account that is not there yet. A name that would damage the files is no account.
    pub fn add(&mut self, account: &Account) {
        let ids = self.ids();
        let is_plain = |text: &str| !text.contains([':', '\n']);
        match account {
            Account::Group { name, gid } => {
                if is_plain(name) && !has_line(&self.group, name) {
                    let gid = gid.or_else(|| ids.group(name)).unwrap_or_else(|| free(&ids.groups));
                    add_line(&mut self.group, &format!("{name}::{gid}:"));
                }
            }
            Account::User { name, uid, group, gecos, home, shell, password } => {
                if [name, gecos, home, shell, password].into_iter().all(|text| is_plain(text))
                    && !has_line(&self.passwd, name)
                {
                    let uid = uid.or_else(|| ids.user(name)).unwrap_or_else(|| free(&ids.users));
                    let gid = ids.group(group).unwrap_or(1);
                    add_line(&mut self.passwd, &format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"));
                    if !has_line(&self.shadow, name) {
                        add_line(&mut self.shadow, &format!("{name}:{password}:::::::"));
                    }
                }
            }
        }
    }

    /// The text of each of [`FILES`], and the numbers in them.
    pub fn finish(self) -> ([String; 3], Ids) {
        let ids = self.ids();
        ([self.passwd, self.shadow, self.group], ids)
    }

    fn ids(&self) -> Ids {
        Ids { users: numbers(&USERS, &self.passwd), groups: numbers(&GROUPS, &self.group) }
    }
}

/// `NAME:PASSWORD:NUMBER:...`, added to what is known anyway.
pub fn numbers(known: &[(&str, u32)], text: &str) -> HashMap<String, u32> {
    let mut numbers: HashMap<String, u32> = known.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(number))) = (fields.next(), fields.nth(1).map(str::parse)) {
            numbers.insert(name.to_owned(), number);
        }
    }
    numbers
}

fn free(taken: &HashMap<String, u32>) -> u32 {
    let mut numbers = FREE.chain(100..=u32::MAX);
    numbers.find(|number| !taken.values().any(|other| other == number)).unwrap_or(u32::MAX)
}

/// Whether a file of accounts or groups has one of that name.
pub fn has_line(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.split(':').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: Option<u32>, group: &str) -> Account {
        Account::User {
            name: name.to_owned(),
            uid,
            group: group.to_owned(),
            gecos: "A Service".to_owned(),
            home: "/".to_owned(),
            shell: String::new(),
            password: "NP".to_owned(),
        }
    }

    #[test]
    fn accounts_are_added_once_and_numbers_come_from_the_files() {
        let mut accounts =
            Accounts::new("root:x:0:0:Super-User:/root:/sbin/sh".to_owned(), String::new(), "sys::7:\n".to_owned());
        accounts.add(&Account::Group { name: "db".to_owned(), gid: Some(90) });
        accounts.add(&Account::Group { name: "db".to_owned(), gid: Some(91) });
        accounts.add(&user("db", Some(90), "db"));
        accounts.add(&user("auto", None, "nogroup"));
        accounts.add(&user("root", Some(5), "db"));
        accounts.add(&user("bad:name", Some(5), "db"));
        let ([passwd, shadow, group], ids) = accounts.finish();
        let expected = "root:x:0:0:Super-User:/root:/sbin/sh\ndb:x:90:90:A Service:/:\nauto:x:18:65534:A Service:/:\n";
        assert_eq!(passwd, expected);
        assert_eq!(shadow, "db:NP:::::::\nauto:NP:::::::\n");
        assert_eq!(group, "sys::7:\ndb::90:\n");
        assert_eq!(
            (ids.user("db"), ids.group("sys"), ids.group("bin"), ids.user("x")),
            (Some(90), Some(7), Some(2), None)
        );
        assert_eq!(ids.user("1234"), Some(1234));
    }
}
