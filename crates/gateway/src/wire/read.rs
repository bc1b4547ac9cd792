//! Reading JSON into what borrows from it.

use serde::Deserialize;

/// Lists and objects inside each other. What is skipped is skipped by recursion, so that a deeper
/// request could take a thread's whole stack.
const DEPTH_MAX: usize = 64;

/// `json` as `T`. Members that `T` doesn't have are passed over. An empty text is an empty object.
///
/// # Errors
/// What is wrong with it, without what stands there.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    let json: &[u8] = if json.is_empty() { b"{}" } else { json };
    if opening(json) > DEPTH_MAX && depth(json) > DEPTH_MAX {
        return Err(format!("more than {DEPTH_MAX} lists and objects inside each other"));
    }
    sonic_rs::from_slice(json).map_err(|error| {
        let what = error.to_string();
        // The rest of it shows the request around the place.
        what.lines().next().unwrap_or("not JSON").trim().to_owned()
    })
}

/// How many `[` and `{` there are, in strings, too.
fn opening(json: &[u8]) -> usize {
    // In pieces whose counts fit into a byte, so that it is done many bytes at a time. The bit
    // is the one in which `[` and `{` differ.
    let count = |piece: &[u8]| piece.iter().fold(0u8, |n, byte| n + u8::from(byte | 0x20 == b'{'));
    json.chunks(255).map(|piece| usize::from(count(piece))).sum()
}

/// The deepest nesting outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut deepest) = (0usize, 0);
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(after),
            b'[' | b'{' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What follows the end of a string.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let escaped = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(escaped)..).unwrap_or_default();
        if !escaped {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::Text;

    #[test]
    fn depth_is_bounded_and_strings_do_not_count() {
        // The gateway's threads have as much.
        let big = std::thread::Builder::new().stack_size(8 << 20).spawn(check_depths);
        big.unwrap().join().unwrap();
    }

    fn check_depths() {
        let nested =
            |depth: usize| format!(r#"{{"a":"x","b":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        #[derive(Deserialize)]
        struct A<'a> {
            #[serde(borrow)]
            a: Text<'a>,
        }
        let long = format!(r#"{{"a":"{}","b":[]}}"#, r#"[{\"{["#.repeat(1_000));
        for good in [nested(10), nested(63), long] {
            assert!(read::<A<'_>>(good.as_bytes()).is_ok_and(|read| !read.a.is_empty()));
        }
        for depth in [64, 100_000] {
            let json = nested(depth);
            assert!(read::<A<'_>>(json.as_bytes()).is_err_and(|what| what.contains("64")));
        }
        let many = format!("[{}[]]", "[],".repeat(10_000));
        assert_eq!(read::<Vec<Vec<u8>>>(many.as_bytes()).unwrap().len(), 10_001);
        assert_eq!((opening(many.as_bytes()), depth(many.as_bytes())), (10_002, 2));
        assert!(read::<BTreeMap<Text<'_>, Text<'_>>>(b"").unwrap().is_empty());
    }
}
