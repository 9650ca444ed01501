//! Tasks that programs do with what a rule brings, and not without.

/// A task that needs a rule.
pub struct Use {
    pub rule: &'static str,
    pub targets: &'static [&'static str],
    /// What else is wanted, as a recipe.
    pub recipe: &'static str,
    pub command: &'static [&'static str],
    /// What is printed when it works, and not when it does not.
    pub prints: &'static str,
}

/// Programs of the machine that the tests run on, which is a Debian.
pub const HOST: [Use; 10] = [
    Use {
        // The list of loaders is made when the package is installed.
        rule: "linux/gdk-pixbuf",
        targets: &["/usr/bin/gdk-pixbuf-csource"],
        recipe: "[[file]]\npath = '/srv/dot.xpm'\ncontent = '''\n/* XPM */\nstatic char *x[] = {\n\
                 \"1 1 1 1\",\n\"a c #ff0000\",\n\"a\"};\n'''\n",
        command: &["gdk-pixbuf-csource", "/srv/dot.xpm"],
        prints: "RGB C-Source image dump",
    },
    Use {
        rule: "linux/accounts",
        targets: &["/usr/bin/getent"],
        // The user root is known to systemd as well.
        command: &["getent", "passwd", "daemon"],
        prints: "daemon:x:1:1:",
        ..PLAIN
    },
    Use {
        rule: "linux/gconv",
        targets: &["/usr/bin/iconv"],
        command: &["iconv", "-f", "KOI8-R", "-t", "UTF-8", "/etc/input"],
        prints: "\u{41c}\u{438}\u{440}",
        ..PLAIN
    },
    Use {
        rule: "linux/terminfo",
        targets: &["/usr/bin/tput"],
        command: &["tput", "-T", "linux", "bold"],
        prints: "\u{1b}[1m",
        ..PLAIN
    },
    Use {
        // The name of a startup line, which is none of those that are always brought.
        rule: "linux/terminfo",
        targets: &["/usr/bin/tput", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'TERM=rxvt tput bold'\n",
        command: &["env", "TERM=rxvt", "tput", "bold"],
        prints: "\u{1b}[1m",
    },
    Use {
        rule: "linux/openssl",
        targets: &["/usr/bin/openssl"],
        command: &["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/tmp/key", "-subj", "/CN=x"],
        prints: "-----BEGIN CERTIFICATE-----",
        ..PLAIN
    },
    Use {
        rule: "linux/ca-certificates",
        targets: &["/usr/bin/openssl"],
        command: &["openssl", "verify", "/etc/certificate"],
        prints: "/etc/certificate: OK",
        ..PLAIN
    },
    Use {
        rule: "linux/git",
        targets: &["/usr/bin/git", "/usr/bin/cat"],
        command: &["cat", "/tmp/new/.git/info/exclude"],
        prints: "git ls-files --others",
        ..PLAIN
    },
    Use {
        rule: "linux/mime",
        targets: &["/usr/bin/gio"],
        recipe: "[[file]]\npath = '/srv/page.html'\ncontent = 'page'\n",
        command: &["gio", "info", "-a", "standard::content-type", "/srv/page.html"],
        prints: "text/html",
    },
    Use {
        rule: "linux/pam",
        targets: &["/usr/bin/su", "/usr/bin/echo"],
        command: &["su", "-s", "/usr/bin/echo", "root", "--", "let", "in"],
        prints: "let in",
        ..PLAIN
    },
];

/// What programs of the table have in common.
const PLAIN: Use = Use { rule: "", targets: &[], recipe: "", command: &[], prints: "" };

/// Programs of packages.
pub const PACKAGES: &str = r#"["file", "fontconfig", "fonts-dejavu-core", "alsa-utils", "libc-bin", "coreutils", "tzdata", "sed", "dash", "make", "nginx", "sasl2-bin", "libsasl2-modules", "krb5-kdc"]"#;
pub const FETCHED: [Use; 11] = [
    Use {
        rule: "linux/sasl",
        targets: &["/usr/sbin/saslpluginviewer"],
        command: &["saslpluginviewer", "-c"],
        prints: "DIGEST-MD5",
        ..PLAIN
    },
    Use {
        // A database is a plugin.
        rule: "linux/krb5",
        targets: &["/usr/sbin/kdb5_util", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/krb5.conf'\ncontent = '''\n[realms]\nEX = {\n key_stash_file = /tmp/stash\n}\n'''\n",
        command: &["dash", "-c", "kdb5_util -r EX -d /tmp/db create -P x && echo is made"],
        prints: "is made",
    },
    Use {
        rule: "linux/locale",
        targets: &["/usr/bin/locale", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LC_ALL=C.UTF-8 locale'\n",
        command: &["env", "LC_ALL=C.UTF-8", "locale", "charmap"],
        prints: "UTF-8",
    },
    Use {
        rule: "linux/gettext",
        targets: &["/usr/bin/ls", "/usr/bin/env"],
        recipe: "trace.take = ['suggested']\n[[startup]]\nrun = 'LC_ALL=C.UTF-8 LANGUAGE=de ls /'\n",
        command: &["env", "LC_ALL=C.UTF-8", "LANGUAGE=de", "ls", "/gone"],
        prints: "Zugriff auf '/gone'",
    },
    Use {
        rule: "linux/timezone",
        targets: &["/usr/bin/date", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'TZ=Asia/Tokyo date'\n",
        command: &["env", "TZ=Asia/Tokyo", "date", "-d", "@0", "+%H:%M"],
        prints: "09:00",
    },
    Use {
        rule: "linux/shell",
        targets: &["/usr/bin/sed"],
        command: &["sed", "1e echo $((6 * 7))", "/etc/input"],
        prints: "42",
        ..PLAIN
    },
    Use {
        rule: "linux/shell",
        targets: &["/usr/bin/make"],
        recipe: "trace.take = ['suggested']\n[[file]]\npath = '/srv/makefile'\n\
                 content = \"all:\\n\\t@echo $$((6 * 7))\\n\"\n",
        command: &["make", "-f", "/srv/makefile"],
        prints: "42",
    },
    Use {
        rule: "linux/config-includes",
        targets: &["/usr/sbin/nginx"],
        recipe: "[[file]]\npath = '/etc/passwd'\ncontent = 'www-data:x:33:33::/:/bin/sh'\n\
                 [[file]]\npath = '/etc/group'\ncontent = 'www-data:x:33:'\n",
        command: &["nginx", "-t"],
        prints: "test is successful",
    },
    Use {
        rule: "linux/magic",
        targets: &["/usr/bin/file"],
        command: &["file", "/usr/bin/file"],
        prints: "ELF 64-bit",
        ..PLAIN
    },
    Use {
        rule: "linux/fontconfig",
        targets: &["/usr/bin/fc-list"],
        command: &["fc-list", ":", "family"],
        prints: "DejaVu Sans",
        ..PLAIN
    },
    Use {
        rule: "linux/alsa",
        targets: &["/usr/bin/aplay"],
        command: &["aplay", "-L"],
        prints: "Discard all samples",
        ..PLAIN
    },
];

/// Programs in locales that localedef compiles by other character sets.
pub const LOCALES: [Use; 3] = [
    Use {
        rule: "linux/locale",
        targets: &["/usr/bin/locale", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LANG=de_DE.ISO-8859-1 locale'\n",
        command: &["env", "LC_ALL=de_DE.ISO-8859-1", "locale", "charmap"],
        prints: "ISO-8859-1\n",
    },
    Use {
        // The character has one byte, which is not UTF-8; in the C locale it is spelled.
        rule: "linux/gconv",
        targets: &["/usr/bin/printf", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LANG=de_DE@euro printf'\n",
        command: &["env", "LC_ALL=de_DE@euro", "printf", r"<\u20ac>"],
        prints: "<\u{fffd}>",
    },
    Use {
        rule: "linux/gconv",
        targets: &["/usr/bin/printf", "/usr/bin/env"],
        recipe: "[[startup]]\nrun = 'LC_ALL=ru_RU.KOI8-R printf'\n",
        command: &["env", "LC_ALL=ru_RU.KOI8-R", "printf", r"<\u0439>"],
        prints: "<\u{fffd}>",
    },
];

/// Drawing without a graphics card.
pub const GRAPHICS_PACKAGES: &str =
    r#"["vulkan-tools", "mesa-vulkan-drivers", "libegl-mesa0", "libegl1", "mesa-utils-bin"]"#;
pub const GRAPHICS: [Use; 2] = [
    Use {
        // The program looks for libvulkan.so.1 by a name among its strings.
        rule: "linux/vulkan-icd",
        targets: &["/usr/bin/vulkaninfo"],
        recipe: "trace.take = ['suspected']\n",
        command: &["vulkaninfo", "--summary"],
        prints: "= llvmpipe",
    },
    Use {
        rule: "linux/mesa",
        targets: &["/usr/bin/eglinfo.x86_64-linux-gnu"],
        command: &["eglinfo.x86_64-linux-gnu"],
        prints: "EGL driver name: swrast",
        ..PLAIN
    },
];

/// What is started for others.
pub const SERVICE_PACKAGES: &str = r#"["systemd", "udev", "dbus-daemon", "dconf-cli", "dconf-service", "dash", "coreutils", "dconf-gsettings-backend", "libglib2.0-bin"]"#;
pub const SERVICES: [Use; 6] = [
    Use {
        rule: "linux/gio-modules",
        targets: &["/usr/bin/gsettings", "/usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/srv/a.gschema.xml'\ncontent = '''\n<schemalist><schema id=\"a.b\" path=\"/a/b/\">\
                 <key name=\"c\" type=\"i\"><default>7</default></key></schema></schemalist>'''\n",
        command: &[
            "dash",
            "-c",
            "/usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas /srv && \
             GSETTINGS_SCHEMA_DIR=/srv G_MESSAGES_DEBUG=GLib-GIO gsettings get a.b c",
        ],
        prints: "(DConfSettingsBackend)",
    },
    Use {
        rule: "linux/systemd-units",
        targets: &["/usr/bin/systemd-analyze", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/systemd/system/task.service'\ncontent = '''\n[Unit]\nDefaultDependencies=no\n\
                 Requires=other.service\n[Service]\nExecStart=/usr/bin/cat /etc/motd\n'''\n\
                 [[file]]\npath = '/etc/systemd/system/other.service'\ncontent = '''\n[Unit]\nDefaultDependencies=no\n\
                 [Service]\nExecStart=/usr/bin/cat\n'''\n",
        command: &["dash", "-c", "systemd-analyze verify task.service && echo can start"],
        prints: "can start",
    },
    Use {
        rule: "linux/systemd-generators",
        targets: &["/lib/systemd/systemd", "/usr/bin/systemd-analyze", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/fstab'\ncontent = 'tmpfs /data tmpfs defaults 0 0'\n",
        command: &["dash", "-c", "systemd-analyze verify --man=no --generators=yes data.mount && echo can mount"],
        prints: "can mount",
    },
    Use {
        rule: "linux/systemd-directories",
        targets: &["/usr/bin/systemd-tmpfiles", "/usr/bin/ls", "/usr/bin/dash"],
        command: &["dash", "-c", "systemd-tmpfiles --create --prefix=/srv; ls -d /srv"],
        prints: "/srv\n",
        ..PLAIN
    },
    Use {
        rule: "linux/udev",
        targets: &["/usr/bin/udevadm"],
        recipe: "[[file]]\npath = '/etc/udev/rules.d/task.rules'\n\
                 content = 'KERNEL==\"null\", IMPORT{program}=\"/usr/bin/echo ANSWER=42\"'\n",
        command: &["udevadm", "test", "/sys/class/mem/null"],
        prints: "\nANSWER=42\n",
    },
    Use {
        rule: "linux/dbus",
        targets: &["/usr/bin/dbus-run-session", "/usr/bin/dbus-daemon", "/usr/bin/dconf", "/usr/bin/dash"],
        recipe: "[[file]]\npath = '/etc/passwd'\ncontent = 'root:x:0:0::/tmp:/bin/sh'\n",
        // The one who writes is a service, dconf-service.
        command: &["dbus-run-session", "dash", "-c", "dconf write /a 42; dconf read /a"],
        prints: "42\n",
    },
];

pub const JAVA_PACKAGES: &str = r#"["openjdk-17-jre-headless"]"#;
pub const JAVA: Use = Use {
    rule: "linux/java",
    targets: &["/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool"],
    command: &[
        "/usr/lib/jvm/java-17-openjdk-amd64/bin/keytool",
        "-genkeypair",
        "-v",
        "-keyalg",
        "EC",
        "-dname",
        "CN=a",
        "-keystore",
        "/tmp/store",
        "-storepass",
        "secret",
    ],
    prints: "[Storing /tmp/store]",
    ..PLAIN
};

/// Some of the programs of benches/programs.rs, with their recipes.
pub const RECIPES: [Use; 3] = [
    Use {
        rule: "linux/node-modules",
        targets: &["benches/support/programs/node.toml"],
        command: &["/usr/bin/node", "/srv/task.js"],
        prints: "42.0.0 86f7e437",
        ..PLAIN
    },
    Use {
        rule: "linux/php",
        targets: &["benches/support/programs/php-cli.toml"],
        command: &["php8.2", "/srv/task.php"],
        prints: "42 1970 {\"a\":1}",
        ..PLAIN
    },
    Use {
        rule: "linux/vim",
        targets: &["benches/support/programs/vim.toml"],
        command: &["vim.basic", "-es", "-c", "filetype on | edit /srv/task.c | set filetype? | quit"],
        prints: "filetype=c",
        ..PLAIN
    },
];
