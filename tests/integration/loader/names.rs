//! Names that other tools treat in a way of their own: the kernel's library, and those they never copy.

use super::fixture::{Fixture, has};
use minroot::explain::{Answer, Options, explain};
use minroot::recipe::Recipe;
use minroot::resolve::glibc::Cache;

const MAIN: &str = "int main(void) { return 0; }";

#[test]
fn b25_the_library_that_the_kernel_maps_is_no_file() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", MAIN, &[]);
    let compared = fixture.compare("/app/run");
    let listed = fixture.run(&["/app/run"], &["LD_TRACE_LOADED_OBJECTS=1"]).stdout;
    assert!(listed.contains("linux-vdso.so.1"), "{listed}");
    assert!(compared.manifest.entries.iter().all(|entry| !entry.path.to_string().contains("vdso")));
    // It goes by its soname in every process.
    fixture.patchelf("/app/run", &["--add-needed", "linux-vdso.so.1"]);
    assert!(fixture.compare("/app/run").real.success);
    // The one of 32-bit processes is not there.
    fixture.patchelf("/app/run", &["--add-needed", "linux-gate.so.1"]);
    assert!(!fixture.compare("/app/run").real.success);
}

#[test]
fn b28_no_library_is_left_out_by_its_name() {
    let names = [
        "libpthread.so.0",
        "libdl.so.2",
        "libstdc++.so.6",
        "libgcc_s.so.1",
        "libGL.so.1",
        "libX11.so.6",
        "libz.so.1",
        "libfontconfig.so.1",
        "libexpat.so.1",
        "libcom_err.so.2",
    ];
    let Some(fixture) = Fixture::new() else { return };
    fixture.program("/app/run", MAIN, &[]);
    for name in names {
        fixture.library(&format!("/usr/lib/{name}"), "", &[]);
        fixture.patchelf("/app/run", &["--add-needed", name]);
    }
    let compared = fixture.compare("/app/run");
    assert!(compared.real.success);
    for name in names {
        assert!(compared.mapped.contains(&format!("/usr/lib/{name}")) && compared.has(&format!("/usr/lib/{name}")));
    }
    // What the user excludes is told.
    let mut recipe = Recipe::default();
    recipe.trace.exclude.push("/usr/lib/libGL.so.*".to_owned());
    let (_, manifest) = fixture.trace_with(&recipe, &["/app/run"], Cache::FromConfiguration);
    assert!(!has(&manifest, "/usr/lib/libGL.so.1"));
    let explanation = explain(&manifest, b"/usr/lib/libGL.so.1", &Options::default());
    let Answer::Excluded { omissions, .. } = explanation.answer else { panic!("{:?}", explanation.answer) };
    assert!(omissions[0].why.contains("the recipe excludes /usr/lib/libGL.so.*"), "{omissions:?}");
}
