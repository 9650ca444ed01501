//! The files that minroot adds to a root of Debian packages: dpkg's database, and the links of a merged `/usr`.

use super::deb::ControlFiles;
use super::member::{Member, MemberKind, Package};
use crate::path::RootPath;

/// Top-level directories that a merged `/usr` turns into links (usrmerge's convert-usrmerge, debootstrap's
/// `setup_merged_usr`).
const MERGED: [&str; 7] = ["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];

/// Everything that is added for Debian packages; nothing when there are none.
pub fn additions(packages: &[Package]) -> Vec<Member> {
    if deliveries(packages).next().is_none() {
        return Vec::new();
    }
    let mut members = merged_usr_links(packages);
    members.extend(database(packages));
    members
}

/// Links for those of [`MERGED`] that a package has files for, unless the packages are of a release without them.
///
/// Packages up to Debian 12 and Ubuntu 23.10 still name `/lib/x`, while their installers make `/lib` a link; later
/// ones bring the links in base-files. So the packages themselves do not tell, and only the version of base-files,
/// when it is there, can say that a release is too old to be merged: Debian before 12, Ubuntu before 20.04.
pub fn merged_usr_links(packages: &[Package]) -> Vec<Member> {
    if deliveries(packages).any(is_unmerged_base) {
        return Vec::new();
    }
    let all = || packages.iter().flat_map(|package| &package.members);
    let shipped_link =
        |name: &str| all().any(|m| m.path.relative() == name.as_bytes() && matches!(m.kind, MemberKind::Symlink(_)));
    let used = |name: &str| {
        all().any(|m| {
            let mut components = m.path.components();
            let first = components.next();
            first == Some(name.as_bytes()) || first == Some(b"usr") && components.next() == Some(name.as_bytes())
        })
    };
    let link = |name: &str| Member::symlink(path(&format!("/{name}")), format!("usr/{name}"));
    MERGED.into_iter().filter(|name| !shipped_link(name) && used(name)).map(link).collect()
}

/// base-files is versioned after the release: `12.4+deb12u5` on Debian 12, `11ubuntu5` on Ubuntu 20.04.
fn is_unmerged_base(files: &ControlFiles) -> bool {
    let control = &files.control;
    let first_merged = if control.version.contains("ubuntu") { 11 } else { 12 };
    let digits = control.version.find(|c: char| !c.is_ascii_digit()).unwrap_or(control.version.len());
    control.package == "base-files" && control.version[..digits].parse::<u32>().is_ok_and(|major| major < first_merged)
}

/// dpkg's own view of what is installed (dpkg-query(1), "FILES").
fn database(packages: &[Package]) -> Vec<Member> {
    let mut deliveries: Vec<_> = packages.iter().filter_map(|package| Some((package, package.debian()?))).collect();
    deliveries.sort_by_key(|(_, files)| (files.control.package.clone(), files.control.architecture.clone()));
    let mut members = vec![Member::generated(path("/var/lib/dpkg/info/format"), "1\n")];
    let mut status = String::new();
    for (package, files) in deliveries {
        let control = &files.control;
        status.push_str(&stanza(&control.text));
        let mut info = |suffix: &str, content: Vec<u8>| {
            let name = format!("/var/lib/dpkg/info/{}.{suffix}", control.info_name());
            members.push(Member::generated(path(&name), content));
        };
        info("list", list(package));
        for (suffix, content) in [("conffiles", &files.conffiles), ("md5sums", &files.md5sums)] {
            if !content.is_empty() {
                info(suffix, content.clone());
            }
        }
    }
    members.push(Member::generated(path("/var/lib/dpkg/status"), status));
    members
}

/// A package's paragraph of the status file.
///
/// The scripts did not run, so `unpacked` would be nearer to dpkg's truth. But scanners such as osv-scalibr only
/// count what is `installed`, and for them the files are what matters.
fn stanza(control: &str) -> String {
    let (first, rest) = control.split_once('\n').unwrap_or((control, ""));
    format!("{first}\nStatus: install ok installed\n{rest}\n")
}

/// The `.list` file: paths as the package names them, the root directory as `/.`.
fn list(package: &Package) -> Vec<u8> {
    let line = |member: &Member| match member.path.is_root() {
        true => b"/.\n".to_vec(),
        false => [member.path.as_bytes(), b"\n"].concat(),
    };
    package.members.iter().flat_map(line).collect()
}

fn deliveries(packages: &[Package]) -> impl Iterator<Item = &ControlFiles> {
    packages.iter().filter_map(Package::debian)
}

fn path(text: &str) -> RootPath {
    RootPath::new(text).expect("made from constants and checked names")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::control::Control;
    use crate::fetch::member::{Delivery, Format};

    fn package(name: &str, version: &str, paths: &[&str]) -> Package {
        let text = format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n");
        let control = Control::parse(text.as_bytes()).unwrap();
        let files = ControlFiles { control, conffiles: Vec::new(), md5sums: Vec::new(), postinst: Vec::new() };
        let format = Format::Debian(files);
        let delivery = Delivery {
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            format,
            file: "x.deb".into(),
            sha256: String::new(),
            notes: Vec::new(),
        };
        let members = paths.iter().map(|p| Member::generated(path(p), "")).collect();
        Package { name: name.to_owned(), replaces: Vec::new(), members, delivery: Some(delivery) }
    }

    fn links(packages: &[Package]) -> Vec<String> {
        merged_usr_links(packages).iter().map(|member| member.path.to_string()).collect()
    }

    #[test]
    fn usr_is_merged_unless_base_files_is_too_old() {
        let libc = || package("libc6", "2.36-9", &["/lib/x", "/lib64/y", "/usr/bin/z", "/usr/share/doc"]);
        assert_eq!(links(&[libc()]), ["/bin", "/lib", "/lib64"]);
        for (version, merged) in
            [("12.4+deb12u5", true), ("13", true), ("11.1", false), ("11ubuntu5", true), ("10.1ubuntu2", false)]
        {
            let base = package("base-files", version, &[]);
            assert_eq!(!links(&[base, libc()]).is_empty(), merged, "{version}");
        }
    }

    #[test]
    fn links_of_a_package_are_left_alone() {
        let mut base = package("base-files", "13.8", &[]);
        base.members
            .push(Member { kind: MemberKind::Symlink(b"usr/lib".to_vec()), ..Member::generated(path("/lib"), "") });
        assert_eq!(links(&[base, package("a", "1", &["/usr/lib/a", "/bin/b"])]), ["/bin"]);
    }

    #[test]
    fn the_list_names_the_root_as_dpkg_does() {
        assert_eq!(list(&package("a", "1", &["/", "/usr/bin/a"])), b"/.\n/usr/bin/a\n");
    }
}
