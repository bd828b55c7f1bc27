//! Finds circles among arrows, and prints each with the arrows that make it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;

use super::arrows::{Arrow, arrows};
use super::tree::{ModulePath, Sources, Tree};

/// Nodes with one arrow, as an example, for each edge.
type Graph<'a> = BTreeMap<ModulePath, BTreeMap<ModulePath, &'a Arrow>>;

/// Every circle of a crate, described; none if there is none.
///
/// A module and its own children may refer to each other. Every other circle counts: between files, and between the
/// children of a module, where each child stands for everything below it.
pub fn circles(sources: &Sources, root: &str) -> Vec<String> {
    let tree = Tree::read(sources, root);
    let arrows = arrows(&tree);
    let mut found = circles_of(&between_files(&arrows), "files", &tree.files);
    for (parent, graph) in between_modules(&arrows) {
        let kind = match parent.join("::") {
            name if name.is_empty() => "modules".to_owned(),
            name => format!("modules of `{name}`"),
        };
        found.extend(circles_of(&graph, &kind, &tree.files));
    }
    found
}

fn is_parent(parent: &ModulePath, child: &ModulePath) -> bool {
    child.split_last().is_some_and(|(_, above)| above == parent)
}

fn between_files(arrows: &[Arrow]) -> Graph<'_> {
    let mut graph = Graph::new();
    for arrow in arrows {
        if !is_parent(&arrow.from, &arrow.to) && !is_parent(&arrow.to, &arrow.from) {
            let edges = graph.entry(arrow.from.clone()).or_default();
            edges.entry(arrow.to.clone()).or_insert(arrow);
        }
    }
    graph
}

/// For each module the graph of its children.
fn between_modules(arrows: &[Arrow]) -> BTreeMap<ModulePath, Graph<'_>> {
    let mut graphs: BTreeMap<ModulePath, Graph<'_>> = BTreeMap::new();
    for arrow in arrows {
        let shared = arrow
            .from
            .iter()
            .zip(&arrow.to)
            .take_while(|(from, to)| from == to)
            .count();
        if shared < arrow.from.len() && shared < arrow.to.len() {
            let child = |path: &ModulePath| path[..=shared].to_vec();
            let graph = graphs.entry(arrow.from[..shared].to_vec()).or_default();
            let edges = graph.entry(child(&arrow.from)).or_default();
            edges.entry(child(&arrow.to)).or_insert(arrow);
        }
    }
    graphs
}

fn circles_of(graph: &Graph<'_>, kind: &str, files: &BTreeMap<ModulePath, PathBuf>) -> Vec<String> {
    let mut reported = BTreeSet::new();
    let mut found = Vec::new();
    for node in graph.keys() {
        if reported.contains(node) {
            continue;
        }
        let Some(circle) = shortest_circle(graph, node) else {
            continue;
        };
        let members: Vec<&ModulePath> = graph
            .keys()
            .filter(|other| {
                *other == node
                    || path_between(graph, node, other).is_some()
                        && path_between(graph, other, node).is_some()
            })
            .collect();
        let name = |path: &&ModulePath| match path.join("::") {
            name if name.is_empty() => "the crate's root".to_owned(),
            name => name,
        };
        let names: Vec<String> = members.iter().map(name).collect();
        let mut text = format!("{} {kind} form a circle: {}", names.len(), names.join(", "));
        for arrow in circle {
            let (from, to) = (files[&arrow.from].display(), files[&arrow.to].display());
            let (line, reference) = (arrow.line, &arrow.text);
            write!(text, "\n    {from}:{line} `{reference}` → {to}").expect("a String takes text");
        }
        found.push(text);
        reported.extend(members);
    }
    found
}

fn shortest_circle<'a>(graph: &Graph<'a>, node: &ModulePath) -> Option<Vec<&'a Arrow>> {
    let circles = graph[node].iter().filter_map(|(next, arrow)| {
        let back = path_between(graph, next, node)?;
        Some([vec![*arrow], back].concat())
    });
    circles.min_by_key(Vec::len)
}

/// The arrows of a shortest way from one node to another.
fn path_between<'a>(
    graph: &Graph<'a>,
    from: &ModulePath,
    to: &ModulePath,
) -> Option<Vec<&'a Arrow>> {
    let mut ways: BTreeMap<&ModulePath, Vec<&'a Arrow>> = BTreeMap::from([(from, Vec::new())]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            return ways.remove(at);
        }
        for (next, arrow) in graph.get(at).into_iter().flatten() {
            if !ways.contains_key(next) {
                let way = [ways[at].as_slice(), &[*arrow]].concat();
                ways.insert(next, way);
                queue.push_back(next);
            }
        }
    }
    None
}
