//! Small ISO images for the tests of the loaders.

use crate::iso::iso9660::{Attributes, Volume};
use crate::iso::{Blob, IsoImage};
use crate::path::RootPath;

/// An image that holds these files.
pub(super) fn image(files: &[(&str, &str)]) -> IsoImage {
    let mut volume = Volume::new("TEST", 0).unwrap();
    for (path, text) in files {
        let attributes = Attributes { mode: 0o644, uid: 0, gid: 0 };
        volume.add_file(&RootPath::new(path).unwrap(), attributes, Blob::from_bytes(text.as_bytes())).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    volume.layout().unwrap().write(file.path()).unwrap();
    IsoImage::new(Blob::from_bytes(std::fs::read(file.path()).unwrap())).unwrap()
}

/// Severity, message and place of findings.
pub(super) fn lines(findings: &[crate::verify::Finding]) -> Vec<String> {
    let line = |f: &crate::verify::Finding| {
        format!("{} {} [{}]", f.severity.letter(), f.message, f.path.as_deref().unwrap_or_default())
    };
    findings.iter().map(line).collect()
}
