//! SMF manifests, profiles and methods: small, but valid by `service_bundle.dtd.1` as far as a reader looks.

const DOCTYPE: &str = "<?xml version='1.0'?>\n\
    <!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>\n";
const MANIFESTS: [&str; 2] = ["lib/svc/manifest/", "var/svc/manifest/"];
const METHODS: &str = "lib/svc/method/";

/// The text of a manifest, profile or method. `delivered` tells whether a file is in the root.
pub fn text(path: &str, delivered: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(service) = MANIFESTS.iter().find_map(|directory| path.strip_prefix(directory)?.strip_suffix(".xml")) {
        return Some(manifest(service, delivered));
    }
    if let Some(profile) = path.strip_prefix("etc/svc/profile/").and_then(|name| name.strip_suffix(".xml")) {
        return Some(format!("{DOCTYPE}<service_bundle type='profile' name='{profile}'/>\n"));
    }
    match path {
        "lib/svc/share/smf_include.sh" => Some(SMF_INCLUDE.to_owned()),
        _ => path.strip_prefix(METHODS).map(method),
    }
}

/// Services that start a program themselves, and what they start.
const PROGRAMS: [(&str, &str); 14] = [
    ("application/print/server", "usr/lib/lpsched"),
    ("network/inetd", "usr/lib/inet/inetd start"),
    ("network/rpc/keyserv", "usr/sbin/keyserv"),
    ("system/coreadm", "usr/bin/coreadm -U"),
    ("system/cryptosvc", "usr/sbin/cryptoadm start"),
    ("system/fmd", "usr/lib/fm/fmd/fmd"),
    ("system/idmap", "usr/lib/idmapd"),
    ("system/name-service-cache", "lib/svc/method/svc-nscd"),
    ("system/pfexecd", "usr/lib/pfexecd"),
    ("system/picl", "usr/lib/picl/picld"),
    ("system/rcap", "usr/sbin/rcapadm -E"),
    ("system/sac", "usr/lib/saf/sac -t 300"),
    ("system/sysevent", "lib/svc/method/svc-syseventd start"),
    ("system/utmp", "lib/svc/method/svc-utmpd"),
];

/// `network/network-loopback` starts `net-loopback`, when that is delivered.
fn manifest(service: &str, delivered: impl Fn(&str) -> bool) -> String {
    let program = PROGRAMS.iter().find(|(name, _)| *name == service).map(|(_, command)| (*command).to_owned());
    let methods = method_names(service).into_iter().map(|name| format!("{METHODS}{name} %m"));
    let command = program.into_iter().chain(methods).find(|command| delivered(command.split(' ').next().unwrap_or("")));
    let (start, stop) = match command {
        Some(command) => (format!("/{command}"), ":kill"),
        None => (":true".to_owned(), ":true"),
    };
    let name = service.rsplit('/').next().unwrap_or(service);
    format!(
        "{DOCTYPE}<service_bundle type='manifest' name='{name}'>\n\
         <service name='{service}' type='service' version='1'>\n  \
         <create_default_instance enabled='true'/>\n  \
         <single_instance/>\n  \
         <exec_method type='method' name='start' exec='{start}' timeout_seconds='60'/>\n  \
         <exec_method type='method' name='stop' exec='{stop}' timeout_seconds='60'/>\n  \
         <stability value='Unstable'/>\n\
         </service>\n\
         </service_bundle>\n"
    )
}

/// Names a method may have; some groups of services have a short prefix.
fn method_names(service: &str) -> Vec<String> {
    let mut components: Vec<&str> = service.split('/').collect();
    let name = components.pop().unwrap_or(service);
    let mut names: Vec<String> = Vec::new();
    for group in components.iter().rev() {
        let prefix = match *group {
            "network" | "routing" => "net",
            "filesystem" => "fs",
            "device" => "devices",
            other => other,
        };
        let name = name.strip_prefix("network-").unwrap_or(name);
        let name = name.strip_suffix("-fs").unwrap_or(name);
        names.push(format!("{prefix}-{name}"));
    }
    names.extend([name.to_owned(), format!("{name}d"), format!("svc-{name}"), format!("svc-{name}d")]);
    names
}

fn method(name: &str) -> String {
    format!("#!/sbin/sh\n# model of the method {name}\n. /lib/svc/share/smf_include.sh\nexit $SMF_EXIT_OK\n")
}

const SMF_INCLUDE: &str = "#!/bin/sh\n\
    smf_present () {\n\t[ -r /etc/svc/volatile/repository_door ]\n}\n\
    SMF_EXIT_OK=0\n\
    SMF_EXIT_ERR_FATAL=95\n\
    SMF_EXIT_ERR_CONFIG=96\n\
    SMF_EXIT_ERR_PERM=100\n";
