//! What the log says of messages that nobody fetches (P1): when half of their retention is over,
//! and when it ended them.

use super::core::Core;

/// A warning names expired messages once in so long, per queue.
const EXPIRED_EVERY_MS: i64 = 60_000;
/// A queue whose oldest message is past half of its retention is named once in so long.
const HALF_EVERY_MS: i64 = 3_600_000;

/// Whether the last time is long enough ago; it is now, then.
fn due(last_ms: &mut Option<i64>, now_ms: i64, every_ms: i64) -> bool {
    let due = last_ms.is_none_or(|last_ms| (now_ms - last_ms).abs() >= every_ms);
    if due {
        *last_ms = Some(now_ms);
    }
    due
}

/// Warns of what expired since the last warning, and of what is half way there.
pub(super) fn warn(core: &mut Core, now_ms: i64) {
    let Core { lines, slots, .. } = core;
    for line in lines.values_mut() {
        let retention_s = line.attributes.retention_s;
        if line.expired_unnamed > 0 && due(&mut line.warned_ms, now_ms, EXPIRED_EVERY_MS) {
            tracing::warn!(
                queue = %line.name,
                messages = line.expired_unnamed,
                retention_s,
                "messages expired: nobody deleted them within the queue's retention"
            );
            line.expired_unnamed = 0;
        }
        let half_ms = line.attributes.retention_ms() / 2;
        let old = line.oldest(slots).is_some_and(|(sent_ms, _)| now_ms - sent_ms > half_ms);
        if old && due(&mut line.warned_of_half_ms, now_ms, HALF_EVERY_MS) {
            tracing::warn!(
                queue = %line.name,
                retention_s,
                "half of the retention of the queue's oldest message is over, and nobody deleted it"
            );
        }
    }
}
