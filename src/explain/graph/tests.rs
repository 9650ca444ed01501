use super::*;
use crate::manifest::json::read;
use crate::manifest::needs::tests::manifest_of;
use crate::manifest::{Because, Content, Missing};
use crate::reason::Kind;

fn names(graph: &Graph) -> Vec<String> {
    graph.nodes.iter().map(|node| escaped(node.name()).to_string()).collect()
}

fn arrows(graph: &Graph) -> Vec<String> {
    let name = |node: usize| escaped(graph.nodes[node].name()).to_string();
    graph.edges.iter().map(|edge| format!("{} > {}", name(edge.from), name(edge.to))).collect()
}

/// Two programs, two libraries, and what the second library needs.
fn programs() -> Manifest {
    manifest_of(&[
        ("/bin/a", &[]),
        ("/bin/b", &[]),
        ("/lib/x", &["/bin/a", "/bin/b"]),
        ("/lib/y", &["/bin/b"]),
        ("/lib/z", &["/lib/y"]),
    ])
}

fn check(filter: Filter, expected: &[&str]) {
    let manifest = programs();
    assert_eq!(names(&Graph::of(&manifest).select(&manifest, &filter).unwrap()), expected, "{filter:?}");
}

fn around(node: &str, direction: Direction, depth: Option<usize>) -> Filter {
    Filter { nodes: vec![node.into()], direction, depth, ..Filter::default() }
}

#[test]
fn what_surrounds_a_node_lies_above_and_below_it() {
    check(around("/lib/y", Direction::Both, None), &["/bin/b", "/lib/y", "/lib/z"]);
    check(around("/lib/x", Direction::Both, None), &["/bin/a", "/bin/b", "/lib/x"]);
    check(around("z", Direction::Up, None), &["/bin/b", "/lib/y", "/lib/z"]);
    check(around("z", Direction::Up, Some(1)), &["/lib/y", "/lib/z"]);
    check(around("z", Direction::Down, None), &["/lib/z"]);
    check(around("/bin/*", Direction::Down, Some(1)), &["/bin/a", "/bin/b", "/lib/x", "/lib/y"]);
    check(around("[xy]", Direction::Down, None), &["/lib/x", "/lib/y", "/lib/z"]);
}

#[test]
fn without_a_node_the_depth_counts_from_the_targets() {
    check(Filter { depth: Some(0), ..Filter::default() }, &["/bin/a", "/bin/b"]);
    check(Filter { depth: Some(1), ..Filter::default() }, &["/bin/a", "/bin/b", "/lib/x", "/lib/y"]);
}

#[test]
fn edges_within_the_part_are_all_in_it() {
    let manifest = programs();
    let filter = around("/bin/b", Direction::Down, None);
    let part = Graph::of(&manifest).select(&manifest, &filter).unwrap();
    assert_eq!(arrows(&part), ["/bin/b > /lib/x", "/bin/b > /lib/y", "/lib/y > /lib/z"]);
}

#[test]
fn a_class_of_evidence_leaves_what_it_joins() {
    let mut manifest = programs();
    manifest.entries[4].reasons[0].reason.evidence = Evidence::Rule;
    let select = |evidence| {
        let filter = Filter { evidence: vec![evidence], ..Filter::default() };
        Graph::of(&manifest).select(&manifest, &filter).unwrap()
    };
    assert_eq!(names(&select(Evidence::Rule)), ["/lib/y", "/lib/z"]);
    assert_eq!(names(&select(Evidence::Target)), ["/bin/a", "/bin/b"]);
}

#[test]
fn directories_are_left_out_unless_something_else_is_said_of_them() {
    let mut manifest = manifest_of(&[("/d", &["/d/t"]), ("/d/t", &[]), ("/e", &["/d/t"])]);
    for directory in [0, 2] {
        manifest.entries[directory].content = Content::Directory;
    }
    manifest.entries[0].reasons[0].reason.kind = Kind::Directory;
    let filter = Filter { without_directories: true, ..Filter::default() };
    let part = Graph::of(&manifest).select(&manifest, &filter).unwrap();
    assert_eq!(names(&part), ["/d/t", "/e"]);
    assert_eq!(arrows(&part), ["/d/t > /e"]);
}

#[test]
fn a_link_to_a_directory_is_left_out_and_one_to_a_file_is_not() {
    let manifest = read(include_bytes!("../../../testdata/manifest/small.json")).unwrap();
    let filter = Filter { without_directories: true, ..around("/usr/bin/node", Direction::Down, Some(2)) };
    let part = Graph::of(&manifest).select(&manifest, &filter).unwrap();
    let links =
        part.nodes.iter().filter_map(Node::entry).filter(|entry| matches!(entry.content, Content::Symlink { .. }));
    let links: Vec<String> = links.map(|entry| entry.path.to_string()).collect();
    assert_eq!(links, ["/usr/lib/x86_64-linux-gnu/libz.so.1"]);
}

#[test]
fn a_directory_that_is_named_is_not_left_out() {
    let manifest = read(include_bytes!("../../../testdata/manifest/small.json")).unwrap();
    let arrows = |name| {
        let filter = Filter { without_directories: true, ..around(name, Direction::Up, Some(1)) };
        arrows(&Graph::of(&manifest).select(&manifest, &filter).unwrap())
    };
    assert_eq!(arrows("/dev"), ["/dev/console > /dev"]);
    assert_eq!(arrows("/lib"), ["/usr/bin/node > /lib"]);
}

#[test]
fn a_name_that_nothing_has_is_told() {
    let manifest = programs();
    let error = |pattern: &str| Graph::of(&manifest).select(&manifest, &around(pattern, Direction::Both, None));
    assert_eq!(error("/lib/w").unwrap_err().hint(), "did you mean `/lib/x`?");
    assert!(matches!(error("/lib/[x"), Err(SelectError::Pattern { .. })));
}

#[test]
fn an_exact_name_is_no_pattern() {
    let manifest = manifest_of(&[("/bin/[", &[]), ("/bin/x", &[])]);
    let part = Graph::of(&manifest).select(&manifest, &around("[", Direction::Both, None)).unwrap();
    assert_eq!(names(&part), ["/bin/["]);
}

#[test]
fn a_path_is_found_through_the_symlinks_of_the_image() {
    let manifest = read(include_bytes!("../../../testdata/manifest/small.json")).unwrap();
    let filter = around("/lib/x86_64-linux-gnu/libz.so.1", Direction::Down, Some(0));
    let part = Graph::of(&manifest).select(&manifest, &filter).unwrap();
    assert_eq!(names(&part), ["/usr/lib/x86_64-linux-gnu/libz.so.1"]);
}

/// A required and a recommended reference to one missing library, two objects with the same doubt, a lost referrer.
fn incomplete() -> Manifest {
    let mut manifest = manifest_of(&[("/a", &[]), ("/b", &["/gone"])]);
    let reason = Reason::new(Evidence::Proven, Kind::Needed, "libx.so");
    for (from, priority) in [("/a", Priority::Recommended), ("/b", Priority::Required)] {
        let from = Some(RootPath::new(from).unwrap());
        let doubt = Reason::new(Evidence::Suspected, Kind::Dlopen, "dlopen");
        manifest.unknown.push(Omission { from: from.clone(), reason: doubt, to: None, why: "computed".to_owned() });
        let (name, reason) = ("libx.so".to_owned(), reason.clone());
        manifest.missing.push(Missing { from, reason, name, priority, consequence: None, probes: Vec::new() });
    }
    manifest
}

#[test]
fn what_is_missing_or_unknown_is_one_node_for_all_who_refer_to_it() {
    let manifest = incomplete();
    let graph = Graph::of(&manifest);
    let arrows = arrows(&graph);
    assert_eq!(names(&graph), ["/a", "/b", "/gone", "libx.so", "dlopen"]);
    assert_eq!(arrows, ["/gone > /b", "/a > libx.so", "/b > libx.so", "/a > dlopen", "/b > dlopen"]);
    assert_eq!(graph.nodes[3].thing, Thing::Missing { name: "libx.so", priority: Priority::Required });
    assert_eq!(graph.edges[1].words(&graph), "NEEDED `libx.so` of /a");
}

#[test]
fn what_is_missing_can_be_asked_for() {
    let manifest = incomplete();
    let filter = around("libx.so", Direction::Up, Some(1));
    assert_eq!(names(&Graph::of(&manifest).select(&manifest, &filter).unwrap()), ["/a", "/b", "libx.so"]);
}

#[test]
fn mermaid_draws_500_edges_and_no_more() {
    let from: Vec<String> = (0..500).map(|i| format!("/{i:03}")).collect();
    let mut files: Vec<(&str, &[&str])> = vec![("/t", &[])];
    files.extend(from.iter().map(|path| (&path[..], &["/t"][..])));
    let mut manifest = manifest_of(&files);
    assert_eq!(Graph::of(&manifest).mermaid().unwrap().matches("-->|needed|").count(), 500);
    let because = manifest.entries[0].reasons[0].clone();
    manifest.entries[0].reasons.push(Because { reason: Reason::new(Evidence::Rule, Kind::Rule, "x"), ..because });
    let error = Graph::of(&manifest).mermaid().unwrap_err();
    let words =
        format!("the graph has 501 edges in {} characters, and Mermaid draws at most 500 in 50,000", error.characters);
    assert_eq!(error.to_string().replace(',', ""), words.replace(',', ""));
}
