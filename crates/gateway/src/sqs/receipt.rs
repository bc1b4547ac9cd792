//! Receipt handles: a receipt, with a check sum, in base64.

use broker::queues::{MessageId, Receipt};

use super::error::SqsError;

const BYTES: usize = 44;

/// The receipt as a client gets it.
pub(super) fn encode(receipt: &Receipt) -> String {
    let mut bytes = [0u8; BYTES];
    let parts = [&receipt.queue.to_be_bytes()[..], &receipt.message.0.to_be_bytes()];
    let number = receipt.number.to_be_bytes();
    let all = parts.into_iter().chain([&number[..]]).flatten();
    for (to, from) in bytes.iter_mut().zip(all) {
        *to = *from;
    }
    let sum = sum(bytes.get(..BYTES - 4).unwrap_or_default());
    for (to, from) in bytes.iter_mut().skip(BYTES - 4).zip(sum) {
        *to = from;
    }
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// The receipt of a handle.
pub(super) fn decode(handle: &str) -> Result<Receipt, SqsError> {
    let bad = || SqsError::bad_handle(handle);
    let bytes = base64_simd::STANDARD.decode_to_vec(handle).map_err(|_| bad())?;
    if bytes.len() != BYTES {
        return Err(bad());
    }
    let (content, check) = bytes.split_at(BYTES - 4);
    let (queue, rest) = content.split_first_chunk().ok_or_else(bad)?;
    let (message, rest) = rest.split_first_chunk().ok_or_else(bad)?;
    let (number, _) = rest.split_first_chunk().ok_or_else(bad)?;
    if check != sum(content) {
        return Err(bad());
    }
    Ok(Receipt {
        queue: u128::from_be_bytes(*queue),
        message: MessageId(u128::from_be_bytes(*message)),
        number: u64::from_be_bytes(*number),
    })
}

/// FNV-1a: tells a mistyped handle from a good one, no more.
fn sum(bytes: &[u8]) -> [u8; 4] {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_gives_back_its_receipt_and_a_changed_one_does_not() {
        let receipt =
            Receipt { queue: u128::MAX - 7, message: MessageId(3 << 90), number: 1 << 63 };
        let handle = encode(&receipt);
        assert_eq!(decode(&handle).unwrap(), receipt);
        for at in 0..handle.len() {
            let mut bad = handle.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(decode(&bad).is_err(), "{bad}");
        }
        for bad in ["", "AAAA", "not base64!", &handle[..56]] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
