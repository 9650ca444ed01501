//! The kernel command line of a Linux image.

/// What minroot passes to the kernel, with the reason for each:
///
/// - `rdinit=/init`: the program to start in the initramfs, told even though it is the default, so that an `init=` or
///   an edited loader entry cannot turn it into something else unseen.
/// - `rootfstype=ramfs`: by default the initramfs is unpacked into a tmpfs that may take half of the memory. An archive
///   that does not fit is cut short without stopping the boot, and the first program that is missing fails with "No
///   such file or directory". With `rootfstype=ramfs` all the memory can be used (kernel `init_rootfs`, init/do_mounts.c).
/// - `panic=-1`: after a panic the machine restarts at once, so that a failed boot under a hypervisor ends instead of
///   hanging until a timeout.
const OURS: [&str; 3] = ["rdinit=/init", "rootfstype=ramfs", "panic=-1"];

/// The kernel command line: minroot's own arguments, then the user's.
///
/// An argument of the user's replaces minroot's with the same key. Arguments are separated by one space; as in the
/// kernel, a value in double quotes may hold spaces, and `-` and `_` in a key are the same (kernel lib/cmdline.c and
/// kernel/params.c). What follows `--` is for `/init`, which reads no arguments.
pub fn kernel_args(user: Option<&str>) -> String {
    let user = split(user.unwrap_or_default());
    let settings = user.iter().take_while(|argument| *argument != "--");
    let keys: Vec<String> = settings.map(|argument| key(argument)).collect();
    let ours = OURS.iter().filter(|argument| !keys.contains(&key(argument))).map(|argument| (*argument).to_owned());
    ours.chain(user.iter().cloned()).collect::<Vec<_>>().join(" ")
}

fn key(argument: &str) -> String {
    argument.split('=').next().unwrap_or_default().trim_matches('"').replace('-', "_")
}

/// Splits at white space outside of double quotes; inside of them a line end becomes a space, as it would end a line
/// of a boot loader's configuration.
fn split(text: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '"';
        match arguments.last_mut() {
            Some(last) if quoted || !character.is_whitespace() => {
                last.push(if character.is_control() { ' ' } else { character });
            }
            _ => arguments.push(String::new()),
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

#[cfg(test)]
mod tests {
    use super::kernel_args;

    #[test]
    fn arguments_of_the_user_come_last_and_replace_ours() {
        let ours = "rdinit=/init rootfstype=ramfs panic=-1";
        let cases = [
            (None, ours.to_owned()),
            (Some("  "), ours.to_owned()),
            (Some("console=tty0  console=ttyS0\n"), format!("{ours} console=tty0 console=ttyS0")),
            (Some("panic=10 quiet"), "rdinit=/init rootfstype=ramfs panic=10 quiet".to_owned()),
            (Some("rdinit=/bin/sh rootfstype=tmpfs"), "panic=-1 rdinit=/bin/sh rootfstype=tmpfs".to_owned()),
            (Some("x.y=\"a  b\nc\" z"), format!("{ours} x.y=\"a  b c\" z")),
            (Some("panic_on_oops=1 -- panic=3"), format!("{ours} panic_on_oops=1 -- panic=3")),
        ];
        for (user, expected) in cases {
            assert_eq!(kernel_args(user), expected, "{user:?}");
        }
    }
}
