//! Modules and modaliases that are wanted in, the modules to keep and the order to load them in out.
//!
//! The rules are modprobe's: a name is looked for among the modules, then the aliases, then what is built in; several
//! modules with a matching alias are all taken. What surprises is the soft dependencies: they are aliases
//! as often as names, they reach on through the soft dependencies of what they bring in, and they may be circular
//! (`usb_storage` and `uas` name each other).
//!
//! One difference: modprobe reads only the first of several `softdep` lines of a module, this reads all of them.

use super::firmware::{FirmwareFile, find_firmware};
use super::modinfo::{Modinfo, ModuleError};
use super::nearest::nearest;
use super::text::soft_lists;
use super::{Compression, ModuleId, ModuleIndex, ModuleName, alias_matches};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::root::{Found, Root};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

/// Who wants a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Referrer {
    /// The recipe names it.
    Recipe,
    /// A device of a hardware profile.
    Profile {
        profile: String,
        device: String,
    },
    Module(ModuleName),
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A module by name, or an alias such as `fs-ext4`, as modprobe takes it.
    Name(String),
    /// What a device says of itself: the content of its `modalias` in sysfs.
    Alias(String),
}

/// One wish. A recipe's are [`Priority::Required`], those of a profile [`Priority::Recommended`]: a kernel need not
/// have a driver for every device that a profile lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub by: Referrer,
    pub wanted: Wanted,
    pub priority: Priority,
}

/// One module needs another, or somebody wants a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    pub from: Referrer,
    pub to: ModuleName,
    pub reason: Reason,
    pub priority: Priority,
}

/// A module to keep.
#[derive(Debug, Clone)]
pub struct SelectedModule {
    pub name: ModuleName,
    /// As `modules.dep` has it; links on the way are in [`Found::links`].
    pub path: RootPath,
    pub found: Found,
    pub compression: Compression,
    /// Whether it is to be loaded at boot; a weak dependency only has to be there.
    pub load: bool,
}

/// A reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub from: Referrer,
    pub reason: Reason,
    /// The module, alias or firmware that was asked for.
    pub name: String,
    pub priority: Priority,
    /// Names that are spelled alike, nearest first.
    pub nearest: Vec<String>,
    /// Places tried and what was there; for firmware only.
    pub probes: Vec<(String, String)>,
}

/// What [`select`] decided.
#[derive(Debug, Default)]
pub struct Selection {
    /// Modules to load in load order, dependencies first; then those that are only kept.
    pub modules: Vec<SelectedModule>,
    /// Why each module is in, sorted; every module has at least one.
    pub edges: Vec<Edge>,
    /// What the kernel image itself satisfies, sorted.
    pub builtins: Vec<Edge>,
    /// Sorted by path.
    pub firmware: Vec<FirmwareFile>,
    pub missing: Vec<Missing>,
    /// Selected modules whose file cannot be read; they are not in `modules` when they cannot even be found.
    pub problems: Vec<ModuleError>,
}

/// Finds everything that `requests` need, in their order.
pub fn select(root: &Root, index: &ModuleIndex, requests: &[Request]) -> Selection {
    let mut walk = Walk::new(root, index);
    for request in requests {
        let kind = match request.wanted {
            Wanted::Name(_) => Kind::Module,
            Wanted::Alias(_) => Kind::Alias,
        };
        let link = Link { from: &request.by, kind, priority: request.priority, prefix: "" };
        let targets = walk.follow(&link, &request.wanted);
        walk.visit(targets);
    }
    let n_loaded = walk.order.len();
    // Only what is not loaded anyway is left for the weak dependencies, which may have weak dependencies of their own.
    while let Some(id) = walk.weak.pop_front() {
        walk.visit(vec![id]);
    }
    walk.finish(n_loaded)
}

/// A reference being followed: everything of its edge but the end.
struct Link<'a> {
    from: &'a Referrer,
    kind: Kind,
    priority: Priority,
    /// Put before the name in the reason's detail: `pre: `.
    prefix: &'a str,
}

/// What a name led to, with the alias pattern that matched.
enum Resolved<'i> {
    Modules(Vec<(ModuleId, Option<&'i str>)>),
    Builtins(Vec<(&'i ModuleName, Option<&'i str>)>),
}

enum Step {
    Visit(ModuleId),
    Emit(ModuleId),
}

struct Walk<'a> {
    root: &'a Root,
    index: &'a ModuleIndex,
    visited: Vec<bool>,
    order: Vec<ModuleId>,
    infos: HashMap<ModuleId, Option<Modinfo>>,
    weak: VecDeque<ModuleId>,
    result: Selection,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, index: &'a ModuleIndex) -> Walk<'a> {
        let visited = vec![false; index.modules().len()];
        let (order, infos, weak) = (Vec::new(), HashMap::new(), VecDeque::new());
        Walk { root, index, visited, order, infos, weak, result: Selection::default() }
    }

    /// Visits modules with their hard and soft dependencies, each once. The stack is explicit: soft dependencies may
    /// form chains as long as there are modules.
    fn visit(&mut self, targets: Vec<ModuleId>) {
        let mut pending: Vec<Step> = targets.into_iter().rev().map(Step::Visit).collect();
        while let Some(step) = pending.pop() {
            match step {
                Step::Emit(id) => self.order.push(id),
                Step::Visit(id) if std::mem::replace(&mut self.visited[id.0], true) => {}
                Step::Visit(id) => {
                    self.link_hard_dependencies(id);
                    let (pre, post) = self.link_soft_dependencies(id);
                    let dependencies = self.index.module(id).dependencies.iter().rev().copied();
                    let mut steps: Vec<Step> = dependencies.chain(pre).map(Step::Visit).collect();
                    steps.push(Step::Emit(id));
                    steps.extend(post.into_iter().map(Step::Visit));
                    pending.extend(steps.into_iter().rev());
                }
            }
        }
    }

    /// `depends=` gives the direct edges, which the lists of `modules.dep` do not tell from the others.
    fn link_hard_dependencies(&mut self, id: ModuleId) {
        let from = Referrer::Module(self.index.module(id).name.clone());
        let link = Link { from: &from, kind: Kind::Module, priority: Priority::Required, prefix: "" };
        let names: Vec<String> = self.info(id).into_iter().flat_map(Modinfo::depends).map(str::to_owned).collect();
        for name in names {
            self.follow(&link, &Wanted::Name(name));
        }
    }

    /// Gives the modules to load before and after; what is only to be kept is queued.
    fn link_soft_dependencies(&mut self, id: ModuleId) -> (Vec<ModuleId>, Vec<ModuleId>) {
        let index = self.index;
        let module = index.module(id);
        let from = Referrer::Module(module.name.clone());
        let (mut pre, mut post) = (Vec::new(), Vec::new());
        let lists: Vec<_> = module.softdeps.iter().map(|value| soft_lists(value)).collect();
        let mut follow = |names: &[&str], prefix, priority| {
            let link = Link { from: &from, kind: Kind::SoftModule, priority, prefix };
            names.iter().flat_map(|name| self.follow(&link, &Wanted::Name((*name).to_owned()))).collect::<Vec<_>>()
        };
        let mut kept = Vec::new();
        for list in &lists {
            pre.extend(follow(&list.pre, "softdep pre: ", Priority::Recommended));
            post.extend(follow(&list.post, "softdep post: ", Priority::Recommended));
            kept.extend(follow(&list.unmarked, "softdep ", Priority::Recommended));
        }
        let weakdeps: Vec<&str> = module.weakdeps.iter().flat_map(|value| value.split_ascii_whitespace()).collect();
        kept.extend(follow(&weakdeps, "weakdep ", Priority::Recommended));
        self.weak.extend(kept);
        (pre, post)
    }

    /// Records where a reference leads, or that it leads nowhere, and gives the modules.
    fn follow(&mut self, link: &Link<'_>, wanted: &Wanted) -> Vec<ModuleId> {
        let (Wanted::Name(text) | Wanted::Alias(text)) = wanted;
        let edge = |to: &ModuleName, pattern: Option<&str>| Edge {
            from: link.from.clone(),
            to: to.clone(),
            reason: reason(link, text, pattern),
            priority: link.priority,
        };
        match resolve(self.index, wanted) {
            Some(Resolved::Modules(modules)) => {
                let edges = modules.iter().map(|(id, pattern)| edge(&self.index.module(*id).name, *pattern));
                self.result.edges.extend(edges);
                modules.into_iter().map(|(id, _)| id).collect()
            }
            Some(Resolved::Builtins(names)) => {
                self.result.builtins.extend(names.iter().map(|(name, pattern)| edge(name, *pattern)));
                Vec::new()
            }
            None => {
                let names = self.index.modules().iter().map(|module| &module.name);
                let names = names.chain(self.index.builtins().iter().map(|builtin| &builtin.name));
                self.result.missing.push(Missing {
                    from: link.from.clone(),
                    reason: reason(link, text, None),
                    name: text.clone(),
                    priority: link.priority,
                    nearest: nearest(ModuleName::new(text).as_str(), names.map(ModuleName::as_str)),
                    probes: Vec::new(),
                });
                Vec::new()
            }
        }
    }

    fn info(&mut self, id: ModuleId) -> Option<&Modinfo> {
        let (root, index, problems) = (self.root, self.index, &mut self.result.problems);
        let read = || Modinfo::read(root, &index.module(id).path).map_err(|problem| problems.push(problem)).ok();
        self.infos.entry(id).or_insert_with(read).as_ref()
    }

    fn finish(mut self, n_loaded: usize) -> Selection {
        let (loaded, kept) = self.order.split_at(n_loaded);
        let order = dependencies_first(self.index, loaded.iter().chain(kept));
        let to_load: Vec<bool> = {
            let mut flags = vec![false; self.visited.len()];
            loaded.iter().for_each(|id| flags[id.0] = true);
            flags
        };
        self.add_edges_of_the_index(&order);
        self.add_firmware(&order);
        for id in order {
            let module = self.index.module(id);
            // A file that is gone was reported when its `.modinfo` was read.
            let Ok(found) = self.root.lookup(&module.path) else { continue };
            self.result.modules.push(SelectedModule {
                name: module.name.clone(),
                path: module.path.clone(),
                found,
                compression: module.compression(),
                load: to_load[id.0],
            });
        }
        self.result.edges.sort();
        self.result.edges.dedup();
        self.result.builtins.sort();
        self.result.builtins.dedup();
        self.result
    }

    /// depmod works from symbols, so `modules.dep` may know of a module that no `depends=` names.
    fn add_edges_of_the_index(&mut self, order: &[ModuleId]) {
        let mut explained = vec![false; self.visited.len()];
        for edge in &self.result.edges {
            if let Some(id) = self.index.find(&edge.to) {
                explained[id.0] = true;
            }
        }
        for user in order.iter().map(|id| self.index.module(*id)) {
            for id in &user.dependencies {
                if !std::mem::replace(&mut explained[id.0], true) {
                    self.result.edges.push(Edge {
                        from: Referrer::Module(user.name.clone()),
                        to: self.index.module(*id).name.clone(),
                        reason: Reason::new(Evidence::Proven, Kind::Module, "modules.dep"),
                        priority: Priority::Required,
                    });
                }
            }
        }
    }

    fn add_firmware(&mut self, order: &[ModuleId]) {
        let mut wanted: Vec<(ModuleName, String)> = Vec::new();
        for id in order {
            let name = &self.index.module(*id).name;
            let info = self.infos.get(id).and_then(Option::as_ref);
            wanted.extend(info.into_iter().flat_map(|i| i.values("firmware")).map(|f| (name.clone(), f.to_owned())));
        }
        for builtin in self.result.builtins.iter().filter_map(|edge| self.index.find_builtin(&edge.to)) {
            wanted.extend(builtin.firmware.iter().map(|f| (builtin.name.clone(), f.to_string())));
        }
        wanted.sort();
        wanted.dedup();
        let version = self.index.version();
        let mut files: BTreeMap<RootPath, FirmwareFile> = BTreeMap::new();
        for (module, name) in wanted {
            let lookup = find_firmware(self.root, &version, &name);
            if lookup.found.is_empty() {
                self.result.missing.push(Missing {
                    from: Referrer::Module(module),
                    reason: Reason::new(Evidence::Declared, Kind::Firmware, name.clone()),
                    name,
                    priority: Priority::Recommended,
                    nearest: Vec::new(),
                    probes: lookup.probes,
                });
                continue;
            }
            for (path, found) in lookup.found {
                let compression = Compression::of_name(path.file_name());
                let file = files.entry(path.clone()).or_insert_with(|| FirmwareFile {
                    path,
                    found,
                    compression,
                    named_by: Vec::new(),
                });
                file.named_by.push((module.clone(), name.clone()));
            }
        }
        self.result.firmware = files.into_values().collect();
    }
}

/// Keeps the order but for modules that would come before what they need: a soft dependency can lead back to a user.
fn dependencies_first<'o>(index: &ModuleIndex, order: impl Iterator<Item = &'o ModuleId>) -> Vec<ModuleId> {
    let mut placed = vec![false; index.modules().len()];
    let mut sorted = Vec::new();
    for &id in order {
        for &next in index.module(id).dependencies.iter().rev().chain([&id]) {
            if !std::mem::replace(&mut placed[next.0], true) {
                sorted.push(next);
            }
        }
    }
    sorted
}

fn resolve<'i>(index: &'i ModuleIndex, wanted: &Wanted) -> Option<Resolved<'i>> {
    let (Wanted::Name(text) | Wanted::Alias(text)) = wanted;
    // An alias has a colon as a rule, and its dots and slashes are no file name's.
    let name = matches!(wanted, Wanted::Name(_)) && !text.contains(':');
    let name = name.then(|| ModuleName::new(text));
    if let Some(id) = name.as_ref().and_then(|name| index.find(name)) {
        return Some(Resolved::Modules(vec![(id, None)]));
    }
    let first_match = |aliases: &'i [Box<str>]| aliases.iter().map(|a| &**a).find(|a| alias_matches(a, text));
    let modules = index.ids().filter_map(|id| Some((id, Some(first_match(&index.module(id).aliases)?))));
    let modules: Vec<_> = modules.collect();
    if !modules.is_empty() {
        return Some(Resolved::Modules(modules));
    }
    if let Some(builtin) = name.as_ref().and_then(|name| index.find_builtin(name)) {
        return Some(Resolved::Builtins(vec![(&builtin.name, None)]));
    }
    let builtins = index.builtins().iter().filter_map(|b| Some((&b.name, Some(first_match(&b.aliases)?))));
    let builtins: Vec<_> = builtins.collect();
    (!builtins.is_empty()).then_some(Resolved::Builtins(builtins))
}

fn reason(link: &Link<'_>, text: &str, pattern: Option<&str>) -> Reason {
    let matched = pattern.filter(|p| *p != text).map(|p| format!(" matches {p}")).unwrap_or_default();
    let detail = format!("{}{text}{matched}", link.prefix);
    match link.from {
        Referrer::Recipe => Reason::new(Evidence::Target, link.kind, detail),
        Referrer::Profile { profile, .. } => {
            Reason::new(Evidence::Rule, link.kind, format!("hardware/{profile}: {detail}"))
        }
        Referrer::Module(_) if link.kind == Kind::Module => Reason::new(Evidence::Proven, link.kind, detail),
        Referrer::Module(_) => Reason::new(Evidence::Declared, link.kind, detail),
    }
}

impl fmt::Display for Referrer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Referrer::Recipe => f.write_str("the recipe"),
            Referrer::Profile { profile, device } => write!(f, "{device} of hardware profile {profile}"),
            Referrer::Module(name) => write!(f, "module {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Tree, outcome};
    use super::*;

    fn missing(selection: &Selection) -> Vec<(&str, Priority)> {
        selection.missing.iter().map(|m| (m.name.as_str(), m.priority)).collect()
    }

    #[test]
    fn b59_soft_dependencies_bring_their_own_dependencies() {
        let tree = Tree::new(&[
            ("kernel/i915.ko", &["depends=", "softdep=pre: kvmgt"]),
            ("kernel/kvmgt.ko", &["depends=kvm,vfio,mdev", "softdep=post: late"]),
            ("kernel/kvm.ko", &["depends="]),
            ("kernel/vfio.ko", &["depends=", "softdep=pre: iommu"]),
            ("kernel/mdev.ko", &["depends=vfio"]),
            ("kernel/iommu.ko", &["depends="]),
            ("kernel/late.ko", &["depends="]),
        ]);
        let selection = tree.select(&["i915"]);
        assert_eq!(outcome(&selection), "kvm iommu vfio mdev kvmgt late i915");
        let edge = selection.edges.iter().find(|e| e.to == ModuleName::new("kvmgt")).unwrap();
        assert_eq!(edge.from, Referrer::Module(ModuleName::new("i915")));
        assert_eq!(edge.reason, Reason::new(Evidence::Declared, Kind::SoftModule, "softdep pre: kvmgt"));
        assert_eq!(edge.priority, Priority::Recommended);
    }

    #[test]
    fn b60_circular_soft_dependencies_terminate() {
        let tree = Tree::new(&[
            ("kernel/usb-storage.ko", &["depends=", "softdep=post: uas"]),
            ("kernel/uas.ko", &["depends=usb-storage", "softdep=pre: usb_storage"]),
        ]);
        assert_eq!(outcome(&tree.select(&["usb_storage"])), "usb_storage uas");
        assert_eq!(outcome(&tree.select(&["uas"])), "usb_storage uas");
    }

    #[test]
    fn a_soft_dependency_that_needs_its_user_does_not_break_the_load_order() {
        let tree = Tree::new(&[
            ("kernel/a.ko", &["depends=b"]),
            ("kernel/b.ko", &["depends=", "softdep=pre: c"]),
            ("kernel/c.ko", &["depends=a"]),
        ]);
        assert_eq!(outcome(&tree.select(&["a"])), "b a c");
    }

    #[test]
    fn b61_weak_dependencies_are_kept_but_not_loaded() {
        let tree = Tree::new(&[
            ("kernel/lan78xx.ko", &["depends=", "weakdep=microchip", "weakdep=absent"]),
            ("kernel/microchip.ko", &["depends=phylib"]),
            ("kernel/phylib.ko", &["depends="]),
        ]);
        let selection = tree.select(&["lan78xx"]);
        assert_eq!(outcome(&selection), "lan78xx [phylib] [microchip]");
        assert_eq!(missing(&selection), [("absent", Priority::Recommended)]);
        // What is loaded for another reason is loaded.
        assert_eq!(outcome(&tree.select(&["lan78xx", "microchip"])), "lan78xx phylib microchip");
    }

    #[test]
    fn softdep_names_without_a_marker_are_kept_but_not_loaded() {
        let tree = Tree::new(&[("kernel/cifs.ko", &["depends=", "softdep=gcm"]), ("kernel/gcm.ko", &["depends="])]);
        assert_eq!(outcome(&tree.select(&["cifs"])), "cifs [gcm]");
    }

    #[test]
    fn b64_only_the_target_kernel_says_what_is_built_in() {
        let modular = Tree::new(&[("kernel/ext4.ko", &["depends=", "alias=fs-ext4"])]);
        assert_eq!(outcome(&modular.select(&["ext4"])), "ext4");
        let builtin = Tree::new(&[("kernel/user.ko", &["depends=ext4"])])
            .with_index("modules.builtin", "kernel/fs/ext4/ext4.ko\n")
            .with_index("modules.builtin.modinfo", "ext4.alias=fs-ext4\0ext4.firmware=e.bin\0")
            .with("lib/firmware/e.bin", b"x");
        for wanted in ["ext4", "fs-ext4"] {
            let selection = builtin.select(&[wanted]);
            assert_eq!((outcome(&selection).as_str(), missing(&selection).len()), ("", 0), "{wanted}");
            assert_eq!(selection.builtins[0].to, ModuleName::new("ext4"));
            assert_eq!(selection.firmware[0].path.to_string(), "/lib/firmware/e.bin");
        }
        let selection = builtin.select(&["user"]);
        assert_eq!(outcome(&selection), "user");
        assert_eq!(selection.builtins[0].from, Referrer::Module(ModuleName::new("user")));
    }

    #[test]
    fn b65_nested_dependencies_are_complete_whatever_the_spelling_and_suffix() {
        let fields: [(&str, &[&str]); 3] = [
            ("kernel/virtio_net.ko.zst", &["depends=net_failover"]),
            ("kernel/net-failover.ko.xz", &["depends=failover"]),
            ("kernel/failover.ko.gz", &["depends="]),
        ];
        for tree in [Tree::new(&fields), Tree::new(&fields).with_depmod()] {
            for name in ["virtio_net", "virtio-net", "virtio-net.ko", "virtio_net.ko.zst"] {
                let selection = tree.select(&[name]);
                assert_eq!(outcome(&selection), "failover net_failover virtio_net", "{name}");
                assert_eq!(selection.modules[0].compression, Compression::Gzip);
            }
            let from = |to: &str| {
                let selection = tree.select(&["virtio_net"]);
                selection.edges.into_iter().filter(|e| e.to == ModuleName::new(to)).map(|e| e.from).collect::<Vec<_>>()
            };
            assert_eq!(from("failover"), [Referrer::Module(ModuleName::new("net_failover"))]);
            assert_eq!(from("virtio_net"), [Referrer::Recipe]);
        }
    }

    #[test]
    fn all_modules_of_an_alias_are_taken_in_the_order_of_the_kernel() {
        let tree = Tree::new(&[
            ("kernel/a.ko", &["depends=", "alias=crypto-crc32c"]),
            ("kernel/b.ko", &["depends=", "alias=crypto-crc32c"]),
            ("kernel/u.ko", &["depends=", "softdep=pre: crypto_crc32c"]),
        ])
        .with_index("modules.order", "kernel/b.ko\nkernel/a.ko\n");
        assert_eq!(outcome(&tree.select(&["u"])), "b a u");
    }

    #[test]
    fn an_unknown_name_is_missing_with_its_neighbours() {
        let tree = Tree::new(&[("kernel/virtio_net.ko", &["depends=gone"]), ("kernel/virtio_blk.ko", &["depends="])]);
        let selection = tree.select(&["virtio_ent"]);
        assert_eq!(missing(&selection), [("virtio_ent", Priority::Required)]);
        assert_eq!(selection.missing[0].nearest, ["virtio_net", "virtio_blk"]);
        assert_eq!(missing(&tree.select(&["virtio_net"])), [("gone", Priority::Required)]);
    }

    #[test]
    fn b72_firmware_is_data_and_missing_firmware_is_told() {
        let tree = Tree::new(&[("kernel/w.ko", &["depends=", "firmware=w/a.bin", "firmware=w/b.bin"])])
            .with("lib/firmware/w/a.bin", b"\x7fELF\x02\x02\x01 with an odd machine");
        let selection = tree.select(&["w"]);
        assert_eq!(selection.firmware.len(), 1);
        assert_eq!(selection.firmware[0].named_by, [(ModuleName::new("w"), "w/a.bin".to_owned())]);
        assert_eq!(missing(&selection), [("w/b.bin", Priority::Recommended)]);
        assert_eq!(selection.missing[0].probes.len(), 12);
    }

    #[test]
    fn a_damaged_module_is_reported_and_the_rest_goes_on() {
        let tree = Tree::new(&[("kernel/a.ko", &["depends=b"]), ("kernel/b.ko", &["depends="])]).with_depmod();
        let tree = tree.with("lib/modules/6.1/kernel/b.ko", b"\x7fELF");
        let selection = tree.select(&["a"]);
        assert_eq!(outcome(&selection), "b a");
        assert_eq!(selection.problems[0].path.to_string(), "/lib/modules/6.1/kernel/b.ko");
        // Without depmod's files nothing is known of it, so it is missing.
        tree.remove("modules.dep");
        assert_eq!(tree.index().problems().len(), 1);
        assert_eq!(missing(&tree.select(&["a"])), [("b", Priority::Required)]);
    }

    #[test]
    fn a_long_chain_of_soft_dependencies_does_not_exhaust_the_stack() {
        let lines: Vec<String> = (0..400).map(|n| format!("softdep m{n} pre: m{}\n", n + 1)).collect();
        let dependencies: String = (0..=400).map(|n| format!("kernel/m{n}.ko:\n")).collect();
        let mut tree = Tree::new(&[]);
        for n in 0..=400 {
            tree = tree.with(&format!("lib/modules/6.1/kernel/m{n}.ko"), b"");
        }
        let tree = tree
            .with_index("modules.dep", &dependencies)
            .with_index("modules.alias", "")
            .with_index("modules.softdep", &lines.concat());
        let selection = tree.select(&["m0"]);
        assert_eq!(selection.modules.len(), 401);
        assert_eq!(selection.modules[0].name, ModuleName::new("m400"));
    }
}
