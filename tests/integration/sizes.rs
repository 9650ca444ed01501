//! What a file is said to take in an archive, against what is saved when the archive is packed without it.

use crate::command::{minroot, succeed};
use minroot::explain::size::{Drop, what_if};
use minroot::manifest::{Manifest, json};
use minroot::pack::{Compression, Contents, Format, PackOptions, PackReport, measure, write_stream};
use minroot::root::Root;
use std::io;
use std::path::Path;

/// What several programs of this machine need.
fn real() -> Manifest {
    let programs = ["/usr/bin/perl", "/bin/bash", "/usr/bin/openssl", "/usr/bin/tar", "/usr/bin/apt-get", "/usr/bin/file"];
    json::read(&succeed(minroot(["trace", "--root", "/"]).args(programs))).unwrap()
}

#[test]
fn what_is_saved_is_what_was_estimated() {
    let root = Root::open(Path::new("/")).unwrap();
    let contents = Contents::new(&root);
    for compression in [Compression::Zstd, Compression::Gzip] {
        let options = PackOptions { format: Format::Cpio, compression, ..PackOptions::default() };
        let pack = |manifest: &Manifest| -> PackReport {
            write_stream(manifest, &contents, &options, &mut io::sink(), Path::new("archive")).unwrap()
        };
        let mut manifest = real();
        let begin = std::time::Instant::now();
        let whole = pack(&manifest);
        let packed = begin.elapsed();
        measure(&mut manifest, &contents, &options, &whole).unwrap();
        eprintln!("{packed:?} {:?}", begin.elapsed() - packed);
        let mut largest: Vec<_> = manifest.entries.iter().collect();
        largest.sort_by_key(|entry| std::cmp::Reverse(entry.packed));
        for entry in &largest[..8] {
            let drop = Drop { paths: vec![entry.path.as_bytes().to_vec()], ..Drop::default() };
            let answer = what_if(&manifest, &drop).unwrap();
            let mut smaller = manifest.clone();
            smaller.entries.retain(|entry| !answer.gone.contains(&entry));
            let saved = whole.packed - pack(&smaller).packed;
            let estimated = answer.freed.packed;
            eprintln!("{compression} of {}: {} saved {saved}, estimated {estimated} {:.1}%", whole.packed, entry.path, 100.0 * estimated as f64 / saved as f64 - 100.0);
        }
    }
}
