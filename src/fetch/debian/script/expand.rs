//! Words to their values (XCU 2.6), as far as these are known.

use super::word::{Form, Part, Word};
use super::{BYTES_PER_STEP, Shell, VALUE_LIMIT, Value, WORD_COST};

impl Shell<'_> {
    /// The words that a command gets, whose copying is counted.
    pub fn expand_all(&mut self, words: &[Word]) -> Vec<Value> {
        let mut all = Vec::new();
        for word in words {
            all.extend(self.expand(word));
            if all.len() > VALUE_LIMIT {
                return vec![None];
            }
        }
        let bytes: usize = all.iter().map(|word| word.as_ref().map_or(0, String::len) + WORD_COST).sum();
        self.steps += bytes / BYTES_PER_STEP;
        all
    }

    /// The words that one gives: unquoted values are split, `"$@"` is as many as there are arguments.
    fn expand(&self, word: &Word) -> Vec<Value> {
        if let [Part::Variable { name, form: Form::Value, .. }] = &word.parts[..]
            && matches!(name.as_str(), "@" | "*")
        {
            return self.arguments.clone();
        }
        if let [Part::Text { quoted: true, text }, rest] = &word.parts[..]
            && text.is_empty()
            && let Part::Variable { name, form: Form::Value, .. } = rest
            && name == "@"
        {
            return self.arguments.clone();
        }
        let mut fields: Vec<String> = Vec::new();
        let mut field: Option<String> = None;
        for part in &word.parts {
            let Some((value, splits)) = self.value(part) else { return vec![None] };
            if !splits {
                field.get_or_insert_default().push_str(&value);
                continue;
            }
            for (index, piece) in value.split([' ', '\t', '\n']).enumerate() {
                if index > 0 {
                    fields.extend(field.take());
                }
                if !piece.is_empty() {
                    field.get_or_insert_default().push_str(piece);
                }
            }
        }
        fields.extend(field);
        let is_short = |field: &String| field.len() <= VALUE_LIMIT;
        fields.into_iter().map(|field| Some(field).filter(is_short)).collect()
    }

    /// A word where nothing is split: the value of an assignment, what `case` compares.
    pub fn expand_one(&self, word: &Word) -> Value {
        let parts = word.parts.iter().map(|part| Some(self.value(part)?.0));
        parts.collect::<Option<String>>().filter(|value| value.len() <= VALUE_LIMIT)
    }

    /// The value of a part, and whether it is split at blanks.
    fn value(&self, part: &Part) -> Option<(String, bool)> {
        match part {
            Part::Text { text, quoted: true } => Some((text.clone(), false)),
            // A pattern stands for files. A lone bracket is the command `[`.
            Part::Text { text, .. } => {
                let is_pattern =
                    text.contains(['*', '?']) || text.contains('[') && text != "[" || text.starts_with('~');
                (!is_pattern).then(|| (text.clone(), false))
            }
            Part::Variable { name, form, quoted } => {
                let value = self.variable(name)?;
                let value = match (form, value.is_empty()) {
                    (Form::Value, _) | (Form::Default(_), false) | (Form::Alternative(_), true) => value,
                    (Form::Default(word), true) | (Form::Alternative(word), false) => word.clone()?,
                };
                Some((value, !quoted))
            }
            // The architecture is asked for often, and dpkg says it in a variable too.
            Part::Command { text, quoted } if text.trim() == "dpkg --print-architecture" => {
                Some((self.variable("DPKG_MAINTSCRIPT_ARCH")?, !quoted))
            }
            Part::Command { .. } | Part::Unknown => None,
        }
    }

    fn variable(&self, name: &str) -> Value {
        match name.parse::<usize>() {
            Ok(0) => None,
            // An argument that is not there is empty; after one that may be several, nothing is known.
            Ok(number) if self.arguments.iter().take(number).any(Option::is_none) => None,
            Ok(number) => Some(self.arguments.get(number - 1).cloned().flatten().unwrap_or_default()),
            Err(_) => self.variables.get(name)?.clone(),
        }
    }
}
