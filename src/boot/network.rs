//! The network between QEMU and the guest: a private one, in which the guest has the address its recipe gives it.
//!
//! QEMU's user networking is 10.0.2.0/24 unless told otherwise, and forwards to 10.0.2.15. A recipe may use any other
//! address, so the network is built around that one. Nothing of it is visible outside of QEMU's process.

use crate::recipe::Network;
use std::net::Ipv4Addr;

/// The addresses on QEMU's private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestNetwork {
    pub network: Ipv4Addr,
    pub prefix: u32,
    pub guest: Ipv4Addr,
    /// QEMU's end, which plays the gateway.
    pub host: Ipv4Addr,
    /// QEMU's name server; it wants one that is not the gateway.
    pub dns: Ipv4Addr,
}

/// Why QEMU cannot give the guest its address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("the address `{0}` is not IPv4 with a prefix length, such as `10.0.2.15/24`")]
    Address(String),
    #[error("the gateway `{0}` is not an IPv4 address")]
    Gateway(String),
    #[error("`{0}` leaves no room for the gateway and name server of the virtual machine")]
    TooSmall(String),
    #[error("the gateway `{gateway}` is not a neighbour of `{address}`")]
    GatewayOutside { gateway: Ipv4Addr, address: String },
}

impl Default for GuestNetwork {
    /// QEMU's own choice.
    fn default() -> GuestNetwork {
        GuestNetwork {
            network: Ipv4Addr::new(10, 0, 2, 0),
            prefix: 24,
            guest: Ipv4Addr::new(10, 0, 2, 15),
            host: Ipv4Addr::new(10, 0, 2, 2),
            dns: Ipv4Addr::new(10, 0, 2, 3),
        }
    }
}

impl GuestNetwork {
    /// A network in which the guest has the recipe's address, and QEMU that of the recipe's gateway.
    ///
    /// # Errors
    /// [`NetworkError`]: what is no address, or does not fit together.
    pub fn of(recipe: &Network) -> Result<GuestNetwork, NetworkError> {
        let bad_address = || NetworkError::Address(recipe.address.clone());
        let (address, prefix) = recipe.address.split_once('/').ok_or_else(bad_address)?;
        let guest: Ipv4Addr = address.parse().map_err(|_| bad_address())?;
        let prefix: u32 = prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix)).ok_or_else(bad_address)?;
        // Four addresses hold the network's own, the broadcast one, and two hosts: one too few.
        if prefix > 29 {
            return Err(NetworkError::TooSmall(recipe.address.clone()));
        }
        let mask = u32::MAX << (32 - prefix);
        let network = guest.to_bits() & mask;
        let gateway: Option<Ipv4Addr> = match &recipe.gateway {
            Some(gateway) => Some(gateway.parse().map_err(|_| NetworkError::Gateway(gateway.clone()))?),
            None => None,
        };
        if let Some(gateway) = gateway
            && (gateway.to_bits() & mask != network || gateway == guest)
        {
            return Err(NetworkError::GatewayOutside { gateway, address: recipe.address.clone() });
        }
        let first_free = |taken: [Ipv4Addr; 2]| {
            let mut candidates = (1..=3).map(|n| Ipv4Addr::from_bits(network + n));
            candidates.find(|address| !taken.contains(address)).expect("three addresses, two of them taken")
        };
        let host = gateway.unwrap_or_else(|| first_free([guest, guest]));
        let dns = first_free([guest, host]);
        Ok(GuestNetwork { network: Ipv4Addr::from_bits(network), prefix, guest, host, dns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, gateway: Option<&str>) -> Result<GuestNetwork, NetworkError> {
        let gateway = gateway.map(str::to_owned);
        GuestNetwork::of(&Network { interface: "eth0".to_owned(), address: address.to_owned(), gateway })
    }

    #[test]
    fn the_guest_keeps_its_address_and_qemu_takes_free_ones() {
        let made = network("192.168.59.59/24", None).unwrap();
        assert_eq!(made.network.to_string(), "192.168.59.0");
        assert_eq!([made.host, made.dns].map(|a| a.to_string()), ["192.168.59.1", "192.168.59.2"]);
        let made = network("10.0.2.1/24", Some("10.0.2.2")).unwrap();
        assert_eq!([made.guest, made.host, made.dns].map(|a| a.octets()[3]), [1, 2, 3]);
        let made = network("10.9.8.7/8", Some("10.0.0.1")).unwrap();
        assert_eq!([made.network, made.dns].map(|a| a.to_string()), ["10.0.0.0", "10.0.0.2"]);
        assert_eq!(network("10.0.2.15/24", Some("10.0.2.2")).unwrap().network, GuestNetwork::default().network);
    }

    #[test]
    fn what_cannot_be_set_up_is_refused_with_its_name() {
        for (address, gateway, expected) in [
            ("10.0.2.15", None, "prefix length"),
            ("10.0.2/24", None, "prefix length"),
            ("10.0.2.15/33", None, "prefix length"),
            ("10.0.2.15/0", None, "prefix length"),
            ("fe80::1/64", None, "prefix length"),
            ("10.0.2.15/30", None, "no room"),
            ("10.0.2.15/24", Some("gate"), "`gate`"),
            ("10.0.2.15/24", Some("10.0.3.2"), "not a neighbour"),
            ("10.0.2.15/24", Some("10.0.2.15"), "not a neighbour"),
        ] {
            let error = network(address, gateway).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
