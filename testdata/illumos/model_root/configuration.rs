//! The configuration in `/etc` that readers of the project know: the defaults of an installation, in few lines.

use super::accounts;

/// The text of a configuration file.
pub fn text(path: &str) -> Option<String> {
    let text = match path.strip_prefix("etc/")? {
        "passwd" => return Some(accounts::passwd()),
        "shadow" => return Some(accounts::shadow()),
        "group" => return Some(accounts::group()),
        "name_to_sysnum" => return Some(name_to_sysnum()),
        "crypto/kcf.conf" => KCF_CONF,
        "crypto/pkcs11.conf" => PKCS11_CONF,
        "dacf.conf" => DACF_CONF,
        "default/init" => "TZ=UTC\nCMASK=022\n",
        "default/login" => "CONSOLE=/dev/console\nPASSREQ=YES\nTIMEOUT=300\n",
        "inet/hosts" => "::1 localhost\n127.0.0.1 localhost loghost\n",
        "inet/netmasks" => "# network\tnetmask\n",
        "inet/networks" => "loopback\t127\n",
        "inet/protocols" => "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\n",
        "inet/services" => "ssh\t22/tcp\ndomain\t53/udp\ndomain\t53/tcp\nhttp\t80/tcp\nhttps\t443/tcp\n",
        "inittab" => INITTAB,
        "iu.ap" => IU_AP,
        "mach" => "# platform specific modules, tried in this order\npcplusmp\napix\nxpv_psm\n",
        "mnttab" | "dfs/sharetab" => "",
        "netconfig" => NETCONFIG,
        "nsswitch.conf" | "nsswitch.files" => NSSWITCH_FILES,
        "nsswitch.dns" => return Some(hosts_by("dns [!UNAVAIL=return] files")),
        "nsswitch.ldap" => return Some(hosts_by("ldap [NOTFOUND=return] files")),
        "pam.conf" => PAM_CONF,
        "path_to_inst" => "#\n#\tCaution! This file contains critical kernel state\n#\n#path_to_inst_bootstrap_1\n",
        "project" => "system:0::::\nuser.root:1::::\nnoproject:2::::\ndefault:3::::\ngroup.staff:10::::\n",
        "rpc" => "rpcbind\t100000\tportmap sunrpc rpcbind\nnfs\t100003\tnfsprog\n",
        "security/policy.conf" => POLICY_CONF,
        "security/crypt.conf" => "1\tcrypt_bsdmd5.so.1\n2a\tcrypt_bsdbf.so.1\nmd5\tcrypt_sunmd5.so.1\n",
        "sock2path.d/system%2Fkernel" => SOCK2PATH_KERNEL,
        "sock2path.d/driver%2Fnetwork%2Frds" => "\t30\t6\t0\tsockrds\n",
        "sock2path.d/driver%2Fnetwork%2Fsdp" => "\t2\t2\t257\tsocksdp\n\t26\t2\t257\tsocksdp\n",
        "sock2path.d/driver%2Fnetwork%2Fbpf" => "\t33\t4\t0\t/dev/bpf\n",
        "sock2path.d/driver%2Fnetwork%2Frdsv3" => "\t30\t6\t0\tsockrds\n",
        "syslog.conf" => "*.err;kern.notice;auth.notice\t\t/dev/sysmsg\n*.err;kern.debug\t\t/var/adm/messages\n",
        "system" => SYSTEM,
        "user_attr" => "root::::auths=solaris.*,solaris.grant;profiles=All;lock_after_retries=no\n",
        "vfstab" => VFSTAB,
        _ => return None,
    };
    Some(text.to_owned())
}

/// init.8 starts a shell for each, in this order.
const INITTAB: &str = "ap::sysinit:/sbin/autopush -f /etc/iu.ap\n\
    sp::sysinit:/sbin/soconfig -d /etc/sock2path.d\n\
    smf::sysinit:/lib/svc/bin/svc.startd\t>/dev/msglog 2<>/dev/msglog </dev/console\n\
    p3:s1234:powerfail:/sbin/shutdown -y -i5 -g0 >/dev/msglog 2<>/dev/msglog\n";

/// Major name, first and last minor, modules.
const IU_AP: &str = "# major\tminor\tlastminor\tmodules\n\
    asy\t-1\t0\tldterm ttcompat\n\
    wc\t0\t0\tldterm ttcompat\n\
    zcons\t0\t0\tldterm ttcompat\n\
    ptsl\t0\t47\tldterm ttcompat\n\
    iwscn\t0\t0\tldterm ttcompat\n";

/// Family, type, protocol, then a socket module or a STREAMS device.
const SOCK2PATH_KERNEL: &str = "# family\ttype\tprotocol\tmodule or path\n\
    \t2\t2\t0\ttcp\n\t2\t2\t6\ttcp\n\t26\t2\t0\ttcp\n\t26\t2\t6\ttcp\n\
    \t2\t1\t0\tudp\n\t2\t1\t17\tudp\n\t26\t1\t0\tudp\n\t26\t1\t17\tudp\n\
    \t1\t2\t0\t/dev/ticotsord\n\t1\t6\t0\t/dev/ticotsord\n\t1\t1\t0\t/dev/ticlts\n\
    \t2\t4\t0\ticmp\n\t26\t4\t0\ticmp\n\
    \t2\t2\t132\tsocksctp\n\t26\t2\t132\tsocksctp\n\t2\t6\t132\tsocksctp\n\t26\t6\t132\tsocksctp\n\
    \t24\t4\t0\trts\n\t27\t4\t2\t/dev/keysock\n\t32\t4\t0\tsockpfp\n\t32\t1\t0\tsockpfp\n";

const DACF_CONF: &str = "# which operation of which module runs after a device attaches\n\
    driver-minorname=\"hid:internal_keyboard\" consconfig_dacf:kb_config post-attach - pushmod=\"usbkbm\"\n\
    driver-minorname=\"hid:internal_keyboard\" consconfig_dacf:kb_config pre-detach - pushmod=\"usbkbm\"\n\
    driver-minorname=\"hid:internal_mouse\" consconfig_dacf:ms_config post-attach - pushmod=\"usbms\"\n\
    driver-minorname=\"hid:internal_mouse\" consconfig_dacf:ms_config pre-detach - pushmod=\"usbms\"\n\
    minor-nodetype=\"ddi_keyboard\" consconfig_dacf:kb_config post-attach -\n\
    minor-nodetype=\"ddi_keyboard\" consconfig_dacf:kb_config pre-detach -\n\
    driver-minorname=\"mouse8042:internal_mouse\" consconfig_dacf:ms_config post-attach - pushmod=\"vuid3ps2\"\n\
    driver-minorname=\"mouse8042:internal_mouse\" consconfig_dacf:ms_config pre-detach - pushmod=\"vuid3ps2\"\n\
    minor-nodetype=\"ddi_network\" net_dacf:net_config post-attach -\n\
    minor-nodetype=\"ddi_network\" net_dacf:net_config pre-detach -\n";

/// Comments of system(5) begin with `*`.
const SYSTEM: &str = "*ident\t\"model of /etc/system\"\n\
    *\n\
    * moddir:\n\
    * rootfs:ufs\n\
    * exclude: lofs\n\
    * forceload: drv/foo\n\
    * set nautopush=32\n";

const NSSWITCH_FILES: &str = "passwd:     files\n\
    group:      files\n\
    hosts:      files\n\
    ipnodes:    files\n\
    networks:   files\n\
    protocols:  files\n\
    rpc:        files\n\
    ethers:     files\n\
    netmasks:   files\n\
    bootparams: files\n\
    publickey:  files\n\
    netgroup:   files\n\
    automount:  files\n\
    aliases:    files\n\
    services:   files\n\
    printers:   user files\n\
    project:    files\n\
    auth_attr:  files\n\
    prof_attr:  files\n\
    tnrhtp:     files\n\
    tnrhdb:     files\n";

fn hosts_by(sources: &str) -> String {
    NSSWITCH_FILES
        .replace("hosts:      files", &format!("hosts:      {sources}"))
        .replace("ipnodes:    files", &format!("ipnodes:    {sources}"))
}

const PAM_CONF: &str = "# service\ttype\tcontrol\tmodule\toptions\n\
    login\tauth requisite\t\tpam_authtok_get.so.1\n\
    login\tauth required\t\tpam_dhkeys.so.1\n\
    login\tauth required\t\tpam_unix_cred.so.1\n\
    login\tauth required\t\tpam_unix_auth.so.1\n\
    login\tauth required\t\tpam_dial_auth.so.1\n\
    rlogin\tauth sufficient\t\tpam_rhosts_auth.so.1\n\
    passwd\tauth required\t\tpam_passwd_auth.so.1\n\
    cron\taccount required\tpam_unix_account.so.1\n\
    other\tauth requisite\t\tpam_authtok_get.so.1\n\
    other\tauth required\t\tpam_dhkeys.so.1\n\
    other\tauth required\t\tpam_unix_cred.so.1\n\
    other\tauth required\t\tpam_unix_auth.so.1\n\
    other\taccount requisite\tpam_roles.so.1\n\
    other\taccount required\tpam_unix_account.so.1\n\
    other\taccount required\tpam_tsol_account.so.1\n\
    other\tsession required\tpam_unix_session.so.1\n\
    other\tpassword required\tpam_dhkeys.so.1\n\
    other\tpassword requisite\tpam_authtok_get.so.1\n\
    other\tpassword requisite\tpam_authtok_check.so.1\n\
    other\tpassword required\tpam_authtok_store.so.1\n";

const VFSTAB: &str = "#device\t\tdevice\t\tmount\t\tFS\tfsck\tmount\tmount\n\
    #to mount\tto fsck\t\tpoint\t\ttype\tpass\tat boot\toptions\n\
    /devices\t-\t\t/devices\tdevfs\t-\tno\t-\n\
    /proc\t\t-\t\t/proc\t\tproc\t-\tno\t-\n\
    ctfs\t\t-\t\t/system/contract\tctfs\t-\tno\t-\n\
    objfs\t\t-\t\t/system/object\tobjfs\t-\tno\t-\n\
    bootfs\t\t-\t\t/system/boot\tbootfs\t-\tno\t-\n\
    sharefs\t\t-\t\t/etc/dfs/sharetab\tsharefs\t-\tno\t-\n\
    fd\t\t-\t\t/dev/fd\t\tfd\t-\tno\t-\n\
    swap\t\t-\t\t/tmp\t\ttmpfs\t-\tyes\t-\n";

/// Identifier, semantics, flags, family, protocol, device, libraries.
const NETCONFIG: &str = "udp6\ttpi_clts\tv\tinet6\tudp\t/dev/udp6\t-\n\
    tcp6\ttpi_cots_ord\tv\tinet6\ttcp\t/dev/tcp6\t-\n\
    udp\ttpi_clts\tv\tinet\tudp\t/dev/udp\t-\n\
    tcp\ttpi_cots_ord\tv\tinet\ttcp\t/dev/tcp\t-\n\
    ticlts\ttpi_clts\tv\tloopback\t-\t/dev/ticlts\tstraddr.so\n\
    ticotsord\ttpi_cots_ord\tv\tloopback\t-\t/dev/ticotsord\tstraddr.so\n\
    ticots\ttpi_cots\tv\tloopback\t-\t/dev/ticots\tstraddr.so\n";

/// Kernel providers; the first line of a pair names the module, `supportedlist` what it does.
const KCF_CONF: &str = "# provider:supportedlist=mechanism,...\n\
    des:supportedlist=CKM_DES_CBC,CKM_DES_ECB,CKM_DES3_CBC,CKM_DES3_ECB\n\
    aes:supportedlist=CKM_AES_ECB,CKM_AES_CBC,CKM_AES_CTR,CKM_AES_CCM,CKM_AES_GCM\n\
    arcfour:supportedlist=CKM_RC4\n\
    blowfish:supportedlist=CKM_BLOWFISH_ECB,CKM_BLOWFISH_CBC\n\
    md4:supportedlist=CKM_MD4\n\
    md5:supportedlist=CKM_MD5,CKM_MD5_HMAC\n\
    sha1:supportedlist=CKM_SHA_1,CKM_SHA_1_HMAC\n\
    sha2:supportedlist=CKM_SHA256,CKM_SHA384,CKM_SHA512\n\
    swrand:supportedlist=random\n\
    rsa:supportedlist=CKM_RSA_PKCS,CKM_RSA_X_509\n";

const PKCS11_CONF: &str = "metaslot:status=enabled;slot=Sun Crypto Softtoken\n\
    /usr/lib/security/$ISA/pkcs11_kernel.so:enabledlist=\n\
    /usr/lib/security/$ISA/pkcs11_softtoken.so\n";

const POLICY_CONF: &str = "AUTHS_GRANTED=solaris.device.cdrw\n\
    PROFS_GRANTED=Basic Solaris User\n\
    CONSOLE_USER=Console User\n\
    CRYPT_ALGORITHMS_ALLOW=1,2a,md5,5,6\n\
    CRYPT_DEFAULT=5\n";

/// System calls by number; a few of them stand for all.
fn name_to_sysnum() -> String {
    const CALLS: [(&str, u32); 40] = [
        ("nosys", 0),
        ("rexit", 1),
        ("read", 3),
        ("write", 4),
        ("open", 5),
        ("close", 6),
        ("link", 9),
        ("unlink", 10),
        ("chdir", 12),
        ("brk", 17),
        ("stat", 18),
        ("lseek", 19),
        ("getpid", 20),
        ("mount", 21),
        ("kill", 37),
        ("pipe", 42),
        ("msgsys", 49),
        ("sysacct", 51),
        ("shmsys", 52),
        ("semsys", 53),
        ("ioctl", 54),
        ("uadmin", 55),
        ("exece", 59),
        ("fcntl", 62),
        ("exacctsys", 73),
        ("sidsys", 75),
        ("sysfs", 84),
        ("nfs", 106),
        ("mmap", 115),
        ("modctl", 152),
        ("kaio", 178),
        ("cpc", 179),
        ("portfs", 182),
        ("c2audit", 186),
        ("doorfs", 201),
        ("pset", 207),
        ("rpcmod", 226),
        ("autofs", 228),
        ("so_socket", 230),
        ("umount2", 255),
    ];
    CALLS.map(|(name, number)| format!("{name}\t\t\t{number}\n")).concat()
}
