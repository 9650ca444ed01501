//! Reading, writing, explaining, measuring, drawing and comparing a manifest of 40,000 entries. `why` has 50 ms from the
//! file to the answer.

#[path = "support/large_manifest.rs"]
mod large_manifest;

use criterion::{Criterion, criterion_group, criterion_main};
use minroot::explain::diff::diff;
use minroot::explain::graph::{Graph, page};
use minroot::explain::size::{By, Drop, tables, what_if};
use minroot::explain::{Options, explain, explain_from};
use minroot::manifest::json::{self, Outline};
use minroot::manifest::tree::{self, View};
use minroot::text::Style;
use std::hint::black_box;

fn manifest(criterion: &mut Criterion) {
    let manifest = large_manifest::large_manifest();
    let mut text = Vec::new();
    json::write(&manifest, &mut text).unwrap();
    let reasons: usize = manifest.entries.iter().map(|entry| entry.reasons.len()).sum();
    println!("{} entries, {reasons} reasons, {} bytes of JSON", manifest.entries.len(), text.len());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let popular = manifest.targets.last().unwrap().as_bytes();
    let deep = manifest.entries.iter().max_by_key(|entry| entry.size()).unwrap().path.as_bytes();

    let mut group = criterion.benchmark_group("manifest");
    group.sample_size(20);
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::with_capacity(text.len());
            json::write(&manifest, &mut out).unwrap();
            out
        });
    });
    group.bench_function("read", |bencher| bencher.iter_with_large_drop(|| json::read(&text).unwrap()));
    for (name, path) in [("popular", popular), ("deep", deep), ("mistyped", &b"/usr/lib/libsomethink.so.1.2.3"[..])] {
        group.bench_function(format!("why {name}, manifest in memory"), |bencher| {
            bencher.iter(|| explain(&manifest, black_box(path), &Options::default()).text(Style::Plain).to_string());
        });
        group.bench_function(format!("why {name}, from the file"), |bencher| {
            bencher.iter(|| {
                let bytes = std::fs::read(file.path()).unwrap();
                let outline = Outline::of(&bytes).unwrap();
                let explanation = explain_from(&outline, black_box(path), &Options::default()).unwrap();
                explanation.text(Style::Plain).to_string()
            });
        });
    }
    for by in By::ALL {
        group.bench_function(format!("size by {by:?}, manifest in memory").to_lowercase(), |bencher| {
            bencher.iter(|| tables(&manifest, &[by], 20));
        });
    }
    let drop = Drop { paths: vec![popular.to_vec()], ..Drop::default() };
    group.bench_function("size without a file, manifest in memory", |bencher| {
        bencher.iter(|| what_if(&manifest, &drop).unwrap().freed);
    });
    let mut smaller = manifest.clone();
    smaller.entries.retain(|entry| entry.size() % 10 != 7);
    group.bench_function("diff of 3,300 files, manifests in memory", |bencher| {
        bencher.iter(|| diff(&smaller, &manifest).text(Style::Plain).to_string());
    });
    group.bench_function("graph as json, manifest in memory", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::new();
            Graph::of(&manifest).json(&mut out).unwrap();
            out
        });
    });
    group.bench_function("page, manifest in memory", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::new();
            page::write(&manifest, &mut out).unwrap();
            out
        });
    });
    group.bench_function("tree", |bencher| {
        bencher.iter(|| {
            let mut out = Vec::new();
            tree::write(&manifest, View::default(), &mut out).unwrap();
            out
        });
    });
    group.finish();
}

criterion_group!(benches, manifest);
criterion_main!(benches);
