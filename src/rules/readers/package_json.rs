//! A package.json to the file that Node.js begins with when the directory is asked for (Node.js manual, "Folders as
//! modules"). What `exports` has is for those who ask for the package by its name: see [`super::javascript`].

use super::bind;
use super::node_package::Package;
use crate::rules::pattern::Bindings;

/// `path` is without a leading `./` and a `/` at the end.
pub(super) const BINDINGS: &[&str] = &["path"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    // A package with `exports` has another beginning, or several.
    let package = Package::parse(text).filter(|package| !package.has_exports());
    package.map(|package| bind(BINDINGS, [package.main().as_bytes()])).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::readers::tests::check as check_reader;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        check_reader("package-json", text, expected);
    }

    #[test]
    fn the_main_file_is_named_or_is_index() {
        check(r#"{ "name": "a", "main": "./lib/a" }"#, &["lib/a"]);
        check(r#"{ "main": "lib/" }"#, &["lib"]);
        check("{}", &["index.js"]);
        check(r#"{ "main": "a.js", "exports": null }"#, &["a.js"]);
        for refused in ["{ \"main\": 1 }", "{ \"main\"", "", "[]"] {
            check(refused, &[]);
        }
    }

    #[test]
    fn exports_take_the_place_of_the_main_file() {
        check(r#"{ "main": "./a.js", "exports": "./b.js" }"#, &[]);
    }
}
