//! Files that describe the outcome, made when nothing can change it any more.

use super::kernel::{Kernel, KernelError};
use super::{TraceError, Tracer};
use crate::modules::depmod::{self, FileNames};
use crate::path::{RootPath, escaped};
use crate::reason::{Evidence, Kind, Reason};
use crate::resolve::ldconfig::{CacheEntry, flags, write_cache};
use crate::startup::{GeneratedFile, Plan, generate};

impl Tracer<'_> {
    /// `/init` and its plan, when the recipe starts anything.
    pub(super) fn add_startup_plan(&mut self, kernel: &Option<Kernel>) -> Result<(), TraceError> {
        let recipe = self.input.recipe;
        if recipe.startup.is_empty() {
            return Ok(());
        }
        let modules = kernel.as_ref().map(Kernel::load_list).unwrap_or_default();
        let plan = Plan {
            arch: self.arch.unwrap_or_default(),
            modules: &modules,
            commands: &recipe.startup,
            network: recipe.network.as_ref(),
            library_path: &recipe.trace.library_path,
        };
        let mut from = None;
        for file in generate(&plan)? {
            let reason = Reason::new(Evidence::Target, Kind::Startup, "the recipe's startup");
            let path = self.generate(from.as_ref(), file, reason);
            from.get_or_insert(path);
        }
        let Some(init) = from else { return Ok(()) };
        let plan = RootPath::root().join(b"init.plan");
        for module in &modules {
            let reason = Reason::new(Evidence::Target, Kind::Startup, "loaded at boot");
            self.graph.connect(Some(&plan), module, reason);
        }
        self.targets.insert(init);
        Ok(())
    }

    /// Indexes for modprobe that list just the modules of the image.
    pub(super) fn add_module_indexes(&mut self, kernel: &Option<Kernel>) -> Result<(), TraceError> {
        let wanted = std::mem::take(&mut self.wants_module_indexes);
        let Some((kernel, index)) = kernel.as_ref().and_then(|k| Some((k, k.index()?))) else { return Ok(()) };
        if wanted.is_empty() {
            return Ok(());
        }
        let files =
            depmod::write(index, |name| kernel.keeps(name), FileNames::Decompressed).map_err(KernelError::from)?;
        for (name, bytes) in files {
            let path = index.directory().join(name.as_bytes());
            for (from, detail) in &wanted {
                let file = GeneratedFile { path: path.clone(), mode: 0o644, bytes: bytes.clone() };
                self.generate(from.as_ref(), file, Reason::new(Evidence::Rule, Kind::Rule, detail.clone()));
            }
        }
        Ok(())
    }

    /// An `ld.so.cache` for the libraries that only `ld.so.conf` leads to: without it no loader would find them.
    pub(super) fn add_loader_cache(&mut self) {
        let configured = std::mem::take(&mut self.configured);
        let mut entries: Vec<CacheEntry> = Vec::new();
        for (soname, spelled, object, _) in &configured {
            let Some(elf) = self.glibc.store().object(*object).elf() else { continue };
            let Some(flags) = flags(elf.identity.machine, elf.identity.bits) else { continue };
            let entry = CacheEntry { soname: soname.clone(), path: spelled.clone(), flags };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            return;
        }
        let bytes = write_cache(&entries);
        let path = RootPath::new("/etc/ld.so.cache").expect("a constant");
        for (soname, _, _, referrer) in &configured {
            let from = self.object_path(*referrer);
            let detail = format!("{} is in a directory of ld.so.conf", escaped(soname));
            let file = GeneratedFile { path: path.clone(), mode: 0o644, bytes: bytes.clone() };
            self.generate(Some(&from), file, Reason::new(Evidence::Proven, Kind::SearchPath, detail));
        }
    }
}
