//! Lists that come in pages: MaxResults and NextToken.

use super::error::SqsError;
use crate::wire::Text;

const RESULTS_MAX: usize = 1_000;

/// A page of `names` (sorted), and the token of the next page when `results_max` was given and
/// there is more.
pub(super) fn page(
    names: impl Iterator<Item = String>,
    results_max: Option<i64>,
    token: Option<&Text<'_>>,
) -> Result<(Vec<String>, Option<String>), SqsError> {
    let max = match results_max {
        None => RESULTS_MAX,
        Some(max) => usize::try_from(max)
            .ok()
            .filter(|max| (1..=RESULTS_MAX).contains(max))
            .ok_or_else(|| SqsError::invalid("MaxResults", max, "Must be between 1 and 1000"))?,
    };
    let after = match token {
        None => None,
        Some(token) => Some(
            base64_simd::STANDARD
                .decode_to_vec(token.as_bytes())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| SqsError::invalid("NextToken", &**token, "Not a token"))?,
        ),
    };
    let mut found: Vec<_> = names
        .filter(|name| after.as_ref().is_none_or(|after| name > after))
        .take(max + 1)
        .collect();
    let more = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| more && results_max.is_some());
    let next = next.map(|last| base64_simd::STANDARD.encode_to_string(last.as_bytes()));
    Ok((found, next))
}
