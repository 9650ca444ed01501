//! `/etc/crypto/kcf.conf` to one map per setting of a provider: the kernel's cryptographic framework loads
//! `kernel/crypto/{module}` for a software provider that is not unloaded.

use super::bind;
use crate::rules::pattern::Bindings;

/// `provider` as in the file, such as `aes` or, for a device, `dca/0`; `module` is its part before the slash; `key` is
/// `supportedlist`, `disabledlist` or `unload`; `value` the list, or empty.
pub(super) const BINDINGS: &[&str] = &["provider", "module", "key", "value"];

pub(super) fn read(text: &[u8]) -> Vec<Bindings> {
    text.split(|&byte| byte == b'\n').flat_map(read_line).collect()
}

/// `provider:key=value;key=value;key`.
fn read_line(line: &[u8]) -> Vec<Bindings> {
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let Some(colon) = memchr::memchr(b':', line) else { return Vec::new() };
    let provider = line[..colon].trim_ascii();
    let module = provider.split(|&byte| byte == b'/').next().unwrap_or_default();
    if module.is_empty() {
        return Vec::new();
    }
    let settings = line[colon + 1..].split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let settings = settings.filter(|setting| !setting.is_empty());
    let bindings = settings.map(|setting| {
        let equals = memchr::memchr(b'=', setting);
        let (key, value) = equals.map_or((setting, &b""[..]), |at| (&setting[..at], &setting[at + 1..]));
        bind(BINDINGS, [provider, module, key, value])
    });
    bindings.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn providers_have_settings() {
        check(
            "kcf",
            "# aes:x\naes:supportedlist=CKM_AES_ECB,CKM_AES_CBC\ndes:unload;disabledlist=CKM_DES_CBC\ndca/0:disabledlist=A\n",
            &[
                "aes aes supportedlist CKM_AES_ECB,CKM_AES_CBC",
                "des des unload ",
                "des des disabledlist CKM_DES_CBC",
                "dca/0 dca disabledlist A",
            ],
        );
        check("kcf", "aes\n:x=y\n/0:x=y\naes:\naes: ; ;\n", &[]);
    }
}
