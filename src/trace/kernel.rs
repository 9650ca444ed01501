//! The kernel of the image: which one, which of its modules, and the command line it starts with.

use super::{Item, TraceError, Tracer};
use crate::manifest::{Boot, Missing, Probed};
use crate::modules::{
    IndexError, ModuleIndex, ModuleName, Referrer, Request, Selection, Wanted, hardware, select, versions,
};
use crate::path::RootPath;
use crate::reason::{Evidence, Kind, Priority, Reason};
use crate::recipe::{Recipe, System};
use crate::root::Found;
use crate::startup::kernel_args;

/// Where kernel images are, with the module directory's version after the dash.
const IMAGES: [&str; 2] = ["/boot/vmlinuz-", "/boot/vmlinux-"];

/// Why there is no kernel to start, though the recipe wants one.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The recipe does not say which of these.
    #[error("the root has several kernels: {}", list(.0))]
    Several(Vec<RootPath>),
    /// The recipe names a kernel that the root does not have.
    #[error("the kernel image `{0}` is not in the root")]
    NotThere(RootPath),
    /// Modules are wanted, and the root has none for the kernel.
    #[error("the recipe wants kernel modules, but no directory below /lib/modules is for the kernel `{0}`")]
    NoModules(RootPath),
    /// Modules are wanted, and nothing tells for which kernel.
    #[error("the recipe wants kernel modules, but the root has no kernel")]
    NoKernel,
    /// The list of the kernel's modules cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// `modules.dep` and its kin cannot be made for the modules that are kept.
    #[error("cannot write the indexes of the kernel modules")]
    Depmod(#[from] crate::modules::depmod::DepmodError),
}

impl KernelError {
    pub(super) fn hint(&self) -> String {
        match self {
            KernelError::Several(_) => "say which in the recipe: [boot] kernel = \"/boot/vmlinuz-…\"".to_owned(),
            KernelError::NotThere(_) => "correct [boot] kernel in the recipe".to_owned(),
            KernelError::NoModules(_) => "add the package with this kernel's modules".to_owned(),
            KernelError::NoKernel => {
                "add a kernel package to the recipe, such as linux-image-cloud-amd64 or linux-image-amd64".to_owned()
            }
            KernelError::Index(_) | KernelError::Depmod(_) => "unpack the kernel's package again".to_owned(),
        }
    }
}

fn list(paths: &[RootPath]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The chosen kernel and what has been selected of its modules.
pub(super) struct Kernel {
    image: RootPath,
    /// Read only when modules are wanted.
    index: Option<ModuleIndex>,
    requests: Vec<Request>,
    selection: Selection,
}

impl Kernel {
    pub(super) fn boot(self, recipe: &Recipe) -> Option<Boot> {
        let starts = !recipe.startup.is_empty();
        let kernel_args = kernel_args(recipe.boot.kernel_args.as_deref());
        starts.then_some(Boot { kernel: self.image, kernel_args })
    }

    pub(super) fn index(&self) -> Option<&ModuleIndex> {
        self.index.as_ref()
    }

    pub(super) fn keeps(&self, name: &ModuleName) -> bool {
        self.selection.modules.iter().any(|module| module.name == *name)
    }

    /// Paths of the image to load, in order.
    pub(super) fn load_list(&self) -> Vec<RootPath> {
        self.selection.modules.iter().filter(|m| m.load).map(|m| image_path(&m.found)).collect()
    }
}

impl Tracer<'_> {
    /// Finds the kernel and takes down the recipe's wishes for modules.
    pub(super) fn choose_kernel(&mut self) -> Result<Option<Kernel>, TraceError> {
        if self.system != System::Linux {
            return Ok(None);
        }
        let options = &self.input.recipe.trace;
        self.module_requests = hardware::requests(&options.hardware, self.input.rule_directories)?;
        self.module_requests.extend(options.modules.iter().map(|name| Request {
            by: Referrer::Recipe,
            wanted: Wanted::Name(name.clone()),
            priority: Priority::Required,
        }));
        let image = match &self.input.recipe.boot.kernel {
            Some(named) => {
                let path = RootPath::new(named).expect("checked when the recipe was read");
                self.input.root.lookup(&path).map_err(|_| KernelError::NotThere(path.clone()))?;
                Some(path)
            }
            None if self.input.recipe.startup.is_empty() && self.module_requests.is_empty() => None,
            None => self.only_kernel()?,
        };
        if image.is_none() && !self.module_requests.is_empty() {
            return Err(KernelError::NoKernel.into());
        }
        Ok(image.map(|image| Kernel { image, index: None, requests: Vec::new(), selection: Selection::default() }))
    }

    fn only_kernel(&self) -> Result<Option<RootPath>, KernelError> {
        let mut images: Vec<RootPath> = IMAGES.iter().flat_map(|i| self.input.root.glob(&format!("{i}*"))).collect();
        match images.len() {
            0 | 1 => Ok(images.pop()),
            _ => Err(KernelError::Several(images)),
        }
    }

    /// Selects modules anew when there are new requests for them.
    pub(super) fn select_modules(&mut self, kernel: &mut Option<Kernel>) -> Result<(), TraceError> {
        let Some(kernel) = kernel else {
            return Ok(());
        };
        if self.module_requests == kernel.requests {
            return Ok(());
        }
        kernel.requests.clone_from(&self.module_requests);
        if kernel.index.is_none() {
            let directory = self.module_directory(&kernel.image)?;
            kernel.index = Some(ModuleIndex::load(self.input.root, &directory).map_err(KernelError::from)?);
        }
        let index = kernel.index.as_ref().expect("set above");
        kernel.selection = select(self.input.root, index, &kernel.requests);
        self.add_modules(&kernel.selection);
        Ok(())
    }

    /// The directory with the modules of a kernel image: the one named after its version, or the only one.
    fn module_directory(&self, image: &RootPath) -> Result<RootPath, KernelError> {
        let mut directories = versions(self.input.root)?;
        let version = |d: &RootPath| {
            IMAGES.iter().any(|prefix| image.as_bytes().strip_prefix(prefix.as_bytes()) == Some(d.file_name()))
        };
        if let Some(directory) = directories.iter().find(|d| version(d)) {
            return Ok(directory.clone());
        }
        match directories.len() {
            1 => Ok(directories.remove(0)),
            _ => Err(KernelError::NoModules(image.clone())),
        }
    }

    fn add_modules(&mut self, selection: &Selection) {
        let path_of = |name: &ModuleName| {
            selection.modules.iter().find(|module| module.name == *name).map(|module| image_path(&module.found))
        };
        for edge in &selection.edges {
            let Some(module) = selection.modules.iter().find(|module| module.name == edge.to) else { continue };
            let from = match &edge.from {
                Referrer::Module(name) => path_of(name),
                Referrer::Recipe | Referrer::Profile { .. } => None,
            };
            // An edge can only start at a node: the modules come in load order, so the referrer may come later.
            if let Some(from) = &from {
                self.add_module_file(from, selection);
            }
            let reason = reason_of(&edge.from, &edge.reason);
            self.connect_module(from.as_ref(), &module.found, reason);
        }
        for firmware in &selection.firmware {
            for (module, name) in &firmware.named_by {
                let from = path_of(module);
                let reason = Reason::new(Evidence::Declared, Kind::Firmware, name.clone());
                self.need_data(from.as_ref(), &firmware.found, reason);
            }
        }
        for missing in &selection.missing {
            let from = match &missing.from {
                Referrer::Module(name) => path_of(name),
                _ => None,
            };
            let probes = missing.probes.iter().map(|(path, outcome)| Probed {
                path: path.clone(),
                step: "kernel's search".into(),
                outcome: outcome.clone(),
            });
            let mut probes: Vec<Probed> = probes.collect();
            if !missing.nearest.is_empty() {
                let outcome = format!("no module of that name; near: {}", missing.nearest.join(", "));
                probes.push(Probed { path: missing.name.clone(), step: "kernel modules".into(), outcome });
            }
            self.missing.insert(Missing {
                from,
                reason: reason_of(&missing.from, &missing.reason),
                name: missing.name.clone(),
                priority: missing.priority,
                consequence: None,
                probes,
            });
        }
        self.notes.extend(selection.problems.iter().map(ToString::to_string));
    }

    fn add_module_file(&mut self, path: &RootPath, selection: &Selection) {
        let module = selection.modules.iter().find(|module| image_path(&module.found) == *path);
        if let Some(module) = module {
            self.add_unpacked(&module.found.clone());
        }
    }

    fn connect_module(&mut self, from: Option<&RootPath>, found: &Found, reason: Reason) {
        let path = self.add_unpacked(found);
        self.connect(from, &found.links, &found.through, &path, reason);
    }

    /// The node of a module's file; of a compressed one, its decompressed form.
    fn add_unpacked(&mut self, found: &Found) -> RootPath {
        let path = image_path(found);
        self.add_node(&path);
        if path != found.path {
            self.items.entry(path.clone()).or_insert_with(|| Item::Unpacked(found.clone()));
        }
        path
    }
}

fn reason_of(from: &Referrer, reason: &Reason) -> Reason {
    match from {
        Referrer::Profile { profile, device } => {
            Reason::new(reason.evidence, reason.kind, format!("{profile}: {device}: {}", reason.detail))
        }
        Referrer::Recipe | Referrer::Module(_) => reason.clone(),
    }
}

/// Where a module is in the image: without the suffix of its compression, because `/init` loads it as it is.
fn image_path(found: &Found) -> RootPath {
    let name = found.path.file_name();
    let plain = [&b".xz"[..], b".zst", b".gz"].iter().find_map(|suffix| name.strip_suffix(*suffix));
    match (plain, found.path.parent()) {
        (Some(plain), Some(directory)) => directory.join(plain),
        _ => found.path.clone(),
    }
}
