//! What each program of the table is asked to do, once nothing is left of its root but the traced files.

/// A program; what it is traced from is the recipe of its name beside this file.
pub struct Program {
    pub name: &'static str,
    /// The package whose version the table shows.
    pub package: &'static str,
    /// Users of the tree are numbers: who looks names up would look on this machine.
    pub user: &'static str,
    /// Commands that have to succeed before, in order.
    pub before: &'static [&'static [&'static str]],
    /// A command that goes on while the question is put.
    pub server: Option<&'static [&'static str]>,
    pub task: &'static [&'static str],
    /// What the task has to print.
    pub prints: &'static str,
}

const ROOT: &str = "0:0";

/// `sha1("a")`, which several programs compute.
const DIGEST: &str = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";

const CERTIFICATE: &[&str] = &[
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ed25519",
    "-nodes",
    "-subj",
    "/CN=localhost",
    "-keyout",
    "/tmp/key",
    "-out",
    "/tmp/certificate",
];

const SIMPLE: Program = Program { name: "", package: "", user: ROOT, before: &[], server: None, task: &[], prints: "" };

/// In the order of the table. Ports are above those that systems give to clients, below those that others like.
pub const PROGRAMS: [Program; 20] = [
    Program {
        name: "git",
        package: "git",
        before: &[&["git", "init", "-q", "/tmp/new"]],
        task: &[
            "git",
            "-C",
            "/tmp/new",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "commit",
            "--allow-empty",
            "-m",
            "begin",
        ],
        prints: "(root-commit)",
        ..SIMPLE
    },
    Program {
        name: "openssh-server",
        package: "openssh-server",
        before: &[&["ssh-keygen", "-A"], &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/id"]],
        server: Some(&[
            "/usr/sbin/sshd",
            "-De",
            "-p",
            "44201",
            "-o",
            "ListenAddress=127.0.0.1",
            "-o",
            "AuthorizedKeysFile=/tmp/id.pub",
            "-o",
            "StrictModes=no",
        ]),
        task: &[
            "ssh",
            "-i",
            "/tmp/id",
            "-p",
            "44201",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "BatchMode=yes",
            "root@127.0.0.1",
            "echo $((6 * 7)) over ssh",
        ],
        prints: "42 over ssh",
        ..SIMPLE
    },
    Program {
        name: "nginx",
        package: "nginx",
        before: &[CERTIFICATE],
        server: Some(&["nginx", "-g", "daemon off;"]),
        task: &[
            "curl",
            "-sS",
            "--cacert",
            "/tmp/certificate",
            "--resolve",
            "localhost:44301:127.0.0.1",
            "https://localhost:44301/",
        ],
        prints: "served over TLS",
        ..SIMPLE
    },
    Program {
        name: "postgresql",
        package: "postgresql-15",
        user: "100:100",
        before: &[&["/usr/lib/postgresql/15/bin/initdb", "-D", "/tmp/data"]],
        server: Some(&[
            "/usr/lib/postgresql/15/bin/postgres",
            "-D",
            "/tmp/data",
            "-h",
            "127.0.0.1",
            "-k",
            "/tmp",
            "-p",
            "44401",
        ]),
        task: &[
            "/usr/lib/postgresql/15/bin/psql",
            "-h",
            "127.0.0.1",
            "-p",
            "44401",
            "-tAc",
            "select 6 * 7, timestamptz '2020-01-01 00:00+0' at time zone 'Asia/Tokyo'",
            "postgres",
        ],
        prints: "42|2020-01-01 09:00:00",
    },
    Program {
        name: "redis",
        package: "redis-server",
        server: Some(&["redis-server", "--port", "44601", "--dir", "/tmp"]),
        task: &["redis-cli", "-p", "44601", "incrby", "answer", "42"],
        prints: "42",
        ..SIMPLE
    },
    Program {
        name: "python3",
        package: "python3",
        task: &["python3", "/srv/task.py"],
        prints: "42 CERT_REQUIRED",
        ..SIMPLE
    },
    Program { name: "perl", package: "perl", task: &["perl", "/srv/task.pl"], prints: DIGEST, ..SIMPLE },
    Program {
        name: "php-cli",
        package: "php8.2-cli",
        task: &["php8.2", "/srv/task.php"],
        prints: "42 1970 {\"a\":1}",
        ..SIMPLE
    },
    Program { name: "ruby", package: "ruby", task: &["ruby", "/srv/task.rb"], prints: DIGEST, ..SIMPLE },
    Program {
        name: "curl",
        package: "curl",
        before: &[CERTIFICATE],
        server: Some(&[
            "openssl",
            "s_server",
            "-accept",
            "127.0.0.1:44701",
            "-key",
            "/tmp/key",
            "-cert",
            "/tmp/certificate",
            "-www",
        ]),
        task: &[
            "curl",
            "-sS",
            "--cacert",
            "/tmp/certificate",
            "--resolve",
            "localhost:44701:127.0.0.1",
            "https://localhost:44701/",
        ],
        prints: "Ciphers supported",
        ..SIMPLE
    },
    Program {
        name: "gdb",
        package: "gdb",
        task: &[
            "gdb",
            "-batch",
            "-ex",
            "set startup-with-shell off",
            "-ex",
            "starti",
            "-ex",
            "python print(6 * 7, gdb.selected_frame().read_register('pc') != 0)",
            "/bin/busybox",
        ],
        prints: "42 True",
        ..SIMPLE
    },
    Program {
        name: "vim",
        package: "vim",
        task: &[
            "vim.basic",
            "-es",
            "--not-a-term",
            "-c",
            "filetype plugin on | syntax on | edit /srv/task.c",
            "-c",
            "redir! > /dev/stderr | echo &filetype &omnifunc synIDattr(synID(1, 1, 1), 'name') | redir END | qall!",
        ],
        prints: "c ccomplete#Complete cType",
        ..SIMPLE
    },
    Program {
        name: "ffmpeg",
        package: "ffmpeg",
        task: &[
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=d=1:s=64x64",
            "-c:v",
            "libx264",
            "-f",
            "md5",
            "-",
        ],
        prints: "MD5=",
        ..SIMPLE
    },
    Program {
        name: "imagemagick",
        package: "imagemagick",
        before: &[&["convert-im6.q16", "-font", "DejaVu-Sans", "label:drawn", "-resize", "42x42!", "/tmp/drawn.png"]],
        task: &["identify-im6.q16", "/tmp/drawn.png"],
        prints: "PNG 42x42",
        ..SIMPLE
    },
    Program {
        name: "samba-client",
        package: "smbclient",
        server: Some(&["smbd", "-F", "--no-process-group", "--debug-stdout"]),
        task: &["smbclient", "//127.0.0.1/share", "-p", "44501", "-N", "-c", "ls"],
        prints: "shared.txt",
        ..SIMPLE
    },
    Program {
        name: "cups-filters",
        package: "cups-filters",
        task: &["/usr/lib/cups/filter/texttopdf", "1", "user", "title", "1", "", "/srv/task.txt"],
        prints: "%PDF-",
        ..SIMPLE
    },
    Program {
        name: "java",
        package: "openjdk-17-jdk-headless",
        task: &["/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "/srv/Task.java"],
        prints: DIGEST,
        ..SIMPLE
    },
    Program { name: "node", package: "nodejs", task: &["node", "/srv/task.js"], prints: DIGEST, ..SIMPLE },
    Program {
        name: "busybox",
        package: "busybox",
        task: &["busybox", "sh", "-c", "printf a | busybox sha1sum"],
        prints: DIGEST,
        ..SIMPLE
    },
    Program {
        name: "systemd-resolved",
        package: "systemd-resolved",
        server: Some(&["/lib/systemd/systemd-resolved"]),
        // The name is not in any file; resolved makes its address.
        task: &["getent", "hosts", "some.localhost"],
        prints: "some.localhost",
        ..SIMPLE
    },
];
