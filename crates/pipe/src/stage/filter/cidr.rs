//! Blocks of addresses.

use std::net::IpAddr;

/// An address and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`. Bits of the address past the mask don't count.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn read(text: &str) -> Result<Cidr, &'static str> {
        let (address, bits) = text.split_once('/').ok_or("there is no `/` and mask")?;
        let network: IpAddr = address.parse().map_err(|_| "this is no address")?;
        let digits =
            !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = bits.parse::<u32>().ok().filter(|_| digits).ok_or("the mask is no number")?;
        if bits > width(network) {
            return Err(match network {
                IpAddr::V4(_) => "the mask of an IPv4 address has at most 32 bits",
                IpAddr::V6(_) => "the mask of an IPv6 address has at most 128 bits",
            });
        }
        Ok(Cidr { network, bits })
    }

    /// Whether a text is an address of the block. One of the other family never is, except that an
    /// IPv4 address may be written within IPv6 (`::ffff:10.0.0.1`).
    pub(super) fn contains(&self, text: &str) -> bool {
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        let same = |a: u128, b: u128, width: u32| {
            // A shift by all bits would overflow; a mask of no bits takes every address.
            self.bits == 0 || (a ^ b) >> (width - self.bits) == 0
        };
        match (self.network, address, address.to_canonical()) {
            (IpAddr::V6(own), IpAddr::V6(other), _) => same(own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(own), _, IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32)
            }
            _ => false,
        }
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_its_addresses() {
        for (block, inside, outside) in [
            (
                "10.0.0.0/24",
                vec!["10.0.0.0", "10.0.0.255"],
                vec!["10.0.1.0", "9.255.255.255", "::"],
            ),
            ("10.0.0.77/24", vec!["10.0.0.1", "10.0.0.255"], vec!["10.0.1.0"]),
            ("0.0.0.0/0", vec!["255.255.255.255", "::ffff:1.2.3.4"], vec!["::1"]),
            ("10.1.2.3/32", vec!["10.1.2.3", "::ffff:10.1.2.3"], vec!["10.1.2.2"]),
            ("128.0.0.0/1", vec!["128.0.0.0", "255.0.0.1"], vec!["127.255.255.255"]),
            ("2001:db8::/32", vec!["2001:DB8:ffff::1"], vec!["2001:db9::", "10.0.0.1"]),
            ("::/0", vec!["::", "ffff::"], vec!["0.0.0.0"]),
            ("::1/128", vec!["::1", "0:0:0:0:0:0:0:1"], vec!["::2"]),
        ] {
            let read = Cidr::read(block).unwrap();
            assert!(inside.iter().all(|address| read.contains(address)), "{block}");
            assert!(!outside.iter().any(|address| read.contains(address)), "{block}");
            for none in
                ["", "10.0.0", "10.0.0.0/24", "10.0.0.256", "010.0.0.1", " 10.0.0.1", "host"]
            {
                assert!(!read.contains(none), "{block} {none}");
            }
        }
        for none in
            ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "::/129", "::/", "::/+1", "::/-1", "a/8"]
        {
            assert!(Cidr::read(none).is_err(), "{none}");
        }
    }
}
