//! `minroot boot`: an ISO under QEMU, and the first reply of the server in it.

use super::args::{AccelName, Boot, Machine};
use super::{Outcome, report};
use crate::boot::{Accel, BootError, BootReport, BootRequest, Event, Firmware, Medium, Nic, boot};
use crate::recipe::Recipe;
use crate::rules::RuleSet;
use crate::verify::{Subject, verify};
use anyhow::anyhow;
use std::io::Write;
use std::path::Path;

/// MiB that UEFI firmware keeps for itself (measured with OVMF: 248 MiB instead of 200 for the same image).
const UEFI_MEMORY: u32 = 48;

/// Part of the least memory that is added, so that the guest is not at its limit: an eighth.
const SPARE: u32 = 8;

pub fn run(options: &Boot) -> anyhow::Result<Outcome> {
    let recipe = Recipe::load(&options.recipes)?;
    let verdict = verify(&options.image, None, &RuleSet::load(&[])?)?;
    if verdict.subject != Subject::Iso {
        let error = anyhow!("cannot boot `{}`: it is no ISO", options.image.display());
        return Err(report::with_hint(error, "`minroot iso` makes one of a manifest, `minroot build` of a recipe"));
    }
    let is_told = options.machine.memory.or(recipe.boot.memory).is_some();
    let least = match verdict.least_ram_mib {
        Some(least) => u32::try_from(least)?,
        None if is_told => 0,
        None => {
            let error = anyhow!("it cannot be told how much memory `{}` needs", options.image.display());
            let hint = format!(
                "give it with `--memory`; `minroot verify {}` says what is in the image",
                options.image.display()
            );
            return Err(report::with_hint(error, hint));
        }
    };
    start(&options.image, &recipe, &options.machine, least, options.json)
}

/// Boots an image that needs `least` MiB, and tells the reply.
pub fn start(image: &Path, recipe: &Recipe, machine: &Machine, least: u32, json: bool) -> anyhow::Result<Outcome> {
    let firmware = if machine.uefi { Firmware::Uefi } else { Firmware::Bios };
    let verbose = machine.verbose;
    let observer = move |event: Event<'_>| match event {
        Event::Note(text) => report::note(text),
        Event::Console(line) if verbose => {
            let _ = writeln!(std::io::stderr(), "   | {line}");
        }
        Event::Console(_) => {}
    };
    let medium = if machine.disk { Medium::Disk(image.to_owned()) } else { Medium::Cd(image.to_owned()) };
    let request = BootRequest {
        medium,
        firmware,
        memory: machine.memory.or(recipe.boot.memory).unwrap_or_else(|| memory(least, firmware)),
        nic: Nic::VirtioNet,
        accel: match machine.accel {
            AccelName::Auto => Accel::Auto,
            AccelName::Kvm => Accel::Kvm,
            AccelName::Tcg => Accel::Tcg,
        },
        network: recipe.network.as_ref(),
        check: &recipe.check,
        observer: &observer,
    };
    match boot(&request) {
        Ok(report) => {
            tell(&report, json)?;
            Ok(Outcome::Done)
        }
        Err(error) => {
            let hint = error.hint();
            let failed = matches!(error, BootError::Failed(_));
            let error = report::with_optional_hint(error.into(), hint);
            if failed {
                report::error(&error);
                return Ok(Outcome::No);
            }
            Err(error)
        }
    }
}

fn memory(least: u32, firmware: Firmware) -> u32 {
    let firmware = if firmware == Firmware::Uefi { UEFI_MEMORY } else { 0 };
    least + least / SPARE + firmware
}

fn tell(booted: &BootReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let reply = booted.reply.as_ref();
        let value = serde_json::json!({
            "seconds": booted.seconds,
            "status": reply.map(|r| r.status),
            "body": reply.map(|r| String::from_utf8_lossy(&r.body).into_owned()),
            "accelerator": booted.accelerator.to_string(),
            "firmware": booted.firmware.to_string(),
            "memory_mib": booted.memory,
        });
        writeln!(out, "{value:#}")?;
        return Ok(());
    }
    report::step(
        "boot",
        format_args!(
            "{:.1} s with {}, {}, {} MiB of memory",
            booted.seconds, booted.firmware, booted.accelerator, booted.memory
        ),
    );
    if let Some(reply) = &booted.reply {
        writeln!(out, "{}", reply.status_line)?;
        out.write_all(&reply.body)?;
        if !reply.body.ends_with(b"\n") {
            writeln!(out)?;
        }
    }
    Ok(())
}
