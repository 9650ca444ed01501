//! How the time of a trace grows with the number of objects: 10 to 100,000 of them, linked as a chain (each needs the
//! next), a fan (one needs all) or diamonds (each of a pair needs both of the next pair), and as programs that all need
//! the same five libraries.
//!
//! Prints microseconds per object. The last factor of ten in objects may cost at most three times as much per object;
//! what grows faster than its input ends the bench with an error.
//!
//!     cargo bench --bench scaling             # up to 100,000 objects: writes 100,000 small files per shape
//!     cargo bench --bench scaling -- 10000    # up to 10,000

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/integration/elf.rs"]
mod elf;
#[path = "../tests/integration/small_root.rs"]
mod small_root;

use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, trace_kept};
use small_root::{library, program};
use std::path::Path;
use std::time::{Duration, Instant};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Above this the time per object no longer counts as constant. Deeper directories and colder caches cost something too.
const MOST_GROWTH: f64 = 3.0;

/// The libraries that each library needs.
type Needs = fn(usize, usize) -> Vec<usize>;

fn chain(object: usize, n_objects: usize) -> Vec<usize> {
    (object + 1..n_objects).take(1).collect()
}

fn fan(object: usize, n_objects: usize) -> Vec<usize> {
    if object == 0 { (1..n_objects).collect() } else { Vec::new() }
}

fn diamonds(object: usize, n_objects: usize) -> Vec<usize> {
    let next_pair = object / 2 * 2 + 2;
    (next_pair..n_objects).take(2).collect()
}

/// The fixtures keep names for the whole run.
fn names(n_objects: usize) -> Vec<&'static str> {
    (0..n_objects).map(|object| &*format!("libn{object}.so.1").leak()).collect()
}

/// A root with one program that needs the first library.
fn linked(top: &Path, n_objects: usize, needs: Needs) -> Vec<String> {
    let names = names(n_objects);
    for (object, name) in names.iter().enumerate() {
        let needed: Vec<&str> = needs(object, n_objects).into_iter().map(|needed| names[needed]).collect();
        std::fs::write(top.join(LIBRARIES).join(name), library(name, &needed)).unwrap();
    }
    std::fs::write(top.join("usr/bin/program"), program(&names[..1], None)).unwrap();
    vec!["/usr/bin/program".to_owned()]
}

/// A root with many programs that need the same libraries.
fn programs(top: &Path, n_objects: usize) -> Vec<String> {
    linked(top, 5, chain);
    let program = program(&names(1), None);
    let paths = (0..n_objects).map(|number| format!("/usr/bin/p{number}"));
    paths.inspect(|path| std::fs::write(top.join(&path[1..]), &program).unwrap()).collect()
}

/// The least of three traces with all rules in force, after one that warms the caches.
fn time(top: &Path, targets: Vec<String>, n_objects: usize) -> Duration {
    let root = Root::open(top).unwrap();
    let rules = RuleSet::load(&[]).unwrap();
    let mut recipe = Recipe::default();
    recipe.trace.targets = targets;
    let input =
        Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache: Cache::FromConfiguration };
    let measure = |_| {
        let start = Instant::now();
        let trace = trace_kept(input).unwrap();
        let elapsed = start.elapsed();
        assert!(trace.kept().len() > n_objects && trace.missing.is_empty(), "{:?}", trace.missing.first());
        elapsed
    };
    (0..4).map(measure).skip(1).min().unwrap()
}

fn main() {
    let most = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let sizes: Vec<usize> = (1..).map(|exponent| 10usize.pow(exponent)).take_while(|&size| size <= most).collect();
    let mut grew = Vec::new();
    for shape in ["chain", "fan", "diamonds", "programs"] {
        let mut per_object = Vec::new();
        for &size in &sizes {
            let directory = tempfile::tempdir().unwrap();
            small_root::make(directory.path());
            let targets = match shape {
                "chain" => linked(directory.path(), size, chain),
                "fan" => linked(directory.path(), size, fan),
                "diamonds" => linked(directory.path(), size, diamonds),
                _ => programs(directory.path(), size),
            };
            let elapsed = time(directory.path(), targets, size);
            let micros = elapsed.as_secs_f64() * 1e6 / size as f64;
            println!("{shape:10} {size:7} objects {:9.1} ms {micros:8.2} us/object", elapsed.as_secs_f64() * 1e3);
            per_object.push(micros);
        }
        if let [.., before, last] = per_object[..]
            && last > MOST_GROWTH * before
        {
            grew.push(format!("{shape}: {before:.2} to {last:.2} us per object"));
        }
    }
    assert!(grew.is_empty(), "more than linear: {}", grew.join(", "));
}
