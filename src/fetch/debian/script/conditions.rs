//! test(1), as far as its answer is known.

use super::Value;

/// The answer of `[ ... ]` or `test ...`. `None` for what is not known or not understood.
pub fn test(name: &str, arguments: &[Value], test_file: &dyn Fn(char, &str) -> Option<bool>) -> Option<bool> {
    let words: Vec<&str> = arguments.iter().map(Option::as_deref).collect::<Option<_>>()?;
    match (name, &words[..]) {
        ("[", [words @ .., "]"]) | ("test", words) => answer(words, test_file),
        _ => None,
    }
}

/// The forms that POSIX.1-2024 defines by the number of words.
fn answer(words: &[&str], test_file: &dyn Fn(char, &str) -> Option<bool>) -> Option<bool> {
    match words {
        [] => Some(false),
        [word] => Some(!word.is_empty()),
        [first, "=" | "==", second] => Some(first == second),
        [first, "!=", second] => Some(first != second),
        [first, operator @ ("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"), second] => {
            let (first, second): (i64, i64) = (first.parse().ok()?, second.parse().ok()?);
            Some(match *operator {
                "-eq" => first == second,
                "-ne" => first != second,
                "-lt" => first < second,
                "-le" => first <= second,
                "-gt" => first > second,
                _ => first >= second,
            })
        }
        ["!", rest @ ..] => Some(!answer(rest, test_file)?),
        ["-n", word] => Some(!word.is_empty()),
        ["-z", word] => Some(word.is_empty()),
        [operator, path] => {
            let letter = operator.strip_prefix('-').filter(|rest| rest.len() == 1)?.chars().next()?;
            test_file(letter, path)
        }
        _ => None,
    }
}
