//! `/etc/dacf.conf`: what the kernel does when a device attaches, such as making a keyboard the console's
//! (`read_dacf_binding_file` in modsysfile.c).
//!
//! The module of a rule is in `kernel/dacf`, and `pushmod` names a STREAMS module: neither is a driver. Only a
//! `driver-minorname` rule belongs to one driver; a rule for a node type serves all drivers with such nodes.

use super::lex::{Lexer, TokenKind};

/// `minor-nodetype="ddi_keyboard" module:opset operation options [name="value" …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DacfRule {
    pub devices: DacfDevices,
    /// The dacf module; when it is absent the kernel's own operations are meant.
    pub module: Option<String>,
    pub operations: String,
    /// `post-attach` or `pre-detach`.
    pub event: String,
    /// Such as `pushmod`, `usbkbm`.
    pub arguments: Vec<(String, String)>,
}

/// Which devices a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DacfDevices {
    /// Every minor node of a type.
    NodeType(String),
    /// A minor node of a driver.
    Minor { driver: String, minor: String },
    /// A device path.
    Path(String),
}

impl DacfRule {
    /// The only driver the rule can be for.
    pub fn driver(&self) -> Option<&str> {
        match &self.devices {
            DacfDevices::Minor { driver, .. } => Some(driver),
            DacfDevices::NodeType(_) | DacfDevices::Path(_) => None,
        }
    }
}

pub(super) fn read_line(line: &str) -> Result<Option<DacfRule>, String> {
    let mut tokens = Lexer::new(line, 1).map(|token| token.kind).peekable();
    let Some(first) = tokens.next() else { return Ok(None) };
    let TokenKind::Name(kind) = first else { return Err(format!("{} where a rule should begin", first.shown())) };
    let expect = |what: &str, token: Option<TokenKind>| match token {
        Some(TokenKind::Name(text)) => Ok(text),
        Some(other) => Err(format!("{} where {what} should be", other.shown())),
        None => Err(format!("the rule ends before {what}")),
    };
    if tokens.next() != Some(TokenKind::Mark('=')) {
        return Err(format!("`{kind}` has no value"));
    }
    let Some(TokenKind::Text(value)) = tokens.next() else { return Err(format!("`{kind}` has no quoted value")) };
    let devices = match (&kind[..], value.split_once(':')) {
        (_, _) if value.is_empty() => return Err(format!("`{kind}` is empty")),
        ("minor-nodetype", _) => DacfDevices::NodeType(value),
        ("driver-minorname", Some((driver, minor))) => {
            DacfDevices::Minor { driver: driver.to_owned(), minor: minor.to_owned() }
        }
        ("driver-minorname", None) => return Err(format!("`{value}` is not of the form driver:minor")),
        ("device-path", _) => DacfDevices::Path(value),
        _ => return Err(format!("the device specification `{kind}` is not known")),
    };
    let mut operations = expect("the operations", tokens.next())?;
    let mut module = None;
    if tokens.next_if_eq(&TokenKind::Mark(':')).is_some() {
        module = Some(operations);
        operations = expect("the operations", tokens.next())?;
    }
    let event = expect("the event", tokens.next())?;
    if !matches!(&event[..], "post-attach" | "pre-detach") {
        return Err(format!("the event `{event}` is not known"));
    }
    expect("the options", tokens.next())?;
    while tokens.next_if_eq(&TokenKind::Mark(',')).is_some() {
        expect("an option", tokens.next())?;
    }
    let mut arguments = Vec::new();
    while let Some(token) = tokens.next() {
        let name = expect("an argument", Some(token))?;
        match (tokens.next(), tokens.next()) {
            (Some(TokenKind::Mark('=')), Some(TokenKind::Text(value) | TokenKind::Name(value))) => {
                arguments.push((name, value));
            }
            _ => return Err(format!("the argument `{name}` has no value")),
        }
    }
    Ok(Some(DacfRule { devices, module, operations, event, arguments }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_devices_module_event_and_arguments() {
        let line = "driver-minorname=\"hid:internal_mouse\" consconfig_dacf:ms_config post-attach - pushmod=\"usbms\"";
        let rule = read_line(line).unwrap().unwrap();
        assert_eq!(rule.driver(), Some("hid"));
        assert_eq!(rule.module.as_deref(), Some("consconfig_dacf"));
        assert_eq!((&rule.operations[..], &rule.event[..]), ("ms_config", "post-attach"));
        assert_eq!(rule.arguments, [("pushmod".to_owned(), "usbms".to_owned())]);
    }

    #[test]
    fn a_node_type_belongs_to_no_driver() {
        let rule = read_line("minor-nodetype=\"ddi_network\" net_config pre-detach debug,x").unwrap().unwrap();
        assert_eq!((rule.driver(), rule.module.as_deref()), (None, None));
        assert_eq!(read_line("# x").unwrap(), None);
    }

    #[test]
    fn incomplete_rules_are_named() {
        for (line, expected) in [
            ("5", "`5` where a rule should begin"),
            ("minor-nodetype", "`minor-nodetype` has no value"),
            ("minor-nodetype=x", "`minor-nodetype` has no quoted value"),
            ("minor-nodetype=\"\" a b -", "`minor-nodetype` is empty"),
            ("driver-minorname=\"x\" a b -", "`x` is not of the form driver:minor"),
            ("driver=\"x\" a:b post-attach -", "the device specification `driver` is not known"),
            ("device-path=\"/x\" a:", "the rule ends before the operations"),
            ("device-path=\"/x\" a:b attach -", "the event `attach` is not known"),
            ("device-path=\"/x\" a:b post-attach", "the rule ends before the options"),
            ("device-path=\"/x\" a:b post-attach - y", "the argument `y` has no value"),
        ] {
            assert_eq!(read_line(line).unwrap_err(), expected);
        }
    }
}
