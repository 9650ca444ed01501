//! What differs between two entries of one path.

use crate::manifest::json::type_name;
use crate::manifest::{Content, Entry};
use crate::path::escaped;
use crate::text::hex;

/// An entry that is in both manifests and differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'m> {
    /// As the old manifest has it.
    pub old: &'m Entry,
    /// As the new manifest has it.
    pub new: &'m Entry,
    /// Never empty.
    pub fields: Vec<Field>,
    /// By how many bytes more the file takes in the archive, negative for less; `None` for what is no file in either
    /// image, and where an archive was not measured.
    pub packed_growth: Option<i128>,
}

/// One thing that differs, in the words of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Field {
    /// `size`, `mode`, `owner`, `target`: what people call it.
    pub name: &'static str,
    /// The old value, as the report prints it; empty for an entry without extended attributes.
    pub old: String,
    /// The new value.
    pub new: String,
}

impl<'m> Change<'m> {
    /// `None` when the image would not tell one from the other. What the archives take counts when both are measured.
    pub(super) fn between(old: &'m Entry, new: &'m Entry, is_measured: bool) -> Option<Change<'m>> {
        let mut fields = Vec::new();
        let mut compare = |name, old: String, new: String| {
            if old != new {
                fields.push(Field { name, old, new });
            }
        };
        if std::mem::discriminant(&old.content) != std::mem::discriminant(&new.content) {
            compare("type", type_name(&old.content).to_owned(), type_name(&new.content).to_owned());
        }
        compare_content(&old.content, &new.content, &mut compare);
        if old.mode != new.mode {
            compare("mode", format!("{:04o}", old.mode), format!("{:04o}", new.mode));
        }
        if (old.uid, old.gid) != (new.uid, new.gid) {
            compare("owner", format!("{}:{}", old.uid, old.gid), format!("{}:{}", new.uid, new.gid));
        }
        if old.xattrs != new.xattrs {
            compare("attributes", attributes(old), attributes(new));
        }
        let has_content = old.packed.is_some() || new.packed.is_some();
        let bytes = |entry: &Entry| i128::from(entry.packed.unwrap_or_default());
        let packed_growth = (is_measured && has_content).then(|| bytes(new) - bytes(old));
        (!fields.is_empty()).then_some(Change { old, new, fields, packed_growth })
    }

    /// Whether it has another content, or is of another type.
    pub fn changes_content(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.name, "type" | "size" | "sha256"))
    }

    /// By how many bytes the file grew; negative for one that shrank.
    pub fn growth(&self) -> i128 {
        i128::from(self.new.size()) - i128::from(self.old.size())
    }
}

fn compare_content(old: &Content, new: &Content, compare: &mut impl FnMut(&'static str, String, String)) {
    use Content::{Block, Char, File, Generated, Hardlink, Symlink};
    match (old, new) {
        (
            File { size: old_size, sha256: old, .. } | Generated { size: old_size, sha256: old, .. },
            File { size: new_size, sha256: new, .. } | Generated { size: new_size, sha256: new, .. },
        ) => {
            if old_size != new_size {
                compare("size", old_size.to_string(), new_size.to_string());
            }
            if old != new {
                compare("sha256", hex(old), hex(new));
            }
        }
        (Symlink { target: old }, Symlink { target: new }) if old != new => {
            compare("target", escaped(old).to_string(), escaped(new).to_string());
        }
        (Hardlink { to: old }, Hardlink { to: new }) if old != new => compare("to", old.to_string(), new.to_string()),
        (Char { major: a, minor: b }, Char { major: c, minor: d })
        | (Block { major: a, minor: b }, Block { major: c, minor: d })
            if (a, b) != (c, d) =>
        {
            compare("device", format!("{a}:{b}"), format!("{c}:{d}"));
        }
        _ => {}
    }
}

/// `user.note=6869`, values in hexadecimal.
fn attributes(entry: &Entry) -> String {
    let attribute = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", escaped(name), hex(value));
    entry.xattrs.iter().map(attribute).collect::<Vec<_>>().join(" ")
}
