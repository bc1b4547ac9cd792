//! A letter's id.

use event::{LedgerId, Offset};
use xxhash_rust::xxh3::Xxh3;

/// The id of the dead letter of the event that starts at `start` of `shard` (whose name carries
/// the incarnation of its stream, queue or file), received by `pipe` for the `replay_count`th time
/// after the first. The same event that dies again in the same place has the same id, so that
/// writing it twice overwrites (DESIGN §3 "Staging").
#[must_use]
pub fn letter_id(
    ledger_id: LedgerId,
    pipe: &str,
    shard: &str,
    start: Offset,
    replay_count: u32,
) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&ledger_id.0.to_le_bytes());
    for text in [pipe, shard] {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let (hi, lo) = start.parts();
    hash.update(&hi.to_le_bytes());
    hash.update(&lo.to_le_bytes());
    hash.update(&replay_count.to_le_bytes());
    hash.digest128()
}

/// An id as names, letters and commands show it: 32 hexadecimal digits.
#[must_use]
pub fn show_id(id: u128) -> String {
    format!("{id:032x}")
}

/// Reads an id back.
#[must_use]
pub fn parse_id(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u128::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_tells_events_apart_is_in_the_id() {
        let id = |ledger: u128, pipe, shard, start: u64, count| {
            letter_id(LedgerId(ledger), pipe, shard, start.into(), count)
        };
        let all = [
            id(1, "p", "s", 3, 0),
            id(2, "p", "s", 3, 0),
            id(1, "q", "s", 3, 0),
            id(1, "ps", "", 3, 0),
            id(1, "p", "t", 3, 0),
            id(1, "p", "s", 4, 0),
            id(1, "p", "s", 3, 1),
            letter_id(LedgerId(1), "p", "s", Offset::from_parts(3, 0), 0),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
            assert_eq!(parse_id(&show_id(*one)), Some(*one));
        }
        // On disk: must never change.
        assert_eq!(show_id(all[0]), "8a39ed35a4174ea1df8e1133582bb121");
        assert_eq!(parse_id("12"), None);
        assert_eq!(parse_id(&"+".repeat(32)), None);
    }
}
