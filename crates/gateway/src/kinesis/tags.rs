//! Tags of a stream: at most 50, keys of 1 to 128 characters, values of at most 256.

use std::collections::BTreeMap;

use broker::streams::Stream;

use super::call::{Answered, Call, nothing};
use super::error::KinesisError;
use crate::wire::{Out, Text};

const TAGS_MAX: usize = 50;

/// Puts `given` over `tags`.
pub(super) fn add(
    tags: &mut BTreeMap<String, String>,
    given: BTreeMap<Text<'_>, Text<'_>>,
) -> Result<(), KinesisError> {
    for (key, value) in given {
        if key.is_empty() || key.chars().count() > 128 {
            let what = "Member must have length between 1 and 128, inclusive";
            return Err(KinesisError::constraint(&*key, "tags.key", what));
        }
        if value.chars().count() > 256 {
            let what = "Member must have length less than or equal to 256";
            return Err(KinesisError::constraint(&*value, "tags.value", what));
        }
        tags.insert(key.into_string(), value.into_string());
    }
    if tags.len() > TAGS_MAX {
        return Err(KinesisError::argument(format!("A stream has at most {TAGS_MAX} tags.")));
    }
    Ok(())
}

/// Changes a stream's tags.
pub(super) async fn change(
    call: &Call<'_>,
    stream: &Stream,
    change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), KinesisError>,
) -> Answered {
    let _one_at_a_time = call.state.settings.lock().await;
    let mut tags = stream.tags();
    change(&mut tags)?;
    stream.set_tags(tags).await.map_err(|error| call.of_stream(stream.name(), error))?;
    nothing()
}

/// Removes tags.
pub(super) async fn remove(call: &Call<'_>, stream: &Stream, keys: &[Text<'_>]) -> Answered {
    change(call, stream, |tags| {
        for key in keys {
            tags.remove(&**key);
        }
        Ok(())
    })
    .await
}

/// `"Tags":[…]`.
pub(super) fn write<'a>(out: &mut Out, tags: impl Iterator<Item = (&'a String, &'a String)>) {
    out.raw("\"Tags\":[").list(tags, |out, (key, value)| {
        out.raw("{\"Key\":").text(key).raw(",\"Value\":").text(value).raw("}");
    });
    out.raw("]");
}
