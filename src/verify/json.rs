//! A verdict as JSON.

use super::{Check, Component, Finding, Severity, Subject, Verdict};
use serde::Serialize;

impl Verdict {
    /// The verdict for programs: a JSON object; `starts` is the answer.
    pub fn json(&self) -> impl Serialize + '_ {
        VerdictJson {
            subject: match self.subject {
                Subject::Iso => "iso",
                Subject::Archive => "archive",
                Subject::Directory => "directory",
                Subject::NetworkTree => "network tree",
                Subject::Container => "container",
            },
            starts: self.starts(),
            least_ram_mib: self.least_ram_mib,
            checks: self.checks.iter().map(CheckJson::new).collect(),
            findings: self.findings.iter().map(FindingJson::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct VerdictJson<'a> {
    subject: &'static str,
    starts: bool,
    least_ram_mib: Option<u64>,
    checks: Vec<CheckJson<'a>>,
    findings: Vec<FindingJson<'a>>,
}

#[derive(Serialize)]
struct CheckJson<'a> {
    component: &'static str,
    what: &'a str,
    seen: &'a str,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    severity: &'static str,
    component: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> CheckJson<'a> {
    fn new(check: &'a Check) -> CheckJson<'a> {
        CheckJson { component: component(check.component), what: &check.what, seen: &check.seen }
    }
}

impl<'a> FindingJson<'a> {
    fn new(finding: &'a Finding) -> FindingJson<'a> {
        FindingJson {
            severity: match finding.severity {
                Severity::PreventsStart => "prevents-start",
                Severity::Harmful => "harmful",
                Severity::Warning => "warning",
                Severity::Suggestion => "suggestion",
            },
            component: component(finding.component),
            message: &finding.message,
            path: finding.path.as_deref(),
            hint: finding.hint.as_deref(),
        }
    }
}

/// Fixed words, whatever the text for people becomes.
fn component(component: Component) -> &'static str {
    match component {
        Component::Bios => "bios",
        Component::Uefi => "uefi",
        Component::Isolinux => "isolinux",
        Component::SystemdBoot => "systemd-boot",
        Component::Cdboot => "cdboot",
        Component::Pmbr => "pmbr",
        Component::IllumosLoader => "illumos-loader",
        Component::GrubLegacy => "grub-legacy",
        Component::Grub => "grub",
        Component::Dboot => "dboot",
        Component::Kernel => "kernel",
        Component::Init => "init",
        Component::RuntimeLinker => "runtime-linker",
        Component::Program => "program",
        Component::Rules => "rules",
        Component::Image => "image",
        Component::Manifest => "manifest",
    }
}
