//! Charts for Mermaid, judged and drawn by Mermaid itself in a browser.
//!
//! Its bundle comes from the npm registry and stays in the cache of the tests.

use crate::browser::{Browser, Tab};
use crate::command::{cache, minroot, output_of, repository, succeed, text};
use crate::graph::hostile_manifest;
use crate::small_root;
use crate::support::{run, scratch, tool};
use minroot::explain::graph::{Graph, Node, Thing};
use minroot::manifest::{Manifest, json};
use minroot::path::escaped;
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// With its version, so that a new one does not fail an old commit.
const MERMAID: &str = "mermaid@12.3.0";

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>judge</title>\
                    <script src=mermaid.min.js></script>\
                    <script>mermaid.initialize({ startOnLoad: false }); document.documentElement.dataset.ready = ''</script>";

/// What Mermaid has against a chart: nothing, or its complaint.
const PARSE: &str = "mermaid.parse(CHART).then(({ diagramType }) => diagramType, error => `refused: ${error}`)";

/// The texts of the nodes as Mermaid draws them, in the order of their numbers, and how many lines are between them.
const DRAW: &str = "mermaid.render('drawn', CHART).then(({ svg }) => {
    const page = new DOMParser().parseFromString(svg, 'text/html');
    const number = node => Number(/-n(\\d+)-/.exec(node.id)[1]);
    const nodes = [...page.querySelectorAll('g.node')].sort((a, b) => number(a) - number(b));
    return { nodes: nodes.map(node => node.textContent.trim()), edges: page.querySelectorAll('.edgePaths path').length };
})";

/// The bundle for browsers; `None` with a message where there is no npm, or no network to get it from.
fn bundle() -> Option<&'static PathBuf> {
    static BUNDLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUNDLE.get_or_init(download).as_ref()
}

fn download() -> Option<PathBuf> {
    let (npm, tar) = (tool("npm")?, tool("tar")?);
    let bundle = cache().join(MERMAID).join("mermaid.min.js");
    if bundle.is_file() {
        return Some(bundle);
    }
    let directory = scratch();
    let pack = output_of(Command::new(npm).args(["pack", "--silent", MERMAID]).current_dir(directory.path()));
    if !pack.status.success() {
        assert!(std::env::var_os("CI").is_none(), "{}", text(&pack.stderr));
        eprintln!("skipped: {MERMAID} cannot be downloaded: {}", text(&pack.stderr));
        return None;
    }
    let archive = directory.path().join(text(&pack.stdout).trim());
    let content = run(&tar, &["-xzOf".as_ref(), archive.as_os_str(), OsStr::new("package/dist/mermaid.min.js")]);
    fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    // Whoever stops in between leaves no half of a bundle.
    let half = bundle.with_extension("half");
    fs::write(&half, content).unwrap();
    fs::rename(half, &bundle).unwrap();
    Some(bundle)
}

struct Judge(Tab);

impl Judge {
    fn get() -> Option<Judge> {
        let bundle = bundle()?;
        let browser = Browser::get()?;
        let page = bundle.with_file_name("judge.html");
        fs::write(&page, PAGE).unwrap();
        Some(Judge(Tab::open(browser, &page)))
    }

    fn parse(&mut self, chart: &str) -> String {
        let answer = self.0.evaluate(&PARSE.replace("CHART", &json!(chart).to_string()));
        answer.as_str().unwrap().to_owned()
    }

    /// The chart has to be taken, and its nodes to say what they are called.
    fn check(&mut self, chart: &str, manifest: &Manifest) {
        assert_eq!(self.parse(chart), "flowchart-v2", "{chart}");
        let drawn = self.0.evaluate(&DRAW.replace("CHART", &json!(chart).to_string()));
        let nodes: Vec<&str> = drawn["nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap()).collect();
        let graph = Graph::of(manifest);
        let names: Vec<String> = graph.nodes.iter().map(shown).collect();
        assert_eq!(nodes, names);
        assert_eq!(drawn["edges"], graph.edges.len(), "{chart}");
    }
}

/// The name of a node as people see it.
fn shown(node: &Node) -> String {
    let name = escaped(node.name());
    match node.thing {
        Thing::Entry { .. } => name.to_string(),
        Thing::Missing { .. } => format!("missing: {name}"),
        Thing::Unknown { .. } => format!("unknown: {name}"),
        Thing::Outside { .. } => format!("outside: {name}"),
    }
}

/// Programs with the names of what Mermaid has a meaning for, each of which needs a library and a loader.
const AWKWARD: [&str; 14] = [
    "end",
    "graph",
    "subgraph",
    "a\"b'c",
    "x[y](z){w}",
    "#35;#quot;",
    "semi;colon",
    "caf\u{e9} \u{1f980}",
    "**bold**_`md`",
    "--> o--o x--x",
    "%% comment",
    "a|b|c",
    "<br>&amp;",
    "click n0 call alert()",
];

#[test]
fn mermaid_takes_the_chart_of_a_real_root_with_awkward_names() {
    let directory = scratch();
    let [root, recipe, manifest] = ["root", "all.toml", "m.json"].map(|name| directory.path().join(name));
    small_root::make(&root);
    fs::remove_file(root.join("usr/bin/broken")).unwrap();
    for name in AWKWARD {
        fs::write(root.join("usr/bin").join(name), small_root::program(&["libc.so.6"], None)).unwrap();
    }
    fs::write(&recipe, "[trace]\ninclude = ['/usr/bin']\n").unwrap();
    succeed(minroot(["trace", "--root"]).arg(&root).arg(&recipe).arg("-o").arg(&manifest));
    let mut graph = minroot(["graph", "--format", "mermaid", "--directories", "-m"]);
    let chart = String::from_utf8(succeed(graph.arg(&manifest))).unwrap();
    let Some(mut judge) = Judge::get() else { return };
    judge.check(&chart, &json::read(&fs::read(&manifest).unwrap()).unwrap());
    // The same judge refuses what minroot takes care not to write.
    for (right, wrong) in
        [("#34;b", "\"b"), ("-->|needed|", "-->|needed"), ("flowchart LR", "flowchart XY"), ("\"]", "\"")]
    {
        let broken = chart.replacen(right, wrong, 1);
        assert_ne!(broken, chart, "{right}");
        let answer = judge.parse(&broken);
        assert!(answer.starts_with("refused: "), "{wrong}: {answer}");
    }
    judge.0.close();
}

#[test]
fn mermaid_shows_every_name_as_it_is() {
    let Some(mut judge) = Judge::get() else { return };
    let small = json::read(&fs::read(repository("testdata/manifest/small.json")).unwrap()).unwrap();
    for manifest in [small, hostile_manifest()] {
        judge.check(&Graph::of(&manifest).mermaid().unwrap(), &manifest);
    }
    judge.0.close();
}
