//! The loopback interface and one static IPv4 address, by the `ioctl` calls of netdevice(7).
//!
//! Netlink could do the same; `ioctl` needs no message buffers and works on every kernel with IPv4.

use super::errno::Errno;
use super::message::say_error;
use super::plan::{Network, netmask};
use super::syscall::{self, Descriptor, control};
use core::ffi::CStr;

/// How long an interface may take to appear after its module is loaded: the driver probes the device on its own time.
const INTERFACE_WAIT_MILLISECONDS: i64 = 5000;
const INTERFACE_POLL_MILLISECONDS: u32 = 10;

const AF_INET: u16 = 2;
const IFF_UP: u16 = 1;
const RTF_UP: u16 = 1;
const RTF_GATEWAY: u16 = 2;

/// `struct sockaddr_in` for an address without a port.
#[repr(C)]
#[derive(Clone, Copy)]
struct SocketAddress {
    family: u16,
    port: u16,
    address: [u8; 4],
    zero: [u8; 8],
}

/// `struct ifreq` with an address in its union.
#[repr(C)]
struct AddressRequest {
    name: [u8; 16],
    address: SocketAddress,
    rest_of_union: [u8; 8],
}

/// `struct ifreq` with flags in its union.
#[repr(C)]
struct FlagsRequest {
    name: [u8; 16],
    flags: u16,
    rest_of_union: [u8; 22],
}

/// `struct rtentry` of `linux/route.h`; all zero but for the fields set here.
#[repr(C)]
struct Route {
    pad1: u64,
    destination: SocketAddress,
    gateway: SocketAddress,
    mask: SocketAddress,
    flags: u16,
    pad2: u16,
    pad3: u64,
    pad4: u64,
    metric: u16,
    device: u64,
    mtu: u64,
    window: u64,
    initial_round_trip: u16,
}

/// Brings `lo` up; the kernel gives it 127.0.0.1 by itself.
pub fn bring_up_loopback() {
    let outcome = syscall::ipv4_socket().and_then(|socket| {
        let outcome = bring_up(socket, interface_name(c"lo"));
        syscall::close(socket);
        outcome
    });
    if let Err(error) = outcome {
        say_error([b"cannot bring up ", b"lo"], error);
    }
}

/// Gives an interface its address and the gateway of the default route; waits until the interface is there.
pub fn configure(network: &Network<'_>) {
    let interface = network.interface.to_bytes();
    let outcome = syscall::ipv4_socket().and_then(|socket| {
        let outcome = set_address(socket, network);
        if outcome.is_ok()
            && let Some(gateway) = network.gateway
            && let Err(error) = add_default_route(socket, gateway)
        {
            say_error([b"cannot add the gateway of ", interface], error);
        }
        syscall::close(socket);
        outcome
    });
    if let Err(error) = outcome {
        say_error([b"cannot configure ", interface], error);
    }
}

fn set_address(socket: Descriptor, network: &Network<'_>) -> Result<(), Errno> {
    let name = interface_name(network.interface);
    wait_for(socket, name)?;
    let request = |address| AddressRequest { name, address: socket_address(address), rest_of_union: [0; 8] };
    // SAFETY: both requests read an ifreq with an address.
    unsafe {
        control(socket, syscall::SIOCSIFADDR, &mut request(network.address))?;
        control(socket, syscall::SIOCSIFNETMASK, &mut request(netmask(network.prefix)))?;
    }
    bring_up(socket, name)
}

fn wait_for(socket: Descriptor, name: [u8; 16]) -> Result<(), Errno> {
    let deadline = syscall::monotonic_milliseconds().saturating_add(INTERFACE_WAIT_MILLISECONDS);
    loop {
        match interface_flags(socket, name) {
            Err(Errno::ENODEV) if syscall::monotonic_milliseconds() < deadline => {
                syscall::sleep_milliseconds(INTERFACE_POLL_MILLISECONDS);
            }
            outcome => return outcome.map(drop),
        }
    }
}

fn bring_up(socket: Descriptor, name: [u8; 16]) -> Result<(), Errno> {
    let flags = interface_flags(socket, name)? | IFF_UP;
    // SAFETY: the request reads an ifreq with flags.
    unsafe { control(socket, syscall::SIOCSIFFLAGS, &mut FlagsRequest { name, flags, rest_of_union: [0; 22] }) }
}

fn interface_flags(socket: Descriptor, name: [u8; 16]) -> Result<u16, Errno> {
    let mut request = FlagsRequest { name, flags: 0, rest_of_union: [0; 22] };
    // SAFETY: the request writes an ifreq with flags.
    unsafe { control(socket, syscall::SIOCGIFFLAGS, &mut request) }?;
    Ok(request.flags)
}

fn add_default_route(socket: Descriptor, gateway: [u8; 4]) -> Result<(), Errno> {
    let any = socket_address([0; 4]);
    let mut route = Route {
        pad1: 0,
        destination: any,
        gateway: socket_address(gateway),
        mask: any,
        flags: RTF_UP | RTF_GATEWAY,
        pad2: 0,
        pad3: 0,
        pad4: 0,
        metric: 0,
        device: 0,
        mtu: 0,
        window: 0,
        initial_round_trip: 0,
    };
    // SAFETY: the request reads an rtentry.
    unsafe { control(socket, syscall::SIOCADDRT, &mut route) }
}

fn socket_address(address: [u8; 4]) -> SocketAddress {
    SocketAddress { family: AF_INET, port: 0, address, zero: [0; 8] }
}

/// The name as the kernel wants it, cut to 15 bytes; the generator refuses longer ones.
fn interface_name(name: &CStr) -> [u8; 16] {
    let mut field = [0; 16];
    for (place, byte) in field.iter_mut().take(15).zip(name.to_bytes()) {
        *place = *byte;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_of_the_kernels_headers() {
        assert_eq!(size_of::<SocketAddress>(), 16);
        assert_eq!(size_of::<AddressRequest>(), 40);
        assert_eq!(size_of::<FlagsRequest>(), 40);
        assert_eq!(size_of::<Route>(), 120);
        assert_eq!(core::mem::offset_of!(Route, flags), 56);
        assert_eq!(core::mem::offset_of!(Route, device), 88);
    }

    #[test]
    fn the_flags_of_an_interface_are_read() {
        const IFF_LOOPBACK: u16 = 8;
        let socket = syscall::ipv4_socket().unwrap();
        assert!(interface_flags(socket, interface_name(c"lo")).unwrap() & IFF_LOOPBACK != 0);
        assert_eq!(interface_flags(socket, interface_name(c"minroot-none")), Err(Errno::ENODEV));
        syscall::close(socket);
    }
}
