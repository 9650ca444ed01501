//! Graphs of a manifest with hostile names, judged by the programs that people feed them to.

use crate::command::{minroot, succeed};
use crate::small_root;
use crate::support::{run, scratch, tool};
use minroot::explain::graph::Graph;
use minroot::manifest::{Because, Content, Entry, Manifest, Missing};
use minroot::path::{RootPath, escaped};
use minroot::reason::{Evidence, Kind, Priority, Reason};
use minroot::recipe::System;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};

/// What some format has a meaning for: DOT's labels, XML, HTML, Mermaid's entities, JSON in a page; bytes that are not
/// UTF-8; characters that XML cannot have.
const HOSTILE: [&[u8]; 14] = [
    b"/\"quoted\"",
    b"/<b>&amp;\"'</b>",
    b"/\\N\\G\\n\\",
    b"/]]>",
    b"/a\nb\rc\td",
    b"/bell\x07\x1b[31m\x7f",
    b"/caf\xe9",
    b"/quoted\\",
    b"/semi;#35;#quot;",
    b"/{a|b}",
    "/\u{2028}\u{2029}\u{85}".as_bytes(),
    "/\u{fffe}\u{ffff}\u{fffd}".as_bytes(),
    "/\u{202e}gnp.exe \u{1f980} ü".as_bytes(),
    b"/</script><script>alert(1)</script><!--",
];

/// Each entry needs the next one, by its name; the last misses something.
pub fn hostile_manifest() -> Manifest {
    let mut names = HOSTILE.map(|name| RootPath::new(name).unwrap());
    names.sort();
    let reason = |detail: &[u8]| Reason::new(Evidence::Proven, Kind::Needed, String::from_utf8_lossy(detail));
    let mut entries: Vec<Entry> = Vec::new();
    for path in names {
        let because = match entries.last() {
            None => Because { from: None, reason: Reason::new(Evidence::Target, Kind::Target, "") },
            Some(last) => {
                let from = last.path.clone();
                Because { reason: reason(&[from.as_bytes(), path.as_bytes()].concat()), from: Some(from) }
            }
        };
        let package = Some(String::from_utf8_lossy(path.as_bytes()).into_owned());
        let content = Content::File { size: 1, sha256: [0; 32], unpacked_from: None };
        let reasons = vec![because];
        entries.push(Entry {
            path,
            content,
            mode: 0o644,
            uid: 0,
            gid: 0,
            xattrs: Vec::new(),
            package,
            packed: None,
            reasons,
        });
    }
    let name = "\0<&\"\\\u{1}".to_owned();
    let missing = Missing {
        from: entries.last().map(|entry| entry.path.clone()),
        reason: reason(name.as_bytes()),
        name,
        priority: Priority::Required,
        consequence: None,
        probes: Vec::new(),
    };
    Manifest { missing: vec![missing], ..Manifest::new(System::Linux, "x86_64", entries) }
}

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}

/// The names as people see them, in the order of the nodes; two characters that SVG cannot have are told as bytes.
fn shown(manifest: &Manifest) -> Vec<String> {
    let entries = manifest.entries.iter().map(|entry| entry.path.to_string());
    let missing = manifest.missing.iter().map(|missing| format!("missing: {}", escaped(missing.name.as_bytes())));
    let told = |name: String| name.replace('\u{fffe}', r"\xef\xbf\xbe").replace('\u{ffff}', r"\xef\xbf\xbf");
    entries.chain(missing).map(told).collect()
}

#[test]
fn graphviz_shows_every_name_as_it_is() {
    let Some(dot) = tool("dot") else { return };
    let manifest = hostile_manifest();
    let directory = scratch();
    let file = directory.path().join("graph.dot");
    fs::write(&file, written(|out| Graph::of(&manifest).dot(out))).unwrap();
    let svg = String::from_utf8(run(&dot, &[OsStr::new("-Tsvg"), file.as_os_str()])).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let svg = roxmltree::Document::parse_with_options(&svg, options).unwrap();
    let nodes = svg.descendants().filter(|element| element.attribute("class") == Some("node"));
    let labels = nodes.filter_map(|node| node.descendants().find(|element| element.has_tag_name((SVG, "text"))));
    let labels: Vec<String> = labels.filter_map(|text| text.text()).map(|text| text.replace('\u{a0}', " ")).collect();
    assert_eq!(labels, shown(&manifest));
    assert_eq!(svg.descendants().filter(|element| element.attribute("class") == Some("edge")).count(), 14);
}

const SVG: &str = "http://www.w3.org/2000/svg";

/// The names, the bytes that they stand for, and the words of the edges.
const READ_GRAPHML: &str = "
import json, sys, xml.etree.ElementTree as tree
namespace = '{http://graphml.graphdrawing.org/xmlns}'
graph = tree.parse(sys.argv[1]).getroot().find(namespace + 'graph')
def data(element):
    return {data.get('key'): data.text for data in element.findall(namespace + 'data')}
json.dump({'nodes': [data(node) for node in graph.findall(namespace + 'node')],
           'edges': [data(edge) for edge in graph.findall(namespace + 'edge')]}, sys.stdout)
";

#[test]
fn python_reads_every_byte_from_graphml() {
    let Some(python) = tool("python3") else { return };
    let manifest = hostile_manifest();
    let directory = scratch();
    let file = directory.path().join("graph.graphml");
    fs::write(&file, written(|out| Graph::of(&manifest).graphml(out))).unwrap();
    let arguments = ["-c", READ_GRAPHML].map(OsStr::new);
    let read = run(&python, &[arguments[0], arguments[1], file.as_os_str()]);
    let read: Value = serde_json::from_slice(&read).unwrap();
    let paths = manifest.entries.iter().map(|entry| entry.path.as_bytes());
    let expected: Vec<&[u8]> = paths.chain([manifest.missing[0].name.as_bytes()]).collect();
    let names: Vec<Vec<u8>> = read["nodes"].as_array().unwrap().iter().map(name_of).collect();
    assert_eq!(names, expected);
    assert_eq!(read["edges"][0]["kind"], "needed");
    assert_eq!(read["edges"].as_array().unwrap().len(), 14);
}

fn name_of(node: &Value) -> Vec<u8> {
    match node["name_hex"].as_str() {
        Some(digits) => bytes_of(digits),
        None => node["name"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn bytes_of(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn json_has_every_byte_and_the_schema_of_its_documentation() {
    let manifest = hostile_manifest();
    let graph: Value = serde_json::from_slice(&written(|out| Graph::of(&manifest).json(out))).unwrap();
    let nodes = graph["nodes"].as_array().unwrap();
    for (node, entry) in nodes.iter().zip(&manifest.entries) {
        let bytes = match node["path_hex"].as_str() {
            Some(digits) => bytes_of(digits),
            None => node["path"].as_str().unwrap().as_bytes().to_vec(),
        };
        assert_eq!(bytes, entry.path.as_bytes());
    }
    assert_eq!((nodes.len(), &nodes[14]["name"]), (15, &Value::from(&manifest.missing[0].name[..])));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&graph), "directed edges format multigraph nodes");
    assert_eq!(keys(&nodes[0]), "asked_for evidence id package path retained size type what");
    assert_eq!(keys(&nodes[14]), "id name priority what");
    assert_eq!(keys(&graph["edges"][0]), "detail evidence kind source target words");
    assert_eq!((&graph["edges"][3]["source"], &graph["edges"][3]["target"]), (&Value::from(3), &Value::from(4)));
}

#[test]
fn json_of_a_measured_archive_accounts_for_every_byte_of_it() {
    let directory = scratch();
    let [root, manifest, packed, archive] =
        ["root", "m.json", "p.json", "a.tar"].map(|name| directory.path().join(name));
    small_root::make(&root);
    succeed(minroot(["trace", "/usr/bin/app", "--root"]).arg(&root).arg("-o").arg(&manifest));
    let mut pack = minroot(["pack", "--format", "tar", "--compress", "gzip", "-m"]);
    pack.arg(&manifest).arg("--root").arg(&root).arg("-o").arg(&archive).arg("--sizes-to").arg(&packed);
    succeed(&mut pack);
    let graph = |manifest| -> Value {
        serde_json::from_slice(&succeed(minroot(["graph", "--format", "json", "-m"]).arg(manifest))).unwrap()
    };
    let measured = graph(&packed);
    let nodes = measured["nodes"].as_array().unwrap();
    let of_files: u64 = nodes.iter().filter_map(|node| node["packed"].as_u64()).sum();
    let of_archive = &measured["packed"];
    assert!(of_files > 0);
    assert_eq!(of_archive["bytes"], of_files + of_archive["overhead"].as_u64().unwrap());
    assert_eq!(of_archive["bytes"], fs::metadata(&archive).unwrap().len());
    assert!(nodes.iter().all(|node| (node["type"] == "file") == node["packed"].is_u64()), "{measured:#}");
    let plain = graph(&manifest);
    assert!(
        plain["packed"].is_null() && plain["nodes"].as_array().unwrap().iter().all(|node| node["packed"].is_null())
    );
}

#[test]
fn mermaid_gets_no_character_that_it_could_take_for_its_own() {
    let chart = Graph::of(&hostile_manifest()).mermaid().unwrap();
    let labels: Vec<&str> =
        chart.lines().filter_map(|line| line.split_once("[\"")?.1.split_once("\"]")).map(|label| label.0).collect();
    assert_eq!(labels.len(), 15);
    for label in labels {
        assert!(!label.contains(['"', '<', '>', '&', '\\', '`', '{', '|', '(', '*', '_']), "{label}");
    }
    assert!(chart.contains("[\"/#60;b#62;#38;amp#59;"), "{chart}");
}
