//! Look-ups through links, in a root whose directories are known already and in one that knows nothing.

use super::*;
use std::os::unix::fs::symlink;

fn path(text: &str) -> RootPath {
    RootPath::new(text).unwrap()
}

/// What a look-up says: the path, the links on the way, the directories left by `..`.
fn way(root: &Root, text: &str) -> Result<(String, Vec<String>, Vec<String>), LookupError> {
    let found = root.lookup(&path(text))?;
    let links = found.links.iter().map(|link| format!("{}{}", link.path, if link.last { "" } else { "/" }));
    Ok((found.path.to_string(), links.collect(), found.through.iter().map(ToString::to_string).collect()))
}

#[test]
fn a_directory_that_is_known_has_the_same_way_as_one_that_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("usr/share/certs")).unwrap();
    std::fs::write(at("usr/share/certs/a"), "").unwrap();
    symlink("/usr/share", at("share")).unwrap();
    symlink("share/../share/certs", at("certs")).unwrap();
    symlink("/certs/a", at("usr/one")).unwrap();
    symlink("../certs/./a", at("usr/two")).unwrap();
    symlink("/certs/a/b", at("usr/three")).unwrap();
    symlink("/certs/none/b", at("usr/four")).unwrap();
    let (usr, share) = ("/usr/share/certs/a".to_owned(), "/usr/share");
    let links = |first: &str| [first, "/certs/", "/share/"].map(str::to_owned).to_vec();
    let known = Root::open(directory.path()).unwrap();
    for _ in 0..2 {
        for root in [&known, &Root::open(directory.path()).unwrap()] {
            let through = vec![share.to_owned()];
            assert_eq!(way(root, "/usr/one"), Ok((usr.clone(), links("/usr/one"), through)));
            let through = vec!["/usr".to_owned(), share.to_owned()];
            assert_eq!(way(root, "/usr/two"), Ok((usr.clone(), links("/usr/two"), through)));
            assert_eq!(way(root, "/usr/three"), Err(LookupError::NotADirectory(path(&usr))));
            let dangling = LookupError::Dangling { link: path("/usr/four"), target: b"/certs/none/b".to_vec() };
            assert_eq!(way(root, "/usr/four"), Err(dangling));
        }
    }
}

#[test]
fn links_of_known_directories_count() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: String| directory.path().join(name);
    std::fs::create_dir(at("0".to_owned())).unwrap();
    std::fs::write(at("0/file".to_owned()), "").unwrap();
    for number in 1..=MAX_LINKS {
        symlink((number - 1).to_string(), at(number.to_string())).unwrap();
        symlink(format!("/{number}/file"), at(format!("to-{number}"))).unwrap();
    }
    let known = Root::open(directory.path()).unwrap();
    for number in 1..=MAX_LINKS {
        let asked = format!("/to-{number}");
        let answer = way(&known, &asked);
        assert_eq!(answer, way(&Root::open(directory.path()).unwrap(), &asked));
        match number < MAX_LINKS {
            true => assert_eq!(answer.unwrap().1.len(), number + 1),
            false => assert!(matches!(answer, Err(LookupError::Loop(links)) if links.len() == MAX_LINKS + 1)),
        }
    }
}
