//! The users and groups of an illumos installation: numbers for the metadata, texts for `/etc`.

/// Name, user id, group id, comment, home, shell.
const USERS: [(&str, u32, u32, &str, &str, &str); 18] = [
    ("root", 0, 0, "Super-User", "/root", "/sbin/sh"),
    ("daemon", 1, 1, "", "/", ""),
    ("bin", 2, 2, "", "/usr/bin", ""),
    ("sys", 3, 3, "", "/", ""),
    ("adm", 4, 4, "Admin", "/var/adm", ""),
    ("lp", 71, 8, "Line Printer Admin", "/", ""),
    ("uucp", 5, 5, "uucp Admin", "/usr/lib/uucp", ""),
    ("nuucp", 9, 9, "uucp Admin", "/var/spool/uucppublic", "/usr/lib/uucp/uucico"),
    ("dladm", 15, 65, "Datalink Admin", "/", ""),
    ("netadm", 16, 65, "Network Admin", "/", ""),
    ("netcfg", 17, 65, "Network Configuration Admin", "/", ""),
    ("smmsp", 25, 25, "SendMail Message Submission Program", "/", ""),
    ("listen", 37, 4, "Network Admin", "/usr/net/nls", ""),
    ("webservd", 80, 80, "WebServer Reserved UID", "/", ""),
    ("unknown", 96, 96, "Unknown Remote UID", "/", ""),
    ("nobody", 60001, 60001, "NFS Anonymous Access User", "/", ""),
    ("noaccess", 60002, 60002, "No Access User", "/", ""),
    ("nobody4", 65534, 65534, "SunOS 4.x NFS Anonymous Access User", "/", ""),
];

/// Name, id, members.
const GROUPS: [(&str, u32, &str); 21] = [
    ("root", 0, ""),
    ("other", 1, "root"),
    ("bin", 2, "root,daemon"),
    ("sys", 3, "root,bin,adm"),
    ("adm", 4, "root,daemon"),
    ("uucp", 5, "root"),
    ("mail", 6, "root"),
    ("tty", 7, "root,adm"),
    ("lp", 8, "root,adm"),
    ("nuucp", 9, "root"),
    ("staff", 10, ""),
    ("daemon", 12, "root"),
    ("sysadmin", 14, ""),
    ("games", 20, ""),
    ("smmsp", 25, ""),
    ("netadm", 65, ""),
    ("webservd", 80, ""),
    ("unknown", 96, ""),
    ("nobody", 60001, ""),
    ("noaccess", 60002, ""),
    ("nogroup", 65534, ""),
];

/// The user id of a name.
pub fn user_id(name: &str) -> Option<u32> {
    USERS.iter().find(|user| user.0 == name).map(|user| user.1)
}

/// The group id of a name.
pub fn group_id(name: &str) -> Option<u32> {
    GROUPS.iter().find(|group| group.0 == name).map(|group| group.1)
}

/// `/etc/passwd`, passwd(5).
pub fn passwd() -> String {
    let line = |(name, user, group, comment, home, shell): (&str, u32, u32, &str, &str, &str)| {
        format!("{name}:x:{user}:{group}:{comment}:{home}:{shell}\n")
    };
    USERS.map(line).concat()
}

/// `/etc/shadow`, shadow(5): root without a password, nobody else may log in.
pub fn shadow() -> String {
    let password = |name: &str| match name {
        "root" => "",
        "nobody" | "noaccess" | "nobody4" => "*LK*",
        _ => "NP",
    };
    USERS.map(|user| format!("{}:{}:6445::::::\n", user.0, password(user.0))).concat()
}

/// `/etc/group`, group(5).
pub fn group() -> String {
    GROUPS.map(|(name, id, members)| format!("{name}::{id}:{members}\n")).concat()
}
