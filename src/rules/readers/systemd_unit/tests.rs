use crate::rules::readers::tests::{check_in, read_in};

const PATH: &str = "/etc/systemd/system/a.service";

/// The words of `a.service` alone.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|words| format!("a.service {words}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check_in(&[(PATH, text)], "systemd-unit", PATH, &expected);
}

/// Files of /lib/systemd/system, of which the first is read.
#[track_caller]
fn check_files(files: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<(String, &str)> =
        files.iter().map(|(name, text)| (format!("/lib/systemd/system/{name}"), *text)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&path[..], *text)).collect();
    check_in(&files, "systemd-unit", files[0].0, expected);
}

#[test]
fn programs_are_named_with_their_prefixes_and_files_among_their_arguments() {
    check(
        "[Service]\nExecStart=-/sbin/agetty -o '-p -- \\\\u' --noclear - $TERM\n",
        &["ExecStart command wanted /sbin/agetty"],
    );
    check(
        "ExecStart=@+/usr/bin/a name /etc/a --config=/etc/b \"/etc/c d\" /\nExecReload=kill -HUP $MAINPID",
        &[
            "ExecStart command required /usr/bin/a",
            "ExecStart path wanted /etc/a",
            "ExecStart path wanted /etc/b",
            "ExecStart path wanted /etc/c d",
            "ExecReload command wanted kill",
        ],
    );
    check(
        "ExecStartPre=/bin/a ; -/bin/b \\x2fetc\\x2fx\n",
        &[
            "ExecStartPre command required /bin/a",
            "ExecStartPre command wanted /bin/b",
            "ExecStartPre path wanted /etc/x",
        ],
    );
}

#[test]
fn what_a_shell_gets_is_read_as_a_script() {
    check(
        "ExecStart=/bin/sh -ec 'test -e /etc/a && exec /usr/bin/b \"$$X\"'\n",
        &["ExecStart command required /bin/sh", "ExecStart path wanted /etc/a", "ExecStart command wanted /usr/bin/b"],
    );
}

#[test]
fn specifiers_are_what_they_stand_for_and_variables_say_nothing_unless_doubled() {
    check(
        "ExecStart=/bin/%p --log=%L/%N.log\nExecStartPre=$X\nEnvironmentFile=%E/%n\nRequires=b@%p.service\n",
        &[
            "ExecStart command required /bin/a",
            "ExecStart path wanted /var/log/a.log",
            "EnvironmentFile path required /etc/a.service",
            "Requires unit required b@.service",
        ],
    );
    check(
        "EnvironmentFile=/etc/100%%\nExecStart=/bin/b $$HOME\n",
        &["EnvironmentFile path required /etc/100%", "ExecStart command required /bin/b"],
    );
    check("EnvironmentFile=/etc/%m\nExecStart=/bin/%H\nExecStop=/bin/%\nEnvironmentFile=/etc/%z\n", &[]);
    check(
        "ExecStart=/bin/sh -c 'cat /etc/%p /etc/%%p'",
        &[
            "ExecStart command required /bin/sh",
            "ExecStart command wanted cat",
            "ExecStart path wanted /etc/a",
            "ExecStart path wanted /etc/%p",
        ],
    );
}

#[test]
fn units_are_pulled_in_and_dependencies_are_never_taken_back() {
    check(
        "[Unit]\nRequires=b.service dev-sda.device\nWants = c.target nonsense\nWants=\nAfter=d.service\nSlice=x.slice",
        &[
            "Requires unit required b.service",
            "Requires unit wanted dev-sda.device",
            "Wants unit wanted c.target",
            "Slice unit wanted x.slice",
        ],
    );
}

#[test]
fn who_names_an_instance_says_what_its_template_says_of_it() {
    check_files(
        &[
            ("a.target", "Wants=b@one.service\n"),
            ("b@.service", "ExecStart=/bin/%i\nRequires=c@%I.socket\nWants=b@%i.service\n"),
            ("c@.socket", "ListenStream=1\n"),
            ("c@.service", "EnvironmentFile=/etc/%j-%i\n"),
        ],
        &[
            "a.target Wants unit wanted b@.service",
            "b@one.service ExecStart command required /bin/one",
            "b@one.service Requires unit required c@.socket",
            "b@one.service Wants unit wanted b@.service",
            "c@one.socket  unit wanted c@.service",
            "c@one.service EnvironmentFile path required /etc/c-one",
        ],
    );
}

#[test]
fn an_instance_with_a_file_of_its_own_is_read_as_that_file() {
    let files = [("a.target", "Wants=b@one.service"), ("b@.service", "ExecStart=/bin/no"), ("b@one.service", "")];
    check_files(&files, &["a.target Wants unit wanted b@one.service"]);
}

#[test]
fn a_link_in_a_directory_of_a_target_names_an_instance() {
    let template = ("getty@.service", "ExecStart=/sbin/agetty %I\nConditionPathExists=/dev/%I\n");
    check_files(
        &[("getty.target.wants/getty@tty1.service", ""), template],
        &[
            "getty@tty1.service ExecStart command required /sbin/agetty",
            "getty@tty1.service ConditionPathExists path wanted /dev/tty1",
        ],
    );
    check_files(&[("getty.target.wants/other.service", ""), template, ("other.service", "Wants=b.service")], &[]);
    check_files(
        &[("getty.target", ""), ("getty.target.wants/getty@tty1.service", "")],
        &["getty.target .wants path wanted /lib/systemd/system/getty.target.wants/getty@tty1.service"],
    );
}

#[test]
fn instances_without_end_come_to_one() {
    let files: [(&str, &[u8]); 2] = [
        ("/lib/systemd/system/a.target", b"Wants=b@x.service"),
        ("/lib/systemd/system/b@.service", b"Wants=b@%i0.service b@%i1.service\nExecStart=/bin/true"),
    ];
    let found = read_in(&files, "systemd-unit", files[0].0);
    let programs = found.iter().filter(|bindings| bindings["role"] == b"command");
    assert_eq!(programs.count(), super::MOST_INSTANCES);
}

#[test]
fn drop_ins_of_the_name_the_template_the_prefix_and_the_kind_count_in_the_order_of_their_names() {
    check_files(
        &[
            ("a-b@c.service", "ExecStart=/bin/first\nUser=a\n"),
            ("a-b@.service.d/20.conf", "ExecStart=\nExecStart=/bin/%i\n"),
            ("a-.service.d/10.conf", "ExecStart=/bin/second\nUser=b\n"),
            ("service.d/30.conf", "EnvironmentFile=/etc/%N\n"),
            ("a-b@c.service.d/30.conf", "EnvironmentFile=-/etc/%p\n"),
            ("b-.service.d/40.conf", "ExecStart=/bin/other\n"),
        ],
        &[
            "a-b@c.service .d path wanted /lib/systemd/system/a-.service.d/10.conf",
            "a-b@c.service .d path wanted /lib/systemd/system/a-b@.service.d/20.conf",
            "a-b@c.service .d path wanted /lib/systemd/system/a-b@c.service.d/30.conf",
            "a-b@c.service User user wanted b",
            "a-b@c.service ExecStart command required /bin/c",
            "a-b@c.service EnvironmentFile path wanted /etc/a-b",
        ],
    );
}

#[test]
fn nothing_is_required_for_a_unit_whose_condition_does_not_hold() {
    let is_started = "ExecStart command required /bin/b";
    let is_not = "ExecStart command wanted /bin/b";
    for (condition, found) in [
        ("ConditionPathExists=/etc/systemd/system/a.service", is_started),
        ("ConditionPathExists=!/etc/gone", is_started),
        ("ConditionPathIsReadWrite=/sys", is_started),
        ("ConditionFirstBoot=yes", is_started),
        ("ConditionFileNotEmpty=/lib/modules/%v/modules.devname", is_not),
        ("ConditionPathExists=/etc/gone", is_not),
    ] {
        let text = format!("{condition}\nExecStart=/bin/b\n");
        let found_last = read_in(&[(PATH, text.as_bytes())], "systemd-unit", PATH).pop().unwrap();
        let words = ["key", "role", "strength", "word"].map(|name| String::from_utf8_lossy(&found_last[name]));
        assert_eq!(words.join(" "), found, "{condition}");
    }
}

#[test]
fn sockets_timers_and_paths_start_what_has_their_name() {
    check_files(&[("a.socket", "Accept=no"), ("a.service", "")], &["a.socket  unit wanted a.service"]);
    check_files(&[("a.socket", "Accept=yes"), ("a@.service", "")], &["a.socket  unit wanted a@.service"]);
    check_files(&[("a.timer", "Unit=b.target")], &["a.timer Unit unit wanted b.target"]);
}

#[test]
fn lines_go_on_behind_comments_and_empty_assignments_take_back() {
    check(
        "Wants=a.service \\\n# not this: x.service\n  b.service\n; nor this\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b",
        &["Wants unit wanted a.service", "Wants unit wanted b.service", "ExecStart command required /bin/b"],
    );
}

#[test]
fn files_of_conditions_and_accounts_are_named() {
    check(
        "ConditionPathExists=!/etc/no\nConditionPathExists=|/etc/yes\nConditionFileIsExecutable=/bin/x\n\
         EnvironmentFile=-/etc/default/a\nWorkingDirectory=~\nUser=daemon\nPAMName=login\n",
        &[
            "ConditionPathExists path wanted /etc/yes",
            "ConditionFileIsExecutable path wanted /bin/x",
            "EnvironmentFile path wanted /etc/default/a",
            "User user wanted daemon",
            "PAMName pam wanted login",
        ],
    );
}

#[test]
fn what_systemd_refuses_is_left_out() {
    check(
        "ExecStart=/bin/a 'open\nExecStart=/bin/b \\xzz\nExecStart=/bin/c \\\nno assignment\n=\n",
        &["ExecStart command required /bin/c"],
    );
    check("ExecStart=; ;\nExecStart=@\nExecStart=@-\nUser=\n\\", &[]);
}
