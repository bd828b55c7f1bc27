//! No import circle, in the library, in the binary, in `dev/` and in `xtask/`.
//!
//! An arrow leads from a file to the deepest module that a `use` or an inline path names, outside `#[cfg(test)]`.

mod arrows;
mod circles;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use self::arrows::arrows;
use self::circles::circles;
use self::tree::{Sources, Tree, read_sources};
use crate::documents::{read, repository};

/// Describes every circle in the crates below a source folder: the library and the binary are crates of their own.
fn circles_in(folder: &Path) -> Vec<String> {
    let sources = read_sources(folder);
    let roots: Vec<&str> = ["lib.rs", "main.rs"]
        .into_iter()
        .filter(|root| sources.contains_key(Path::new(root)))
        .collect();
    let trees: Vec<Tree> = roots
        .iter()
        .map(|root| Tree::read(&sources, root))
        .collect();
    for file in sources.keys() {
        assert!(
            trees.iter().any(|tree| tree.has_file(file)),
            "{}: no module is in this file",
            folder.join(file).display()
        );
    }
    let name = folder
        .strip_prefix(repository())
        .unwrap_or(folder)
        .display();
    roots
        .iter()
        .flat_map(|root| circles(&sources, root))
        .map(|circle| format!("{name}: {circle}"))
        .collect()
}

fn assert_no_circle(folders: &[PathBuf]) {
    let circles: Vec<String> = folders.iter().flat_map(|it| circles_in(it)).collect();
    assert!(circles.is_empty(), "\n{}\n", circles.join("\n"));
}

#[test]
fn the_library_has_no_import_cycle() {
    assert_no_circle(&[repository().join("src")]);
}

#[test]
fn the_other_crates_have_no_import_cycle() {
    let sources = |folder: &str| {
        let entries = fs::read_dir(repository().join(folder)).expect("the folder can be listed");
        entries.map(|entry| entry.expect("the folder can be listed").path().join("src"))
    };
    let mut folders: Vec<PathBuf> = sources("crates").chain(sources("dev")).collect();
    folders.push(repository().join("xtask/src"));
    folders.retain(|folder| folder.is_dir());
    assert!(folders.len() > 5, "{folders:?}");
    assert_no_circle(&folders);
}

/// Names in backticks of the paragraph in `lib.rs` that says which modules are leaves.
fn leaves() -> Vec<String> {
    let text = read("src/lib.rs");
    let paragraph = text
        .split("\n//!\n")
        .find(|paragraph| paragraph.contains("Leaves"))
        .expect("src/lib.rs has a paragraph on leaves");
    paragraph
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_leaves_import_no_other_module() {
    let leaves = leaves();
    assert!(leaves.len() > 3, "{leaves:?}");
    let tree = Tree::read(&read_sources(&repository().join("src")), "lib.rs");
    for leaf in &leaves {
        assert!(
            tree.modules.contains_key(std::slice::from_ref(leaf)),
            "src/lib.rs calls `{leaf}` a leaf; there is no such module"
        );
    }
    for arrow in arrows(&tree) {
        let leads_out = arrow.from.first() != arrow.to.first();
        let is_of_leaf = arrow.from.first().is_some_and(|top| leaves.contains(top));
        assert!(!(leads_out && is_of_leaf), "a leaf imports: {arrow:?}");
    }
}

/// What `docs/ARCHITECTURE.md` says that a module must not know, as far as that is a module.
const MUST_NOT_KNOW: [(&str, &[&str]); 11] = [
    ("intake", &["functions"]),
    ("timer", &["functions"]),
    ("operator_actions", &["functions"]),
    ("catalogue", &["functions", "acs", "vault"]),
    ("standing", &["functions", "store", "vault"]),
    ("control", &["functions", "vault"]),
    ("export", &["functions", "acs", "vault"]),
    ("store", &["export", "acs", "vault"]),
    ("acs", &["vault", "store"]),
    ("vault", &["acs"]),
    ("notify", &["functions"]),
];

#[test]
fn no_module_knows_what_the_architecture_says_it_must_not() {
    let tree = Tree::read(&read_sources(&repository().join("src")), "lib.rs");
    let arrows = arrows(&tree);
    for (module, forbidden) in MUST_NOT_KNOW {
        assert!(tree.modules.contains_key(&vec![module.to_owned()]));
        let is_forbidden = |arrow: &&arrows::Arrow| {
            let (from, to) = (arrow.from.first(), arrow.to.first());
            from.is_some_and(|from| from == module)
                && to.is_some_and(|to| forbidden.contains(&to.as_str()))
        };
        let found: Vec<_> = arrows.iter().filter(is_forbidden).collect();
        assert!(found.is_empty(), "{module} imports {found:?}");
    }
}

fn planted(files: &[(&str, &str)]) -> Sources {
    files
        .iter()
        .map(|(name, text)| (PathBuf::from(name), (*text).to_owned()))
        .collect()
}

/// The circles of a crate whose modules `a` and `b` have these texts.
fn circles_of_two(a: &str, b: &str) -> Vec<String> {
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)];
    circles(&planted(&files), "lib.rs")
}

#[rstest::rstest]
#[case::plain("use crate::b::B;")]
#[case::grouped("use crate::{b::B, other};")]
#[case::nested_group("use {std::fmt, crate::{b::{self, B}}};")]
#[case::renamed("use crate::b as c;")]
#[case::through_super("use super::b;")]
#[case::glob("use crate::b::*;")]
#[case::re_export("pub use crate::b::B;")]
#[case::in_a_function("fn f() { use crate::b::B; }")]
#[case::in_an_inline_module("mod inner { use super::super::b::B; }")]
#[case::in_an_expression("fn f() { let it = super::b::new(); }")]
#[case::in_a_type("struct A(Option<crate::b::B>);")]
#[case::in_a_bound("fn f<T: crate::b::B>() {}")]
#[case::in_an_implementation("impl crate::b::B for u8 {}")]
#[case::in_a_pattern("fn f(it: u8) { match it { crate::b::ONE => (), _ => () } }")]
#[case::in_a_macro("fn f() { println!(\"{}\", crate::b::ONE); }")]
#[case::in_a_macro_in_a_macro("fn f() { select! { x = async { vec![crate::b::ONE] } => {} } }")]
#[case::as_a_macro("fn f() { crate::b::call!(); }")]
#[case::in_an_attribute("#[derive(D)] struct A { #[serde(with = \"crate::b\")] a: u8 }")]
#[case::as_an_argument_of_an_attribute("struct A { #[arg(value_parser = crate::b::parse)] a: u8 }")]
#[case::compiled_outside_tests_too("#[cfg(any(test, feature = \"x\"))] use crate::b;")]
#[case::not_in_tests("#[cfg(not(test))] use crate::b;")]
fn a_planted_circle_is_found(#[case] arrow: &str) {
    let circles = circles_of_two(arrow, "use crate::a::A;");
    assert!(!circles.is_empty(), "{arrow}");
    assert!(
        circles[0].starts_with("2 files form a circle: a, b\n    a.rs:1 `"),
        "{circles:?}"
    );
    assert!(
        circles[0].ends_with("b.rs:1 `crate::a::A` → a.rs"),
        "{circles:?}"
    );
    assert_eq!(circles_of_two(arrow, "struct B;"), [""; 0]);
}

#[rstest::rstest]
#[case::test_module("#[cfg(test)] mod tests { use crate::b; fn f() { super::super::b::new() } }")]
#[case::test_function("#[cfg(test)] fn f() { crate::b::new() }")]
#[case::test_use("#[cfg(test)] use crate::b;")]
#[case::test_with_a_feature("#[cfg(all(test, feature = \"x\"))] use crate::b;")]
#[case::test_method("impl A { #[cfg(test)] fn f() { crate::b::new() } }")]
#[case::test_statement("fn f() { #[cfg(test)] let b = crate::b::new(); }")]
#[case::documentation("/// See [`crate::b`].\n#[doc = \"crate::b\"]\nstruct A;")]
#[case::comment("// crate::b\nconst A: &str = \"crate::b\";")]
#[case::visibility("pub(in crate::b) struct A;")]
#[case::another_crate("use b::B; use ::b as other;")]
#[case::itself("use crate::a::A; use self::A as B;")]
fn what_is_no_arrow_makes_no_circle(#[case] text: &str) {
    assert_eq!(circles_of_two(text, "use crate::a::A;"), [""; 0], "{text}");
}

#[test]
fn a_circle_of_three_names_the_arrows_that_make_it() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "struct B;\nuse crate::c::{C, D};"),
        ("c.rs", "fn f() {\n    crate::a::go()\n}"),
    ];
    assert_eq!(
        circles(&planted(&files), "lib.rs")[0],
        "3 files form a circle: a, b, c\n    a.rs:1 `crate::b::B` → b.rs\n    b.rs:2 `crate::c::C` → c.rs\n    c.rs:2 `crate::a::go` → a.rs"
    );
}

#[test]
fn a_module_and_its_own_children_may_refer_to_each_other() {
    let files = [
        ("lib.rs", "mod a; pub use a::A; pub struct Root;"),
        (
            "a.rs",
            "mod x; mod y; use x::X; use self::y::Y; pub struct A;",
        ),
        (
            "a/x.rs",
            "use super::A; use super::y::Y; use crate::Root; pub struct X;",
        ),
        ("a/y.rs", "use crate::a::A; pub struct Y;"),
    ];
    assert_eq!(circles(&planted(&files), "lib.rs"), [""; 0]);
}

#[test]
fn cousins_form_a_circle_of_their_parents_even_where_no_two_files_do() {
    let files = [
        ("lib.rs", "mod top;"),
        ("top.rs", "mod a; mod b;"),
        ("top/a.rs", "mod x; mod y;"),
        ("top/a/x.rs", "use crate::top::b::x::B;"),
        ("top/a/y.rs", "pub struct A;"),
        ("top/b.rs", "mod x; mod y;"),
        ("top/b/x.rs", "pub struct B;"),
        ("top/b/y.rs", "use super::super::a::y::A;"),
    ];
    let circles = circles(&planted(&files), "lib.rs");
    assert_eq!(circles.len(), 1, "{circles:?}");
    assert!(
        circles[0].starts_with("2 modules of `top` form a circle: top::a, top::b\n"),
        "{circles:?}"
    );
}

#[test]
fn a_path_through_a_renamed_module_leads_to_the_file_it_names() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod x; pub use self::x as renamed;"),
        ("a/x.rs", "use crate::b::B;"),
        ("b.rs", "use crate::a; fn f() { a::renamed::go() }"),
    ];
    let circles = circles(&planted(&files), "lib.rs");
    assert!(
        circles[0].starts_with("2 files form a circle: a::x, b\n"),
        "{circles:?}"
    );
}

#[test]
fn the_library_and_the_binary_are_crates_of_their_own() {
    let files = planted(&[
        ("lib.rs", "pub mod a;"),
        ("a.rs", "use crate::b;"),
        ("main.rs", "mod b; use product::a;"),
        ("b.rs", "use product::a::A;"),
    ]);
    for root in ["lib.rs", "main.rs"] {
        assert_eq!(circles(&files, root), [""; 0], "{root}");
    }
}
