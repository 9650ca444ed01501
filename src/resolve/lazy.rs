//! Whether a lazy dependency of an illumos object is ever loaded, and the proof (Linker and Libraries Guide, "Lazy
//! Loading of Dynamic Dependencies").
//!
//! A lazy dependency is loaded when a symbol bound to it is first used. The link-editor writes down what each symbol
//! was found in; where it has not, a symbol that the library exports may be bound to it. Absence of evidence is no
//! proof: of an object without symbols nothing is known.

use crate::objects::elf::{Bindings, Undefined};
use crate::path::escaped;
use crate::recipe::LazyPolicy;

/// What a policy says of one dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A symbol is bound to it: with the name.
    Keep(String),
    /// It may be loaded, for all that is known: with what is not known.
    KeepUnproven(String),
    /// With the proof.
    Drop(String),
}

/// How many symbols a proof names.
const SHOWN: usize = 5;

/// Judges the lazy `DT_NEEDED` number `index` of an object. `object` is what the object's symbols say, `exports` gives
/// those of the library; both are only asked when the policy wants to know.
pub fn judge<'b>(
    policy: LazyPolicy,
    index: usize,
    object: impl FnOnce() -> Option<&'b Bindings>,
    exports: impl FnOnce() -> Option<&'b Bindings>,
) -> Verdict {
    if policy == LazyPolicy::All {
        return Verdict::KeepUnproven("lazy".to_owned());
    }
    let Some(object) = object() else {
        return match policy {
            LazyPolicy::Eager => {
                Verdict::Drop("lazy; the object has no symbols that would show what it loads".to_owned())
            }
            _ => Verdict::KeepUnproven("lazy; unproven: the object has no symbols".to_owned()),
        };
    };
    let exports = exports();
    if exports.is_none() && !object.has_syminfo {
        return Verdict::KeepUnproven("lazy; unproven: the library has no symbols".to_owned());
    }
    let is_bound = |symbol: &&Undefined| match symbol.bound_to {
        Some(bound) => bound == index,
        None => exports.is_some_and(|library| library.exports.contains(&symbol.name)),
    };
    let bound: Vec<&Undefined> = object.undefined.iter().filter(is_bound).collect();
    let at_load = bound.iter().find(|symbol| symbol.at_load);
    match (policy, bound.first(), at_load) {
        (_, None, _) => {
            let count = object.undefined.len();
            Verdict::Drop(format!("never pulled in: none of the {count} undefined symbols is bound to it"))
        }
        (LazyPolicy::Eager, Some(_), None) => {
            let all = bound.iter().map(|symbol| escaped(&symbol.name).to_string());
            let shown: Vec<String> = all.take(SHOWN).collect();
            let more = bound.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Verdict::Drop(format!("not loaded at start; a call of {}{more} would fail", shown.join(", ")))
        }
        (_, Some(first), at_load) => {
            let symbol = at_load.unwrap_or(first);
            Verdict::Keep(format!("lazy, bound by {}", escaped(&symbol.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undefined(name: &str, bound_to: Option<usize>, at_load: bool) -> Undefined {
        Undefined { name: name.as_bytes().into(), bound_to, at_load }
    }

    fn check(policy: LazyPolicy, object: Option<&Bindings>, library: Option<&Bindings>, expected: &str) {
        let verdict = match judge(policy, 1, || object, || library) {
            Verdict::Keep(why) | Verdict::KeepUnproven(why) => format!("keep: {why}"),
            Verdict::Drop(why) => format!("drop: {why}"),
        };
        assert_eq!(verdict, expected);
    }

    #[test]
    fn what_the_link_editor_wrote_down_decides() {
        let undefined = vec![undefined("kstat_open", Some(1), false), undefined("printf", Some(0), true)];
        let object = Bindings { undefined, has_syminfo: true, ..Bindings::default() };
        check(LazyPolicy::Bound, Some(&object), None, "keep: lazy, bound by kstat_open");
        check(LazyPolicy::Eager, Some(&object), None, "drop: not loaded at start; a call of kstat_open would fail");
        let object = Bindings { undefined: object.undefined[1..].to_vec(), ..object };
        let nothing = "drop: never pulled in: none of the 1 undefined symbols is bound to it";
        check(LazyPolicy::Bound, Some(&object), None, nothing);
        check(LazyPolicy::All, Some(&object), None, "keep: lazy");
    }

    #[test]
    fn a_relocation_of_data_loads_at_once() {
        let undefined = vec![undefined("call", Some(1), false), undefined("table", Some(1), true)];
        let object = Bindings { undefined, has_syminfo: true, ..Bindings::default() };
        check(LazyPolicy::Eager, Some(&object), None, "keep: lazy, bound by table");
    }

    #[test]
    fn without_that_the_exports_of_the_library_decide() {
        let object = Bindings { undefined: vec![undefined("kstat_open", None, false)], ..Bindings::default() };
        let library = Bindings { exports: [b"kstat_open"[..].into()].into(), ..Bindings::default() };
        check(LazyPolicy::Bound, Some(&object), Some(&library), "keep: lazy, bound by kstat_open");
        let other = Bindings { exports: [b"other"[..].into()].into(), ..Bindings::default() };
        let nothing = "drop: never pulled in: none of the 1 undefined symbols is bound to it";
        check(LazyPolicy::Bound, Some(&object), Some(&other), nothing);
    }

    #[test]
    fn nothing_is_known_without_symbols() {
        let object = Bindings { undefined: vec![undefined("a", None, false)], ..Bindings::default() };
        check(LazyPolicy::Bound, None, None, "keep: lazy; unproven: the object has no symbols");
        check(LazyPolicy::Bound, Some(&object), None, "keep: lazy; unproven: the library has no symbols");
        let unknown = "drop: lazy; the object has no symbols that would show what it loads";
        check(LazyPolicy::Eager, None, None, unknown);
    }
}
