//! For a key that no recipe has: the one that was most likely meant.

/// `` `entrypoint` `` for the message of serde about a mistyped key of a table that has it; `None` when no key is near.
///
/// The message is the only thing that knows which keys the table at that place has.
pub(super) fn meant(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (wrong, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let near = |candidate: &str| wrong.len().max(candidate.len()).div_ceil(3);
    let distances = known.map(|candidate| (strsim::osa_distance(wrong, candidate), candidate));
    distances.filter(|(distance, candidate)| *distance <= near(candidate)).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn a_mistyped_key_gets_the_nearest_of_its_table() {
        for (text, expected) in [
            ("[oci]\nentrypiont = ['/x']", Some("entrypoint")),
            ("[oci]\nenvironment = {}", None),
            ("[trace]\ntarget = ['/a']", Some("targets")),
            ("[ocl]\nname = 'x'", Some("oci")),
            ("[[startup]]\nrunn = 'x'", Some("run")),
            ("[oci]\nname = 1", None),
        ] {
            let error = toml::from_str::<Recipe>(text).unwrap_err();
            assert_eq!(meant(error.message()), expected, "{text}: {error}");
        }
    }
}
