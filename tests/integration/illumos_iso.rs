//! ISOs of illumos: their layout as other tools see it, and one that starts.

use crate::command::{minroot, recipe, succeed, text, with_umask};
use crate::illumos_stub::{StubMachine, args, root_of};
use crate::model_root::{generator::Year, shared};
use crate::support::{hex, run, scratch, tool};
use minroot::iso::eltorito::info_table_is_right;
use minroot::iso::illumos::{IllumosImage, IllumosLoader, write_illumos_iso};
use minroot::iso::{Blob, IsoImage};
use minroot::path::RootPath;
use minroot::recipe::ForthFiles;
use minroot::root::Root;
use std::fs;
use std::path::{Path, PathBuf};

const KERNEL: &str = "/platform/i86pc/kernel/amd64/unix";
const KERNEL_32: &str = "/platform/i86pc/kernel/unix";
const EPOCH: u64 = 1_700_000_000;

fn path(name: &str) -> RootPath {
    RootPath::new(name).unwrap()
}

/// A loader each of whose programs has bytes of its own.
fn loader_root() -> tempfile::TempDir {
    root_of(&[
        ("/boot/cdboot", vec![0xc1; 2048]),
        ("/boot/pmbr", vec![0xc2; 512]),
        ("/boot/isoboot", vec![0xc3; 20_000]),
        ("/boot/loader", vec![0xc4; 300_000]),
        ("/boot/loader64.efi", vec![0xc5; 400_000]),
        ("/boot/loader32.efi", vec![0xc6; 300_000]),
        ("/boot/loader.rc", b"include /boot/forth/loader.4th\ntry-include /boot/loader.rc.local\n".to_vec()),
        ("/boot/forth/loader.4th", b"\\ the library\n".to_vec()),
        ("/boot/forth/unused.4th", b"\\ included under a computed name\n".to_vec()),
        ("/boot/defaults/loader.conf", b"exec=\"x\"\n".to_vec()),
        ("/boot/loader.conf", b"boot_archive_name=\"/of/the/disk\"\n".to_vec()),
        ("/boot/conf.d/site", b"broken".to_vec()),
    ])
}

/// An ISO around the loader of `root`.
fn iso_of(root: &Path, kernels: &[&str], forth: ForthFiles) -> (tempfile::TempDir, PathBuf) {
    let directory = scratch();
    let file = directory.path().join("out.iso");
    let loader = IllumosLoader::find(&Root::open(root).unwrap(), forth).unwrap();
    let image = IllumosImage {
        kernels: kernels.iter().map(|name| (path(name), Blob::from_bytes(name.as_bytes()))).collect(),
        archive: Blob::from_bytes(vec![0xa7; 100_001]),
        sha1: [0xab; 20],
        kernel_args: "-v -B console=ttya".to_owned(),
        label: "MINROOT".to_owned(),
        epoch: EPOCH,
    };
    let report = write_illumos_iso(&image, &loader, &file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), report.total());
    (directory, file)
}

fn read(iso: &IsoImage, name: &str) -> Vec<u8> {
    iso.file(&path(name)).unwrap().unwrap_or_else(|| panic!("{name} is not on the ISO")).read().unwrap()
}

#[test]
fn the_loader_finds_its_files_and_the_archive_under_every_name() {
    let root = loader_root();
    let (_directory, file) = iso_of(root.path(), &[KERNEL, KERNEL_32], ForthFiles::All);
    let iso = IsoImage::open(&file).unwrap();
    let conf = text(&read(&iso, "/boot/loader.conf"));
    assert!(conf.contains("boot-args=\"-v -B console=ttya\"\n"), "{conf}");
    for isadir in ["amd64", ""] {
        let value = |name: &str| {
            let start = format!("{name}=\"");
            let value = conf.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"')).unwrap();
            value.replace("${ISADIR}", isadir).replace("//", "/")
        };
        let kernel = format!("/platform/{}/unix", value("kernel").trim_end_matches('/'));
        assert_eq!(text(&read(&iso, &kernel)), kernel);
        assert_eq!(read(&iso, &value("boot_archive_name")), vec![0xa7; 100_001]);
        assert_eq!(text(&read(&iso, &value("boot_archive.hash_name"))), format!("{}\n", "ab".repeat(20)));
    }
    let sector = |name: &str| iso.find(&path(name)).unwrap().sector;
    assert_eq!(sector("/platform/i86pc/boot_archive"), sector("/platform/i86pc/amd64/boot_archive"));
    assert!(iso.find(&path("/boot/conf.d")).is_err());
    assert!(iso.find(&path("/boot/forth/unused.4th")).is_ok());

    let (_directory, file) = iso_of(root.path(), &[KERNEL], ForthFiles::Needed);
    let iso = IsoImage::open(&file).unwrap();
    assert!(iso.find(&path("/boot/forth/unused.4th")).is_err() && iso.find(&path("/boot/forth/loader.4th")).is_ok());
}

#[test]
fn other_tools_see_both_boot_images_the_partitions_and_names_without_rock_ridge() {
    let (Some(xorriso), Some(isoinfo)) = (tool("xorriso"), tool("isoinfo")) else { return };
    let (Some(fsck), Some(mdir), Some(sfdisk)) = (tool("fsck.fat"), tool("mdir"), tool("sfdisk")) else { return };
    let root = loader_root();
    let (directory, file) = iso_of(root.path(), &[KERNEL], ForthFiles::All);
    let name = file.to_str().unwrap();

    let report = text(&run(&xorriso, &args(&["-indev", name, "-report_el_torito", "plain"])));
    let line = |start: &str| report.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{report}"));
    assert!(line("El Torito boot img :   1  BIOS  y   none").contains("     4 "), "{report}");
    line("El Torito boot img :   2  UEFI  y   none");
    assert!(line("El Torito img opts :   1").contains("boot-info-table"), "{report}");
    assert!(line("El Torito img path :   1").ends_with("/boot/cdboot"), "{report}");

    // cdboot looks for /BOOT/LOADER without Rock Ridge.
    let plain = text(&run(&isoinfo, &args(&["-f", "-i", name])));
    assert!(plain.lines().any(|line| line == "/BOOT/LOADER.;1"), "{plain}");

    let iso = IsoImage::open(&file).unwrap();
    let efi = iso.boot_entries()[1];
    let image = directory.path().join("efi.img");
    fs::write(&image, iso.boot_image(&efi).unwrap().read().unwrap()).unwrap();
    run(&fsck, &args(&["-n", image.to_str().unwrap()]));
    let listing = text(&run(&mdir, &args(&["-i", image.to_str().unwrap(), "-/", "-b", "::"])));
    for program in ["::/EFI/BOOT/BOOTX64.EFI", "::/EFI/BOOT/BOOTIA32.EFI"] {
        assert!(listing.lines().any(|line| line == program), "{listing}");
    }

    let partitions = text(&run(&sfdisk, &args(&["-d", name])));
    let blocks = fs::metadata(&image).unwrap().len() / 512;
    let start = u64::from(efi.sector) * 4;
    let compact: String = partitions.chars().filter(|c| *c != ' ').collect();
    for expected in ["start=3,size=60,type=be,bootable".to_owned(), format!("start={start},size={blocks},type=ef")] {
        assert!(compact.contains(&expected), "{expected} in {partitions}");
    }

    let bytes = fs::read(&file).unwrap();
    assert_eq!(bytes[..0xfc], [0xc2; 0xfc]);
    assert_eq!(bytes[0xfc..0xfe], 40u16.to_le_bytes());
    assert_eq!(bytes[0xfe..0x106], 4u64.to_le_bytes());
    assert_eq!(bytes[4 * 512..4 * 512 + 20_000], [0xc3; 20_000]);
    let cdboot = iso.find(&path("/boot/cdboot")).unwrap();
    assert!(info_table_is_right(&read(&iso, "/boot/cdboot"), cdboot.sector));
}

/// `minroot iso` of the model root's smallest image, with a umask and variables.
fn iso_of_model(year: Year, umask: &str, variables: &[(&str, &str)]) -> Vec<u8> {
    let directory = scratch();
    let (manifest, file) = (directory.path().join("m.json"), directory.path().join("out.iso"));
    let mut trace = minroot(["trace", "--root"]);
    trace.arg(shared(year)).arg(recipe("illumos-base")).arg("-o").arg(&manifest).envs(variables.iter().copied());
    succeed(&mut with_umask(umask, &trace));
    let mut iso = minroot(["iso", "--root"]);
    iso.arg(shared(year)).arg("-m").arg(&manifest).arg("-o").arg(&file).envs(variables.iter().copied());
    succeed(&mut with_umask(umask, &iso));
    fs::read(&file).unwrap()
}

#[test]
fn the_model_roots_make_isos_with_the_loaders_of_their_years() {
    for (year, loader) in [(Year::Y2015, "/boot/grub/stage2_eltorito"), (Year::Y2025, "/boot/loader")] {
        let iso = IsoImage::new(Blob::from_bytes(iso_of_model(year, "022", &[]))).unwrap();
        read(&iso, loader);
        assert_eq!(read(&iso, KERNEL), fs::read(shared(year).join(&KERNEL[1..])).unwrap());
        let name = "/platform/i86pc/amd64/boot_archive";
        let mut archive = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&read(&iso, name)[..]), &mut archive).unwrap();
        assert_eq!(archive[8192 + 1372..8192 + 1376], 0x0001_1954u32.to_le_bytes());
        let sha1 = hex(&<sha1::Sha1 as sha1::Digest>::digest(&archive));
        assert_eq!(text(&read(&iso, &format!("{name}.hash"))), sha1 + "\n");
    }
}

#[test]
fn equal_inputs_give_equal_isos_whatever_the_umask_the_threads_and_the_time_zone() {
    let first = iso_of_model(Year::Y2025, "022", &[("TZ", "UTC"), ("RAYON_NUM_THREADS", "1")]);
    let second = iso_of_model(Year::Y2025, "077", &[("TZ", "Asia/Tokyo"), ("RAYON_NUM_THREADS", "4")]);
    assert!(first == second);
}

#[test]
fn grub_starts_the_kernel_of_the_iso_with_the_archive_as_it_was_packed() {
    let modules = ["biosdisk", "iso9660", "normal", "multiboot", "gzio"];
    let Some(machine) = StubMachine::new("boot/grub/eltorito.img", "i386-pc-eltorito", &modules) else { return };
    let iso = machine.make("iso", "out.iso");
    machine.assert_starts(&["-cdrom", iso.to_str().unwrap()]);
}
