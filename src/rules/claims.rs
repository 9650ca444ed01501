//! Which objects the rules speak for: a rule that names an object and says what that loads knows more of it than can be
//! read in the object.

use super::{Mechanism, RuleSet};
use crate::path::RootPath;
use crate::recipe::System;

impl RuleSet {
    /// Whether a rule about `dlopen` for this system names an object, by path or by soname. It need not have fired: it
    /// says when it does.
    pub fn claims(&self, system: System, path: &RootPath, soname: Option<&[u8]>) -> bool {
        self.index.naming(path, soname).into_iter().any(|number| {
            let (file, _) = self.rule(number);
            file.mechanism == Some(Mechanism::Dlopen) && file.systems.contains(&system)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_its_path_or_its_soname_for_its_system() {
        let file = |id: &str, system: &str, mechanism: &str, when: &str| {
            let text = format!(
                "summary = 's'\nmechanism = '{mechanism}'\nsystems = ['{system}']\nwhy = 'w'\nevidence = ['e']\n\
                 [[rule]]\nwhen = {{ {when} }}\nlibraries = ['libx.so']\n"
            );
            crate::rules::load::file(id, id, &text).unwrap()
        };
        let set = RuleSet::new(vec![
            file("a", "linux", "dlopen", "object = '/usr/lib/{*/,}liba.so'"),
            file("b", "linux", "dlopen", "soname = 'libb.so.*'"),
            file("c", "linux", "open", "object = '/usr/bin/c'"),
            file("d", "illumos", "dlopen", "object = '/usr/bin/d'"),
            file("e", "linux", "dlopen", "needed = 'libe.so'"),
        ])
        .unwrap();
        let claims = |system, path: &str, soname: Option<&str>| {
            set.claims(system, &RootPath::new(path).unwrap(), soname.map(str::as_bytes))
        };
        let is_named = |path, soname| claims(System::Linux, path, soname);
        assert!(is_named("/usr/lib/x/liba.so", None) && is_named("/opt/b", Some("libb.so.2")));
        assert!(!is_named("/usr/lib/libz.so", Some("libb.so")));
        assert!(!is_named("/usr/bin/c", None) && !is_named("/usr/bin/d", None) && !is_named("/usr/lib/libe.so", None));
        assert!(claims(System::Illumos, "/usr/bin/d", None));
    }
}
