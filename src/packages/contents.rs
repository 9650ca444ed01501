//! The list of everything that SVR4 packages installed, `/var/sadm/install/contents` (contents(5)).
//!
//! A line is `PATH[=TARGET] TYPE CLASS FIELDS... PACKAGE...`, and how many fields there are depends on the type; or, written
//! by releases before that, `TYPE CLASS PATH PACKAGE...`. A package may carry a mark before its name (`!`, `*`, ...)
//! and a class behind it.

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<'t> {
    pub path: &'t str,
    /// As written, without marks.
    pub packages: Vec<&'t str>,
}

/// The lines that list something. Comments, and lines that are damaged, are left out: a path without a package
/// is no reason to fail.
pub fn listings(text: &str) -> impl Iterator<Item = Listing<'_>> {
    text.lines().filter_map(listing)
}

fn listing(line: &str) -> Option<Listing<'_>> {
    let mut fields = line.split(' ').filter(|field| !field.is_empty());
    let first = fields.next()?;
    if first.starts_with('#') {
        return None;
    }
    let path = if first.starts_with('/') {
        let kind = fields.next()?;
        fields.next()?;
        for _ in 0..described_by(kind)? {
            fields.next()?;
        }
        // Only links have a target; elsewhere `=` is part of the name.
        if matches!(kind, "s" | "l") { first.split('=').next()? } else { first }
    } else {
        described_by(first)?;
        fields.next()?;
        fields.next().filter(|path| path.starts_with('/'))?.split('=').next()?
    };
    let packages: Vec<_> = fields.map(package).filter(|name| !name.is_empty()).collect();
    (!packages.is_empty()).then_some(Listing { path, packages })
}

/// How many fields a type has between class and packages.
fn described_by(kind: &str) -> Option<usize> {
    Some(match kind {
        "s" | "l" | "?" => 0,
        "d" | "x" | "p" => 3,
        "b" | "c" => 5,
        "f" | "v" | "e" => 6,
        _ => return None,
    })
}

/// `*SUNWcs:none` → `SUNWcs`.
fn package(field: &str) -> &str {
    let name = field.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    name.split(['\\', ':']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forms met in real files; the names are those of the samples.
    const LINES: &str = "\
/usr/lib/sparcv9/libpthread.so.1 f none 0755 root bin 41296 28258 1018129099 SUNWcslx
/opt/csw/lib/libapr-1.so.0=libapr-1.so.0.3.8 s none CSWapache2rt
/opt/csw/sbin d none 0755 root bin CSWfping CSWbonobo2 CSWkrb5libdev
/opt/csw/gcc3/include ? none CSWgcc3g77 CSWgcc3core
/opt/csw/include/x.h f none 0644 root bin 5557 10685 1068611657 !CSWmozilla
/etc/scn/scn_aa_read p none 0600 root sys SUNWscn-agentfacade-r
/dev/null c none 13 2 0666 root sys SUNWcsd
/etc/passwd e passwd 0644 root sys 1 2 3 *SUNWcs:none OTHER\\
/a=b f none 0644 root bin 1 2 3 SUNWodd
f none /old/style SUNWold
# Last modified by pkgadd for SUNWx package
";

    #[test]
    fn every_type_of_entry_gives_its_packages() {
        let found: Vec<_> = listings(LINES).map(|l| (l.path, l.packages.join(" "))).collect();
        let expected = [
            ("/usr/lib/sparcv9/libpthread.so.1", "SUNWcslx"),
            ("/opt/csw/lib/libapr-1.so.0", "CSWapache2rt"),
            ("/opt/csw/sbin", "CSWfping CSWbonobo2 CSWkrb5libdev"),
            ("/opt/csw/gcc3/include", "CSWgcc3g77 CSWgcc3core"),
            ("/opt/csw/include/x.h", "CSWmozilla"),
            ("/etc/scn/scn_aa_read", "SUNWscn-agentfacade-r"),
            ("/dev/null", "SUNWcsd"),
            ("/etc/passwd", "SUNWcs OTHER"),
            ("/a=b", "SUNWodd"),
            ("/old/style", "SUNWold"),
        ];
        assert_eq!(found, expected.map(|(path, packages)| (path, packages.to_owned())));
    }

    #[test]
    fn damaged_lines_are_left_out() {
        for line in ["/a", "/a f", "/a f none 0644 root", "/a z none SUNWx", "x y z", "f none rel SUNWx", "/a s none !"]
        {
            assert_eq!(listings(line).count(), 0, "{line}");
        }
    }
}
