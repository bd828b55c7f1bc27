//! Reads the modules of a crate from its source files. Knows nothing of arrows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, Meta};

use crate::documents::rust_files;

/// Source texts by file name, relative to the crate's source folder.
pub type Sources = BTreeMap<PathBuf, String>;

/// Segments of a module's path from the crate root; the root has none.
pub type ModulePath = Vec<String>;

/// A module, in a file of its own or inline.
pub struct Module {
    pub items: Vec<Item>,
    /// The module whose file holds this one: itself, unless it is inline.
    pub file_module: ModulePath,
}

/// The modules of a crate, without those that exist in tests only.
pub struct Tree {
    pub modules: BTreeMap<ModulePath, Module>,
    /// File of every module that has one.
    pub files: BTreeMap<ModulePath, PathBuf>,
    /// Files of test modules, without their extension: these and everything below is left out.
    left_out: BTreeSet<PathBuf>,
}

pub fn read_sources(folder: &Path) -> Sources {
    rust_files(folder)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(folder).expect("it was found there");
            (name.to_owned(), text)
        })
        .collect()
}

/// Where a module's text comes from, and where its children's files are.
struct Place<'a> {
    sources: &'a Sources,
    children: PathBuf,
    file_module: ModulePath,
}

impl Tree {
    /// Reads the module tree below a crate's root file, `lib.rs` or `main.rs`.
    pub fn read(sources: &Sources, root: &str) -> Self {
        let mut tree = Self {
            modules: BTreeMap::new(),
            files: BTreeMap::new(),
            left_out: BTreeSet::new(),
        };
        let place = Place {
            sources,
            children: PathBuf::new(),
            file_module: Vec::new(),
        };
        tree.add_file(place, PathBuf::from(root));
        tree
    }

    /// Whether a file belongs to this crate, in tests at least.
    pub fn has_file(&self, file: &Path) -> bool {
        let is_shipped = self.files.values().any(|own| own == file);
        is_shipped
            || self
                .left_out
                .iter()
                .any(|module| file.with_extension("").starts_with(module))
    }

    fn add_file(&mut self, place: Place<'_>, file: PathBuf) {
        let text = place
            .sources
            .get(&file)
            .unwrap_or_else(|| panic!("{} does not exist", file.display()));
        let parsed =
            syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let path = place.file_module.clone();
        self.files.insert(path.clone(), file);
        self.add_module(&place, path, parsed.items);
    }

    fn add_module(&mut self, place: &Place<'_>, path: ModulePath, mut items: Vec<Item>) {
        for item in &mut items {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            let children = place.children.join(&name);
            if is_test_only(&module.attrs) {
                self.left_out.insert(children);
                continue;
            }
            assert!(
                !module.attrs.iter().any(|it| it.path().is_ident("path")),
                "`mod {name}` has a `path` attribute, which this test does not follow"
            );
            let child: ModulePath = [path.as_slice(), &[name]].concat();
            let file = children.with_extension("rs");
            let content = module.content.take();
            let below = Place {
                sources: place.sources,
                children,
                file_module: match content {
                    Some(_) => place.file_module.clone(),
                    None => child.clone(),
                },
            };
            match content {
                Some((_, items)) => self.add_module(&below, child, items),
                None => self.add_file(below, file),
            }
        }
        let file_module = place.file_module.clone();
        self.modules.insert(path, Module { items, file_module });
    }
}

/// Whether attributes leave an item out of everything but tests.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        attribute.path().is_ident("test")
            || is_cfg
                && attribute
                    .parse_args::<Meta>()
                    .is_ok_and(|predicate| needs_test(&predicate))
    })
}

/// Whether a `cfg` predicate holds in tests only: `test`, `all(test, …)`, `any(test, all(test, …))`.
fn needs_test(predicate: &Meta) -> bool {
    let Meta::List(list) = predicate else {
        return predicate.path().is_ident("test");
    };
    let parts = list
        .parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
        .unwrap_or_default();
    if list.path.is_ident("all") {
        parts.iter().any(needs_test)
    } else {
        list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(needs_test)
    }
}
