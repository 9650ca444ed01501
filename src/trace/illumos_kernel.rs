//! Modules that rules want of the kernel of an illumos image, by the names that the kernel loads them by: `fs/specfs`.
//!
//! An image can have two kernels, one of each class, and a rule's trigger need not be one of them: each wish is for
//! each kernel. Without a kernel, as in a zone, nothing is wanted.

use super::Tracer;
use super::add::probed;
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Reason};
use crate::resolve::krtld::{self, ModulePlace};
use crate::rules::{Effect, Firing};

/// What is wanted of the kernels, and what has been done about it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    firings: Vec<Firing>,
    kernels: Vec<Kernel>,
}

/// A `unix` of the image.
#[derive(Debug, Clone)]
struct Kernel {
    path: RootPath,
    bits: u8,
    /// How many of the wishes it has been asked for.
    done: usize,
}

impl Wishes {
    /// Takes down a firing whose effect is a module.
    pub(super) fn want(&mut self, firing: &Firing) {
        self.firings.push(firing.clone());
    }

    /// Takes down an object, if it is a kernel.
    pub(super) fn add_kernel(&mut self, path: &RootPath, place: &ModulePlace<'_>, bits: u8) {
        if place.platform.is_some() && place.class.is_empty() && place.name == b"unix" {
            self.kernels.push(Kernel { path: path.clone(), bits, done: 0 });
        }
    }
}

impl Tracer<'_> {
    /// Brings the modules that are wanted and have not been looked for.
    pub(super) fn add_illumos_modules(&mut self) {
        for index in 0..self.illumos_modules.kernels.len() {
            let Wishes { firings, kernels } = &mut self.illumos_modules;
            let new = firings[kernels[index].done..].to_vec();
            kernels[index].done = firings.len();
            let kernel = kernels[index].clone();
            for firing in &new {
                self.add_illumos_module(&kernel, firing);
            }
        }
    }

    fn add_illumos_module(&mut self, kernel: &Kernel, firing: &Firing) {
        let Effect::Module { name } = &firing.effect else { return };
        // What a module wants, it wants of the kernel that can load it.
        let object = firing.object.as_ref().and_then(|object| Some((object, ModulePlace::of(object)?)));
        if object.is_some_and(|(object, _)| self.bits_of(object).is_some_and(|bits| bits != kernel.bits)) {
            return;
        }
        let platform = ModulePlace::of(&kernel.path).and_then(|place| place.platform);
        let from = self.referrer(firing).unwrap_or_else(|| kernel.path.clone());
        match krtld::find(self.input.root, platform, kernel.bits, name.as_bytes()) {
            Ok(found) => {
                let reason = Reason::new(Evidence::Rule, Kind::Rule, firing.detail.clone());
                let path = self.need_found(Some(&from), found, reason);
                self.note_consequence(&path, firing);
            }
            Err(probes) => self.missing_by_rule(Some(&from), name.clone(), firing, probed(&probes)),
        }
    }

    fn bits_of(&self, path: &RootPath) -> Option<u8> {
        let store = self.glibc.store();
        Some(store.object(store.known(path)?).elf()?.identity.bits)
    }
}
