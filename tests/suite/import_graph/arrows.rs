//! Derives which file refers to which: `use` declarations, and paths in types, expressions, macros and attributes.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Lit, Macro, Meta, Path, UseTree, Visibility};

use super::tree::{ModulePath, Tree, is_test_only};

/// A place in one file that refers to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: ModulePath,
    pub to: ModulePath,
    pub line: usize,
    pub text: String,
}

/// Names that a module binds to other modules, with `use`.
type Aliases = BTreeMap<ModulePath, BTreeMap<String, ModulePath>>;

/// Every arrow between two files of a crate.
pub fn arrows(tree: &Tree) -> Vec<Arrow> {
    let references: Vec<(ModulePath, References)> = tree
        .modules
        .iter()
        .map(|(path, module)| {
            let mut references = References::default();
            for item in &module.items {
                references.visit_item(item);
            }
            (path.clone(), references)
        })
        .collect();
    let aliases = aliases(tree, &references);
    let mut arrows = Vec::new();
    for (module, references) in &references {
        for reference in &references.found {
            let Some(target) = resolve(tree, &aliases, module, &reference.segments) else {
                continue;
            };
            let from = tree.modules[module].file_module.clone();
            let to = tree.modules[&target].file_module.clone();
            if from != to {
                arrows.push(Arrow {
                    from,
                    to,
                    line: reference.line,
                    text: reference.segments.join("::"),
                });
            }
        }
    }
    arrows.sort();
    arrows.dedup();
    arrows
}

/// Binds names until no new one turns up: an alias may name another.
fn aliases(tree: &Tree, references: &[(ModulePath, References)]) -> Aliases {
    let mut aliases = Aliases::new();
    loop {
        let mut grown = aliases.clone();
        for (module, references) in references {
            for reference in &references.found {
                let Some(name) = &reference.binds else {
                    continue;
                };
                let Some((target, 0)) = walk(tree, &aliases, module, &reference.segments) else {
                    continue;
                };
                let names = grown.entry(module.clone()).or_default();
                names.insert(name.clone(), target);
            }
        }
        if grown == aliases {
            return aliases;
        }
        aliases = grown;
    }
}

/// The deepest module that a path names; none if the path leads out of the crate.
fn resolve(
    tree: &Tree,
    aliases: &Aliases,
    module: &ModulePath,
    segments: &[String],
) -> Option<ModulePath> {
    walk(tree, aliases, module, segments).map(|(target, _)| target)
}

/// As [`resolve`], with the number of segments behind the module.
fn walk(
    tree: &Tree,
    aliases: &Aliases,
    module: &ModulePath,
    segments: &[String],
) -> Option<(ModulePath, usize)> {
    let step = |at: &ModulePath, name: &String| {
        let child: ModulePath = [at.as_slice(), std::slice::from_ref(name)].concat();
        if tree.modules.contains_key(&child) {
            return Some(child);
        }
        aliases.get(at)?.get(name).cloned()
    };
    let mut rest = segments;
    let mut at = module.clone();
    match segments.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        _ => {
            at = step(&at, &segments[0])?;
            rest = &rest[1..];
        }
    }
    while let Some((name, behind)) = rest.split_first() {
        let Some(next) = step(&at, name) else { break };
        at = next;
        rest = behind;
    }
    Some((at, rest.len()))
}

/// One path as written.
struct Reference {
    segments: Vec<String>,
    /// The name under which a `use` makes it known.
    binds: Option<String>,
    line: usize,
}

/// All paths of a module that are there outside tests.
#[derive(Default)]
struct References {
    found: Vec<Reference>,
}

impl References {
    fn add(&mut self, segments: Vec<String>, line: usize) {
        if segments.len() > 1 {
            let binds = None;
            self.found.push(Reference {
                segments,
                binds,
                line,
            });
        }
    }

    fn add_use(&mut self, tree: &UseTree, prefix: &[String]) {
        let line = tree.span().start().line;
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let (segments, binds) = match tree {
            UseTree::Path(path) => return self.add_use(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.add_use(tree, prefix));
            }
            UseTree::Glob(_) => (prefix.to_vec(), None),
            UseTree::Name(name) if name.ident == "self" => {
                (prefix.to_vec(), prefix.last().cloned())
            }
            UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            UseTree::Rename(renamed) if renamed.ident == "self" => {
                (prefix.to_vec(), Some(renamed.rename.to_string()))
            }
            UseTree::Rename(renamed) => (with(&renamed.ident), Some(renamed.rename.to_string())),
        };
        self.found.push(Reference {
            segments,
            binds,
            line,
        });
    }

    /// Macros are not expanded: every path among their tokens counts.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(std::mem::take(&mut path), line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Literal(literal) => self.add_literal(&literal.to_string(), line),
                TokenTree::Punct(_) => {}
            }
            colons = 0;
            self.add(std::mem::take(&mut path), line);
        }
        self.add(path, line);
    }

    /// A path in a string, as in `#[serde(with = "crate::text")]`.
    fn add_literal(&mut self, literal: &str, line: usize) {
        let text = literal.trim_matches('"');
        let is_path = ["crate::", "super::", "self::"]
            .iter()
            .any(|start| text.starts_with(start));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if is_path && text.chars().all(is_plain) {
            self.add(text.split("::").map(str::to_owned).collect(), line);
        }
    }
}

/// Visits what is there outside tests only.
macro_rules! outside_tests {
    ($($visit:ident: $node:ident),* $(,)?) => {
        $(fn $visit(&mut self, node: &'ast syn::$node) {
            if !is_test_only(&node.attrs) {
                visit::$visit(self, node);
            }
        })*
    };
}

impl<'ast> Visit<'ast> for References {
    outside_tests! {
        visit_arm: Arm,
        visit_expr_block: ExprBlock,
        visit_expr_call: ExprCall,
        visit_expr_if: ExprIf,
        visit_expr_macro: ExprMacro,
        visit_expr_match: ExprMatch,
        visit_expr_method_call: ExprMethodCall,
        visit_field: Field,
        visit_field_value: FieldValue,
        visit_impl_item_const: ImplItemConst,
        visit_impl_item_fn: ImplItemFn,
        visit_impl_item_type: ImplItemType,
        visit_item_const: ItemConst,
        visit_item_enum: ItemEnum,
        visit_item_extern_crate: ItemExternCrate,
        visit_item_fn: ItemFn,
        visit_item_impl: ItemImpl,
        visit_item_macro: ItemMacro,
        visit_item_static: ItemStatic,
        visit_item_struct: ItemStruct,
        visit_item_trait: ItemTrait,
        visit_item_type: ItemType,
        visit_local: Local,
        visit_stmt_macro: StmtMacro,
        visit_trait_item_const: TraitItemConst,
        visit_trait_item_fn: TraitItemFn,
        visit_trait_item_type: TraitItemType,
        visit_variant: Variant,
    }

    /// A module of its own in the tree.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    /// `pub(in crate::a)` refers to nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test_only(&item.attrs) && item.leading_colon.is_none() {
            self.add_use(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter().map(|it| it.ident.to_string());
            self.add(segments.collect(), path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let line = attribute.span().start().line;
        match &attribute.meta {
            Meta::List(list) => self.add_tokens(list.tokens.clone()),
            Meta::NameValue(pair) if !pair.path.is_ident("doc") => {
                if let syn::Expr::Lit(literal) = &pair.value
                    && let Lit::Str(text) = &literal.lit
                {
                    self.add_literal(&text.value(), line);
                }
            }
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }
}
