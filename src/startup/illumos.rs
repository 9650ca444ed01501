//! The startup of an illumos image: an inittab whose line `smf` runs a script with the recipe's commands.
//!
//! init(8) keeps the command of that line running in place of svc.startd; without such a line it goes into maintenance
//! mode (illumos-gate usr/src/cmd/init/init.c). The lines before it are those of the system's own inittab that a machine
//! without services still needs: the modules for terminals and for sockets.

use super::GeneratedFile;
use crate::path::RootPath;
use crate::recipe::Startup;

/// Where the script is.
pub const SCRIPT: &str = "/etc/rc.minroot";
pub const INITTAB: &str = "/etc/inittab";

/// Lines before the script, each with the files it is of use with.
const SYSTEM_LINES: [(&str, [&str; 2]); 3] = [
    ("ap::sysinit:/sbin/autopush -f /etc/iu.ap", ["/sbin/autopush", "/etc/iu.ap"]),
    ("sp::sysinit:/sbin/soconfig -d /etc/sock2path.d", ["/sbin/soconfig", "/etc/sock2path.d"]),
    ("sp::sysinit:/sbin/soconfig -f /etc/sock2path", ["/sbin/soconfig", "/etc/sock2path"]),
];

/// The inittab and the script; `exists` tells what the root has.
pub fn files(commands: &[Startup], exists: impl Fn(&str) -> bool) -> [GeneratedFile; 2] {
    let lines = SYSTEM_LINES.iter().filter(|(_, files)| files.iter().all(|file| exists(file))).map(|(line, _)| *line);
    let script_line = format!("smf::sysinit:{SCRIPT}");
    let inittab: String = lines.chain([&script_line[..]]).map(|line| format!("{line}\n")).collect();
    let mut script = "#!/sbin/sh\nexec </dev/console >/dev/console 2>&1\n".to_owned();
    for Startup { run, background, last: _ } in commands {
        script.push_str(run);
        script.push_str(if *background { " &\n" } else { "\n" });
    }
    [file(INITTAB, 0o644, inittab), file(SCRIPT, 0o755, script)]
}

fn file(path: &str, mode: u32, text: String) -> GeneratedFile {
    GeneratedFile { path: RootPath::new(path).expect("a constant"), mode, bytes: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_the_commands_in_order_and_the_inittab_what_the_root_can_run() {
        let startup = |run: &str, background| Startup { run: run.to_owned(), background, last: false };
        let commands = [startup("/sbin/ifconfig e1000g0 plumb", false), startup("/usr/bin/node /srv/x.js", true)];
        let [inittab, script] = files(&commands, |path| !path.starts_with("/etc/sock2path") || path.ends_with("path"));
        let text = |file: &GeneratedFile| String::from_utf8(file.bytes.clone()).unwrap();
        let expected = "ap::sysinit:/sbin/autopush -f /etc/iu.ap\nsp::sysinit:/sbin/soconfig -f /etc/sock2path\n\
                        smf::sysinit:/etc/rc.minroot\n";
        assert_eq!(text(&inittab), expected);
        let expected = "#!/sbin/sh\nexec </dev/console >/dev/console 2>&1\n/sbin/ifconfig e1000g0 plumb\n\
                        /usr/bin/node /srv/x.js &\n";
        assert_eq!((text(&script), script.mode), (expected.to_owned(), 0o755));
    }
}
