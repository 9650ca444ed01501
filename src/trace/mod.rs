//! The worklist that joins root, objects, resolvers, graph and rules.
//!
//! [`trace`] reads like the list of its passes. The only loop is the fixed point in the middle: files are examined,
//! processes worked out and rules asked, until none of the three brings anything new. Before it stands what the user
//! asked for. At its end choices between alternatives are decided, if there are any, and what follows from them is
//! brought in by the same loop. After it, files that describe the outcome are made (the plan of `/init`,
//! `ld.so.cache`), and no further file can ask for anything.

mod add;
mod by_name;
mod cheapest;
mod choices;
mod consequences;
mod doubts;
mod drivers;
mod elsewhere;
mod facts;
mod firings;
mod generated;
mod illumos;
mod illumos_kernel;
mod kernel;
mod processes;
mod scripts;
mod shell;
mod snapshot;
mod trials;
mod wishes;

use by_name::ByName;
use choices::Choices;
pub use doubts::Doubt;
pub(crate) use illumos::system_of;
pub use kernel::KernelError;
pub(crate) use processes::VERSION_STEP;
pub use snapshot::SnapshotError;

use crate::drivers::DriverDatabases;
use crate::graph::{Graph, NodeId};
use crate::manifest::{Boot, Choice, Missing, Omission};
use crate::modules::hardware::HardwareError;
use crate::objects::elf::SymbolScan;
use crate::path::RootPath;
use crate::reason::Consequence;
use crate::recipe::{Recipe, System};
use crate::resolve::cpu::{Cpu, UnknownCpu};
pub use crate::resolve::glibc::Cache;
use crate::resolve::glibc::{Glibc, NameId, PlaceId, Request};
use crate::resolve::illumos::Illumos;
use crate::resolve::krtld::ModulePath;
use crate::resolve::musl::Musl;
use crate::resolve::store::{ObjectId, Store};
use crate::root::{Found, LookupError, Root};
use crate::rules::{RuleSet, RuleState};
use crate::startup::{GeneratedFile, StartupError};
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What a trace is made from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Where everything is read from.
    pub root: &'a Root,
    /// The rules in force, for the system of the root.
    pub rules: &'a RuleSet,
    /// What is wanted.
    pub recipe: &'a Recipe,
    /// The user's own directories of rules, which may hold hardware profiles too.
    pub rule_directories: &'a [PathBuf],
    /// How the loaders of the root find libraries: [`Cache::FromConfiguration`] for a source root.
    pub cache: Cache,
}

impl Input<'_> {
    /// Whether the root is a finished image: what would be made for one has to be there.
    fn is_finished(&self) -> bool {
        self.cache == Cache::AsItIs
    }

    /// The processor that the image must run on.
    fn cpu(&self) -> Result<Cpu, UnknownCpu> {
        self.recipe.trace.cpu.as_deref().map_or(Ok(Cpu::default()), str::parse)
    }
}

/// What a trace found: the graph, and what its nodes are where that is not simply what the root has there.
#[derive(Debug)]
pub struct Trace {
    /// Who needs whom; forbidden paths are still in it.
    pub graph: Graph,
    /// What the root holds, as the recipe or its files say.
    pub system: System,
    /// In the kernel's word; empty when no object told.
    pub arch: String,
    /// What the user asked for, sorted.
    pub targets: Vec<RootPath>,
    /// How the image starts; `None` for a plain file set.
    pub boot: Option<Boot>,
    /// Nodes of the graph that are not simply what the root has at their path.
    pub items: HashMap<RootPath, Item>,
    /// Paths that rules or the recipe hold back, with the reason.
    pub forbidden: BTreeMap<RootPath, String>,
    /// References that were left out on purpose.
    pub dropped: BTreeSet<Omission>,
    /// References that were seen but not understood.
    pub unknown: BTreeSet<Omission>,
    /// References that lead nowhere; with a required one the answer of `trace` is no.
    pub missing: BTreeSet<Missing>,
    /// What was chosen among alternatives, sorted.
    pub choices: Vec<Choice>,
    /// What the user should know and nothing refers to, such as a rule that never fired.
    pub notes: Vec<String>,
}

/// A node that is not simply a file of the root.
#[derive(Debug, Clone)]
pub enum Item {
    /// Made by minroot or by the recipe.
    Generated(GeneratedFile),
    /// The decompressed content of a file of the root.
    Unpacked(Found),
    /// A directory of the image that the root does not have.
    Directory,
    /// A symlink of the image that the root does not have.
    Link {
        /// The text of the link.
        target: Vec<u8>,
    },
}

/// Why a trace could not be made at all. A reference that leads nowhere is no such reason: it is told as missing.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The recipe names a processor that glibc-hwcaps do not know.
    #[error(transparent)]
    Cpu(#[from] UnknownCpu),
    /// A hardware profile of the recipe does not exist, or cannot be read.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// A command of the recipe's startup cannot be taken apart or written down.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// There is no kernel to start, though the recipe wants one.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A file that the recipe brings cannot be read.
    #[error("cannot read `{}`, which the recipe wants as `{path}`", from.display())]
    RecipeFile {
        /// Where it would be in the image.
        path: String,
        /// On this machine.
        from: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A pattern that was accepted when the rules were read does not compile: a bug of minroot.
    #[error("internal error: a rule's symbol pattern is no regular expression")]
    Pattern(#[from] regex::Error),
}

impl TraceError {
    /// What to do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            TraceError::Startup(error) => Some(error.hint().to_owned()),
            TraceError::Kernel(error) => Some(error.hint()),
            TraceError::Hardware(error) => error.hint(),
            // The text has the levels; the operating system's words have hints of their own; the last is a bug.
            TraceError::Cpu(_) | TraceError::RecipeFile { .. } | TraceError::Pattern(_) => None,
        }
    }
}

/// Finds everything that the recipe's wishes need, and what they may need.
///
/// # Errors
/// [`TraceError`]: a wish that cannot be understood.
pub fn trace(input: Input<'_>) -> Result<Trace, TraceError> {
    run(input, true)
}

/// [`trace`] without looking for what is only listed as suspected or unknown, which takes reading whole scripts and
/// libraries: what is kept is the same.
///
/// # Errors
/// As [`trace`].
pub fn trace_kept(input: Input<'_>) -> Result<Trace, TraceError> {
    run(input, false)
}

fn run(input: Input<'_>, lists: bool) -> Result<Trace, TraceError> {
    let scan = SymbolScan::with_dlopen(facts::symbol_patterns(input.rules))?;
    let store = Store::new(input.root, &scan);
    let (mut tracer, mut wanted) = Tracer::begin(input, store, Choices::default())?;
    tracer.reach_fixed_point(&mut wanted)?;
    // Only now is it known what is in anyway, and so what an alternative would add.
    tracer.settle_choices(&mut wanted)?;

    // From here on no file can join the graph that asks for another one.
    let Wanted { kernel, databases } = wanted;
    tracer.add_module_indexes(&kernel)?;
    tracer.trim_databases(databases.as_ref());
    if tracer.system == System::Linux {
        tracer.add_startup_plan(&kernel)?;
    }
    tracer.add_loader_cache();
    tracer.note_modes_of_targets();
    if input.cpu()? != Cpu::Baseline {
        tracer.note_variants();
    }
    if lists {
        tracer.list_callers();
        tracer.suspect_commands();
    }
    tracer.look_elsewhere();
    tracer.weaken_missing();
    tracer.spread_consequences();
    Ok(tracer.finish(kernel))
}

/// What is wanted besides paths, and chosen from as the trace goes on.
struct Wanted {
    kernel: Option<kernel::Kernel>,
    databases: Option<DriverDatabases>,
}

/// The state of a trace. Each pass is a method, in the file named after its subject.
struct Tracer<'a> {
    input: Input<'a>,
    system: System,
    glibc: Glibc<'a>,
    musl: Musl,
    illumos: Illumos,
    /// Objects of an illumos root whose dependencies are in.
    linked: HashSet<ObjectId>,
    rule_state: RuleState,
    /// What rules need, as often by each object that says so as by one.
    rule_lookups: HashMap<RootPath, Result<Found, LookupError>>,
    graph: Graph,
    items: HashMap<RootPath, Item>,
    targets: BTreeSet<RootPath>,
    /// Files that targets lead to and that nobody may execute: it matters for those that are programs.
    not_executable: BTreeSet<RootPath>,
    forbidden: BTreeMap<RootPath, String>,
    dropped: BTreeSet<Omission>,
    unknown: BTreeSet<Omission>,
    missing: BTreeSet<Missing>,
    notes: Vec<String>,

    /// Paths that the rules have not seen.
    new_paths: Vec<RootPath>,
    /// By the name in the `#!` line.
    interpreters: HashMap<Vec<u8>, scripts::Interpreter>,
    /// Links to directories whose directory is in.
    followed: HashSet<RootPath>,
    /// Links to files whose file is in.
    chained: HashSet<RootPath>,
    /// Files that are to be examined, and all that ever were.
    unexamined: Vec<Found>,
    examined: HashSet<RootPath>,
    /// Examined files that so far nobody starts.
    only_opened: HashSet<RootPath>,

    /// Executables whose processes have to be worked out, or worked out again.
    stale: BTreeSet<ObjectId>,
    /// What the code of each executable asks `dlopen` for.
    requests: BTreeMap<ObjectId, Vec<Request>>,
    by_name: ByName,
    choices: Choices,
    /// The executables that an object runs in; one that was worked out twice may be there twice.
    runs_in: HashMap<ObjectId, Vec<ObjectId>>,
    /// Libraries that a search came to its end without: who needs them, and the name.
    not_found: BTreeSet<(RootPath, String)>,
    /// Places that are nodes of the graph already, with what everybody who is led to them is connected to.
    placed: HashMap<PlaceId, Box<[NodeId]>>,
    /// The names of libraries as they stand in reasons.
    details: HashMap<NameId, Arc<str>>,
    /// Libraries that are found through `ld.so.conf` only, and who needs them.
    configured: BTreeSet<(Vec<u8>, Vec<u8>, ObjectId, ObjectId)>,
    /// What rules and the recipe want of the kernel.
    module_requests: Vec<crate::modules::Request>,
    wants_module_indexes: BTreeSet<(Option<RootPath>, String)>,
    /// Modules that rules want for the kernels of an illumos image, and the kernels so far.
    illumos_modules: illumos_kernel::Wishes,
    /// Where the kernel of an illumos root looks for modules, as its `/etc/system` says.
    module_path: ModulePath,
    /// What rules say happens without a path of the image; of several the worst.
    consequences: HashMap<RootPath, Consequence>,
    arch: Option<&'static str>,
    /// The variables of the startup lines, as rules are asked about them.
    environment: Vec<u8>,
}

impl<'a> Tracer<'a> {
    /// A trace with what the user asked for.
    fn begin(input: Input<'a>, store: Store<'a>, choices: Choices) -> Result<(Tracer<'a>, Wanted), TraceError> {
        let library_path = &input.recipe.trace.library_path;
        let mut tracer = Tracer::new(input, Glibc::new(store, input.cpu()?, input.cache, library_path), choices);
        tracer.note_library_path();
        tracer.add_exclusions();
        // The recipe's own files come first: a startup line may run one of them.
        tracer.add_recipe_files()?;
        tracer.add_illumos_startup();
        tracer.add_base();
        tracer.add_targets();
        tracer.add_includes();
        tracer.add_startup_commands()?;
        let (kernel, databases) = (tracer.choose_kernel()?, tracer.choose_drivers()?);
        Ok((tracer, Wanted { kernel, databases }))
    }

    /// Goes on until nothing new appears. Objects before rules: a rule asks what objects say and which of them run
    /// together.
    fn reach_fixed_point(&mut self, wanted: &mut Wanted) -> Result<(), TraceError> {
        loop {
            while self.has_files() {
                self.examine_files();
                match self.system {
                    System::Linux => self.run_processes(),
                    System::Illumos => self.link_illumos_objects(),
                }
            }
            self.fire_rules();
            self.ask_for_suspected();
            self.add_illumos_modules();
            self.select_modules(&mut wanted.kernel)?;
            let is_quiet = !self.has_files() && self.new_paths.is_empty();
            if is_quiet && !self.look_for_requests() {
                return Ok(());
            }
        }
    }

    fn new(input: Input<'a>, glibc: Glibc<'a>, choices: Choices) -> Tracer<'a> {
        let system = input.recipe.system.unwrap_or_else(|| illumos::system_of(input.root));
        Tracer {
            input,
            system,
            glibc,
            musl: Musl::new(&input.recipe.trace.library_path),
            illumos: Illumos::default(),
            linked: HashSet::new(),
            rule_state: RuleState::default(),
            rule_lookups: HashMap::new(),
            graph: Graph::default(),
            items: HashMap::new(),
            targets: BTreeSet::new(),
            not_executable: BTreeSet::new(),
            forbidden: BTreeMap::new(),
            dropped: BTreeSet::new(),
            unknown: BTreeSet::new(),
            missing: BTreeSet::new(),
            notes: Vec::new(),
            new_paths: Vec::new(),
            interpreters: HashMap::new(),
            followed: HashSet::new(),
            chained: HashSet::new(),
            unexamined: Vec::new(),
            examined: HashSet::new(),
            only_opened: HashSet::new(),
            stale: BTreeSet::new(),
            requests: BTreeMap::new(),
            by_name: ByName::default(),
            choices,
            runs_in: HashMap::new(),
            not_found: BTreeSet::new(),
            placed: HashMap::new(),
            details: HashMap::new(),
            configured: BTreeSet::new(),
            module_requests: Vec::new(),
            wants_module_indexes: BTreeSet::new(),
            arch: (system == System::Illumos).then(|| illumos::arch_of(input.root)),
            illumos_modules: illumos_kernel::Wishes::default(),
            module_path: ModulePath::default(),
            consequences: HashMap::new(),
            environment: wishes::environment(&input.recipe.startup),
        }
    }

    fn has_files(&self) -> bool {
        !self.unexamined.is_empty() || !self.stale.is_empty()
    }

    fn finish(self, kernel: Option<kernel::Kernel>) -> Trace {
        Trace {
            choices: self.choices_made(),
            graph: self.graph,
            system: self.system,
            arch: self.arch.unwrap_or_default().to_owned(),
            targets: self.targets.into_iter().collect(),
            boot: kernel.and_then(|kernel| kernel.boot(self.input.recipe)),
            items: self.items,
            forbidden: self.forbidden,
            dropped: self.dropped,
            unknown: self.unknown,
            missing: self.missing,
            notes: self.notes,
        }
    }
}
