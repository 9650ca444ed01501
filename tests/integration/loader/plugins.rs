//! Libraries that a program loads by name while it runs.

use super::fixture::{Fixture, has, materialize, required, run_in};
use crate::support;
use minroot::manifest::Manifest;
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;
use minroot::root::Root;
use minroot::rules::RuleSet;
use minroot::trace::{Input, trace};

const PROGRAM: &str = r#"
    #include <dlfcn.h>
    #include <stdio.h>
    int main(void) {
        void *plugin = dlopen("/lib/plug/p.so", RTLD_NOW);
        if (!plugin) { fprintf(stderr, "%s\n", dlerror()); return 1; }
        return ((int (*)(void))dlsym(plugin, "plug"))();
    }
"#;

/// A rule of the user's says what the program loads, as one would for any directory of plugins.
fn trace_with_rule(fixture: &Fixture, target: &str) -> Manifest {
    let rules = support::scratch();
    let rule = "summary = 's'\nmechanism = 'dlopen'\nsystems = ['linux']\nwhy = 'w'\nevidence = ['e']\n\
                [[rule]]\nwhen = { object = '/app/*' }\nlibraries = ['/lib/plug/p.so']\n";
    std::fs::write(rules.path().join("plug.toml"), rule).unwrap();
    let rules = RuleSet::load(&[rules.path().to_owned()]).unwrap();
    let root = Root::open(fixture.root()).unwrap();
    let mut recipe = Recipe::default();
    recipe.trace.targets.push(target.to_owned());
    let cache = Cache::FromConfiguration;
    let input = Input { root: &root, rules: &rules, recipe: &recipe, rule_directories: &[], cache };
    trace(input).unwrap().manifest(&root, &rules).unwrap()
}

#[test]
fn b40_a_plugin_is_resolved_in_the_program_that_loads_it() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.library("/app/l/libsibling.so", "int sibling(void) { return 0; }", &[]);
    let calls = "int sibling(void); int plug(void) { return sibling(); }";
    fixture.library("/lib/plug/p.so", calls, &["-LR/app/l", "-lsibling"]);
    // The first has loaded what the plugin needs, the second says where it is, the third neither.
    let programs = [
        ("/app/has", &["-LR/app/l", "-lsibling", "-Wl,-rpath,$ORIGIN/l"][..], true),
        ("/app/leads", &["-Wl,--disable-new-dtags,-rpath,$ORIGIN/l"], true),
        ("/app/lacks", &["-Wl,--enable-new-dtags,-rpath,$ORIGIN/l"], false),
    ];
    for (program, arguments, works) in programs {
        fixture.program(program, PROGRAM, arguments);
        let real = fixture.run(&[program], &[]);
        assert_eq!(real.success, works, "{program}: {real:?}");
        let manifest = trace_with_rule(&fixture, program);
        let missing: Vec<&str> = required(&manifest).iter().map(|missing| &missing.name[..]).collect();
        assert_eq!(missing, if works { &[][..] } else { &["libsibling.so"] }, "{program}");
        assert!(has(&manifest, "/lib/plug/p.so") && has(&manifest, "/app/l/libsibling.so") == works, "{program}");
        let reduced = support::scratch();
        materialize(&manifest, fixture.root(), reduced.path());
        assert_eq!(run_in(reduced.path(), &[program], &[]).success, works, "{program} in the reduced tree");
    }
}
