//! Versions of IPS packages, `RELEASE[,BUILD][-BRANCH][:TIME]`, in the order in which they supersede each other (pkg(7)).

/// What versions are compared by: release, branch, time. The build release says what a package was made on and has no
/// part in it; a version that is malformed is older than any other.
pub fn order(version: &str) -> impl Ord + use<> {
    let (version, time) = version.split_once(':').unwrap_or((version, ""));
    let (front, branch) = version.split_once('-').unwrap_or((version, ""));
    let release = front.split(',').next().unwrap_or_default();
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split('.').filter(|number| !number.is_empty()).map(|number| number.parse().ok()).collect()
    };
    (numbers(release), numbers(branch), time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_branches_and_times_decide_in_this_order() {
        let ascending = [
            "x",
            "0.5.9,5.11-1:20250101T000000Z",
            "0.5.11",
            "0.5.11,5.11-2023.0",
            "0.5.11,5.10-2024.0.0.0:20240101T000000Z",
            "0.5.11,5.11-2024.0.0.0:20240102T000000Z",
            "0.5.11-2024.0.0.10",
            "1",
        ];
        for pair in ascending.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
    }
}
