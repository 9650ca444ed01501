//! A package.json to the file that a package begins with (Node.js manual, "Folders as modules" and `main`).

use super::bind;
use crate::rules::pattern::Bindings;
use serde::Deserialize;

/// Without a leading `./` and a `/` at the end; `index.js` where the file names none.
pub(super) const BINDINGS: &[&str] = &["main"];

#[derive(Deserialize)]
struct Package {
    main: Option<String>,
}

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    // Node refuses the package then.
    let Ok(package) = serde_json::from_slice::<Package>(text) else { return Vec::new() };
    let main = package.main.unwrap_or_default();
    let main = main.strip_prefix("./").unwrap_or(&main).trim_end_matches('/');
    let main = if main.is_empty() || main == "." { "index.js" } else { main };
    vec![bind(BINDINGS, [main.as_bytes()])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_file_is_named_or_is_index() {
        let main = |text: &str| {
            read(text.as_bytes()).first().map(|found| String::from_utf8_lossy(&found["main"]).into_owned())
        };
        assert_eq!(main(r#"{ "name": "a", "main": "./lib/a" }"#).as_deref(), Some("lib/a"));
        assert_eq!(main(r#"{ "main": "lib/" }"#).as_deref(), Some("lib"));
        assert_eq!(main("{}").as_deref(), Some("index.js"));
        assert_eq!((main("{ \"main\": 1 }"), main("{ \"main\""), main("")), (None, None, None));
    }
}
