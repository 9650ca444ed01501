use super::*;
use crate::fetch::control::Control;
use crate::fetch::member::{Content, Delivery, Format, Member, MemberKind};
use crate::path::RootPath;

/// A package with its script and its files; a file whose content begins with `-> ` is a link.
fn package(name: &str, postinst: &str, files: &[(&str, &str)]) -> Package {
    let text = format!("Package: {name}\nVersion: 1\nArchitecture: amd64\n");
    let files_of_control = ControlFiles {
        control: Control::parse(text.as_bytes()).unwrap(),
        conffiles: Vec::new(),
        md5sums: Vec::new(),
        postinst: if postinst.is_empty() { Vec::new() } else { format!("#!/bin/sh\n{postinst}").into_bytes() },
    };
    let delivery = Delivery {
        version: "1".to_owned(),
        architecture: "amd64".to_owned(),
        format: Format::Debian(files_of_control),
        file: "x.deb".into(),
        sha256: String::new(),
        notes: Vec::new(),
    };
    let member = |(path, content): &(&str, &str)| {
        let path = RootPath::new(path).unwrap();
        match content.strip_prefix("-> ") {
            Some(target) => Member::symlink(path, target),
            None => Member::generated(path, *content),
        }
    };
    let members = files.iter().map(member).collect();
    Package { name: name.to_owned(), replaces: Vec::new(), members, delivery: Some(delivery) }
}

/// What is added to the packages, as `PACKAGE PATH CONTENT`, and the notes.
fn made(mut packages: Vec<Package>) -> (Vec<String>, Vec<String>) {
    let before: Vec<_> = packages.iter().map(|package| package.members.len()).collect();
    let notes = complete(&mut packages).unwrap();
    let mut lines = Vec::new();
    for (package, before) in packages.iter().zip(before) {
        for member in &package.members[before..] {
            let content = match &member.kind {
                MemberKind::Symlink(target) => format!("-> {}", String::from_utf8_lossy(target)),
                MemberKind::File(Content::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                other => panic!("{other:?}"),
            };
            lines.push(format!("{} {} {content}", package.name, member.path));
        }
    }
    (lines, notes)
}

fn check(packages: Vec<Package>, expected: &[&str], notes: &[&str]) {
    assert_eq!(
        made(packages),
        (expected.iter().map(|s| (*s).to_owned()).collect(), notes.iter().map(|s| (*s).to_owned()).collect())
    );
}

const LINKS_OF: &str = "made as installation scripts would: links through /etc/alternatives of";

#[test]
fn the_highest_priority_has_the_link_and_its_slaves() {
    let install = |path: &str, priority: &str| {
        format!(
            "update-alternatives --quiet --install /usr/bin/awk awk {path} {priority} \\\n --slave /usr/bin/nawk nawk {path}-n --slave /m/awk awk.1 /m/none"
        )
    };
    let choice = |name: &str, priority: &str| {
        let path = format!("/usr/bin/{name}");
        package(name, &install(&path, priority), &[(&path, ""), (&format!("{path}-n"), "")])
    };
    let expected = [
        "gawk /usr/bin/awk -> /etc/alternatives/awk",
        "gawk /etc/alternatives/awk -> /usr/bin/gawk",
        "gawk /usr/bin/nawk -> /etc/alternatives/nawk",
        "gawk /etc/alternatives/nawk -> /usr/bin/gawk-n",
    ];
    check(vec![choice("mawk", "5"), choice("gawk", "10")], &expected, &[&format!("{LINKS_OF} `gawk`")]);
    // Of equals the first by name; a file that is not there is no choice.
    let gone = package("best", &install("/usr/bin/best", "99"), &[]);
    check(vec![choice("mawk", "10"), choice("gawk", "10"), gone], &expected, &[&format!("{LINKS_OF} `gawk`")]);
}

#[test]
fn a_link_does_not_take_the_place_of_a_file() {
    let script = "update-alternatives --install /usr/bin/a a /usr/bin/b 1
        update-alternatives --install /bin/c c /bin/b 1
        update-alternatives --install /usr/bin/b/x x /bin/b 1
        update-alternatives --install /usr/bin/d d /bin/b 1
        update-alternatives --remove y /usr/bin/y";
    let expected =
        ["p /usr/bin/c -> /etc/alternatives/c", "p /etc/alternatives/c -> /bin/b", "p /etc/alternatives/d -> /bin/b"];
    let files = [("/usr/bin/a", "file"), ("/bin/b", ""), ("/bin/d", "-> /etc/alternatives/d")];
    check(vec![package("p", script, &files)], &expected, &[&format!("{LINKS_OF} `p`")]);
}

#[test]
fn what_cannot_be_followed_is_noted() {
    let note = |what: &str| format!("`p`: its installation script was not run: {what} not made");
    let links = note("links through /etc/alternatives");
    check(vec![package("p", "update-alternatives --install $LINK a /b 1", &[])], &[], &[&links]);
    check(vec![package("p", "su -c 'update-alternatives --install /a a /b 1'", &[])], &[], &[&links]);
    check(vec![package("p", "if", &[]), package("q", "# adduser x\nif", &[])], &[], &[]);
    check(vec![package("p", "if; adduser x; setcap", &[])], &[], &[&note("file capabilities, users or groups")]);
    check(vec![package("p", "if [ \"$1\" = triggered ]; then adduser x; fi", &[])], &[], &[]);
    check(vec![package("p", "setcap cap_x+ep /x || chmod u+s /x", &[])], &[], &[&note("file capabilities")]);
}

const BASE: &str = "if [ ! -e $DPKG_ROOT/etc/passwd ]; then cp /usr/share/passwd.master /etc/passwd; fi
    cp -p /usr/share/group.master /etc/group";

fn base(passwd: &str, group: &str) -> Package {
    package("base-passwd", BASE, &[("/usr/share/passwd.master", passwd), ("/usr/share/group.master", group)])
}

/// The account files after a script of another package, and whether a note says that something is missing.
fn accounts(script: &str, files: &[(&str, &str)]) -> (String, String, bool) {
    let packages = vec![base("root:*:0:0:root:/root:/bin/sh\n", "root:*:0:\nadm:*:4:"), package("p", script, files)];
    let (lines, notes) = made(packages);
    let file = |path: &str| lines.iter().find_map(|line| line.strip_prefix(&format!("base-passwd {path} "))).unwrap();
    let passwd = file("/etc/passwd").strip_prefix("root:*:0:0:root:/root:/bin/sh\n").unwrap();
    let group = file("/etc/group").strip_prefix("root:*:0:\n").unwrap();
    (passwd.to_owned(), group.trim_end().to_owned(), notes.iter().any(|note| note.contains("not made")))
}

#[test]
fn accounts_are_made_as_adduser_makes_them() {
    let check = |script: &str, passwd: &str, group: &str| {
        assert_eq!(accounts(script, &[]), (passwd.to_owned(), group.to_owned(), false), "{script}");
    };
    let nologin = "/nonexistent:/usr/sbin/nologin\n";
    check("adduser --system --quiet sshd", &format!("sshd:*:100:65534::{nologin}"), "adm:*:4:");
    check(
        "adduser --system --group --home=/x --shell /bin/sh --gecos 'A b' p",
        "p:*:100:100:A b:/x:/bin/sh\n",
        "adm:*:4:\np:*:100:",
    );
    check("adduser --system --ingroup adm --uid 7 p || true", &format!("p:*:7:4::{nologin}"), "adm:*:4:");
    check("addgroup --system --force-badname _ssh; addgroup --system b", "", "adm:*:4:\n_ssh:*:100:\nb:*:101:");
    check("groupadd -g 42 shadow; adduser root adm; adduser root adm", "", "adm:*:4:root\nshadow:*:42:");
    check("adduser --system a; adduser --system a", &format!("a:*:100:65534::{nologin}"), "adm:*:4:");
    for unknown in
        ["adduser bob", "adduser --system --nis x", "adduser --system a:b", "adduser root none", "useradd -r x"]
    {
        assert_eq!(accounts(unknown, &[]), (String::new(), "adm:*:4:".to_owned(), true), "{unknown}");
    }
}

#[test]
fn accounts_are_made_as_systemd_sysusers_makes_them() {
    let text = "# users\nu net - \"Network Management\"\ng log - -\nu! a 7:adm - /a /bin/sh\nm a log\nu root 0 - /r\nr - 500\n";
    let (passwd, group, missing) =
        accounts("systemd-sysusers ${DPKG_ROOT:+--root=$DPKG_ROOT} n.conf", &[("/usr/lib/sysusers.d/n.conf", text)]);
    assert_eq!(passwd, "net:*:100:101:Network Management:/:/usr/sbin/nologin\na:*:7:4::/a:/bin/sh\n");
    assert_eq!((group.as_str(), missing), ("adm:*:4:\nlog:*:100:a\nnet:*:101:", false));
    assert!(accounts("systemd-sysusers", &[]).2 && accounts("systemd-sysusers none.conf", &[]).2);
}

#[test]
fn a_user_joins_a_group_that_a_later_package_makes() {
    let joining = package("a", "adduser --system a; adduser a late", &[]);
    let making = package("z", "addgroup --system late", &[]);
    let (lines, notes) = made(vec![joining, base("root:*:0:0:::\n", "root:*:0:\n"), making]);
    assert!(lines.contains(&"base-passwd /etc/group root:*:0:\nlate:*:100:a\n".to_owned()), "{lines:?}");
    assert!(!notes.iter().any(|note| note.contains("not made")), "{notes:?}");
}

#[test]
fn accounts_need_the_files_they_are_in() {
    let notes = [
        "`p`: its installation script was not run: users or groups not made",
        "there is no /etc/passwd for users and groups: the package `base-passwd` brings it",
    ];
    check(vec![package("p", "adduser --system p", &[])], &[], &notes);
}

#[test]
fn only_a_copy_that_is_certain_is_made() {
    let files = [("/usr/share/x", "x"), ("/etc/there", "old"), ("/l", "-> usr/share/x")];
    let script = "cp -p /usr/share/x /etc/a; ucf --three-way /l /etc/b; cp /usr/share/x /etc/there
        cp /usr/share/x /etc/a/b; cp /none /etc/c; if maybe; then cp /usr/share/x /etc/d; fi; cp x y; cp /usr/share/x";
    let expected = ["p /etc/a x", "p /etc/b x"];
    check(
        vec![package("p", script, &files)],
        &expected,
        &["made as installation scripts would: configuration files of `p`"],
    );
}

#[test]
fn modules_of_php_are_enabled_for_every_sapi() {
    let module = "ucf /usr/share/m.ini /etc/php/8.2/mods-available/m.ini
        php_invoke enmod 8.2 ALL m; php_invoke enmod 8.2 ALL none; php_invoke enmod 8.2 fpm ../x";
    let files = [
        ("/usr/share/m.ini", "; configuration\n; priority=10\nextension=m.so\n"),
        ("/usr/lib/php/8.2/sapi/cli", ""),
        ("/usr/lib/php/8.2/sapi/fpm", ""),
        ("/etc/php/8.2/cli/conf.d/x", ""),
    ];
    let (lines, _) = made(vec![package("php", module, &files)]);
    let link = "php /etc/php/8.2/cli/conf.d/10-m.ini -> /etc/php/8.2/mods-available/m.ini";
    assert_eq!(lines.iter().map(String::as_str).collect::<Vec<_>>()[1..], [link]);
}

#[test]
fn certificates_are_those_of_the_configuration() {
    let ca = "/usr/share/ca-certificates";
    let files = [
        ("/usr/share/ca-certificates-java/x.crt", "x"),
        (&*format!("{ca}/m/B (1).crt"), "b"),
        (&*format!("{ca}/m/A.crt"), "a\n"),
        (&*format!("{ca}/m/x"), "x"),
    ];
    let (all, _) = made(vec![package("c", "update-ca-certificates", &files)]);
    let link = |name: &str, file: &str| format!("c /etc/ssl/certs/{name}.pem -> {ca}/m/{file}.crt");
    let bundle = |content: &str| format!("c /etc/ssl/certs/ca-certificates.crt {content}");
    assert_eq!(all, [link("A", "A"), link("B_=1=", "B (1)"), bundle("a\nb\n")]);
    let configured =
        [&files[..], &[("/etc/ca-certificates.conf", "# x\n!m/A.crt\nm/B (1).crt\nm/none.crt\n")]].concat();
    let (some, _) = made(vec![package("c", "update-ca-certificates", &configured)]);
    assert_eq!(some, [link("B_=1=", "B (1)"), bundle("b\n")]);
}

#[test]
fn only_calls_count_and_comments_do_not() {
    assert!(calls("  /usr/sbin/update-passwd --x", "update-passwd"));
    assert!(!calls("# update-passwd\nupdate-passwd-foo", "update-passwd"));
}
