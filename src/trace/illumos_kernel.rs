//! Modules that rules, the hardware and the recipe want of the kernel of an illumos image, by the names that the kernel
//! loads them by: `fs/specfs`.
//!
//! An image can have two kernels, one of each class, and what asks for a module need not be one of them: each wish is
//! for each kernel. Without a kernel, as in a zone, only what the user named is wanted, for the kernel that the root
//! would start.

use super::Tracer;
use super::add::probed;
use super::illumos::KERNEL_64;
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::resolve::Probe;
use crate::resolve::krtld::ModulePlace;
use crate::root::Found;
use crate::rules::{Effect, Firing};
use foldhash::HashMap;

/// What is wanted of the kernels, and what has been done about it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wishes: Vec<Wish>,
    kernels: Vec<Kernel>,
    /// What was looked for already: every script wants the module that starts scripts.
    found: HashMap<ModuleKey, Result<Found, Vec<Probe>>>,
}

/// The platform, the bits of the kernel, and the module's name.
type ModuleKey = (Option<Vec<u8>>, u8, String);

#[derive(Debug, Clone)]
enum Wish {
    Rule(Firing),
    Named(NamedModule),
}

/// A module that the hardware, the recipe or `/etc/system` asks for.
#[derive(Debug, Clone)]
pub(super) struct NamedModule {
    /// In the kernel's words: `drv/e1000g`.
    pub name: String,
    pub reason: Reason,
    pub priority: Priority,
    /// Whether it is wanted in an image that has no kernel, too.
    pub without_kernel: bool,
}

/// A `unix` of the image.
#[derive(Debug, Clone)]
struct Kernel {
    /// `None` stands for the kernel of an image without one.
    path: Option<RootPath>,
    bits: u8,
    /// How many of the wishes it has been asked for.
    done: usize,
}

impl Wishes {
    /// Takes down a firing whose effect is a module.
    pub(super) fn want(&mut self, firing: &Firing) {
        self.wishes.push(Wish::Rule(firing.clone()));
    }

    /// Takes down a module that is asked for by name.
    pub(super) fn want_named(&mut self, module: NamedModule) {
        self.wishes.push(Wish::Named(module));
    }

    /// Takes down an object, if it is a kernel.
    pub(super) fn add_kernel(&mut self, path: &RootPath, place: &ModulePlace<'_>, bits: u8) {
        if place.platform.is_some() && place.class.is_empty() && place.name == b"unix" {
            self.kernels.push(Kernel { path: Some(path.clone()), bits, done: 0 });
        }
    }
}

impl Tracer<'_> {
    /// Brings the modules that are wanted and have not been looked for.
    pub(super) fn add_illumos_modules(&mut self) {
        if self.illumos_modules.kernels.is_empty() && !self.has_files() && self.new_paths.is_empty() {
            // Nothing is left that could bring a kernel.
            let bits = if self.input.root.has(KERNEL_64) { 64 } else { 32 };
            self.illumos_modules.kernels.push(Kernel { path: None, bits, done: 0 });
        }
        for index in 0..self.illumos_modules.kernels.len() {
            let Wishes { wishes, kernels, .. } = &mut self.illumos_modules;
            let new = wishes[kernels[index].done..].to_vec();
            kernels[index].done = wishes.len();
            let Kernel { path, bits, .. } = kernels[index].clone();
            for wish in &new {
                match (wish, &path) {
                    (Wish::Rule(firing), Some(path)) => self.add_module_of_rule(path, bits, firing),
                    (Wish::Rule(_), None) => {}
                    (Wish::Named(module), path) => self.add_named_module(path.as_ref(), bits, module),
                }
            }
        }
    }

    fn add_named_module(&mut self, kernel: Option<&RootPath>, bits: u8, module: &NamedModule) {
        let NamedModule { name, reason, priority, without_kernel } = module;
        if kernel.is_none() && !without_kernel {
            return;
        }
        match self.find_module(kernel, bits, name) {
            Ok(found) => {
                self.need_found(None, found, reason.clone());
            }
            Err(probes) => self.note_missing(None, name.clone(), reason.clone(), *priority, probed(&probes)),
        }
    }

    fn add_module_of_rule(&mut self, kernel: &RootPath, bits: u8, firing: &Firing) {
        let Effect::Module { name } = &firing.effect else { return };
        // What a module wants, it wants of the kernel that can load it.
        let object = firing.object.as_ref().and_then(|object| Some((object, self.module_path.place(object)?)));
        if object.is_some_and(|(object, _)| self.bits_of(object).is_some_and(|of_object| of_object != bits)) {
            return;
        }
        let from = self.referrer(firing).unwrap_or_else(|| kernel.clone());
        match self.find_module(Some(kernel), bits, name) {
            Ok(found) => {
                let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
                let path = self.need_found(Some(&from), found, reason);
                self.note_consequence(&path, firing);
            }
            Err(probes) => self.missing_by_rule(Some(&from), name.clone(), firing, probed(&probes)),
        }
    }

    fn find_module(&mut self, kernel: Option<&RootPath>, bits: u8, name: &str) -> Result<Found, Vec<Probe>> {
        let platform = kernel.and_then(ModulePlace::of).and_then(|place| place.platform);
        let find = || self.module_path.find(self.input.root, platform, bits, name.as_bytes());
        let key = (platform.map(<[u8]>::to_vec), bits, name.to_owned());
        self.illumos_modules.found.entry(key).or_insert_with(find).clone()
    }

    fn bits_of(&self, path: &RootPath) -> Option<u8> {
        let store = self.glibc.store();
        Some(store.object(store.known(path)?).elf()?.identity.bits)
    }
}
