//! What a checkpoint says of a key run.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_str, put_u64};
use crate::state::RunState;

impl OnDisk for RunState {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_u64(out, self.scope.into());
        out.push(self.class);
        put_i64(out, self.bucket);
        put_u64(out, self.count);
        put_u64(out, self.bytes);
        put_i64(out, self.expires_ms);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            name: cursor.string()?,
            scope: cursor.u16()?,
            class: cursor.u8()?,
            bucket: cursor.i64()?,
            count: cursor.u64()?,
            bytes: cursor.u64()?,
            expires_ms: cursor.i64()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::tests::round_trip;
    use super::*;

    prop_compose! {
        pub(crate) fn any_run()(
            name: String, (scope, class, bucket) in any::<(u16, u8, i64)>(),
            (count, bytes, expires_ms) in any::<(u64, u64, i64)>(),
        ) -> RunState {
            RunState { name, scope, class, bucket, count, bytes, expires_ms }
        }
    }

    proptest! {
        #[test]
        fn runs_round_trip(run in any_run()) {
            round_trip(&run);
        }
    }
}
