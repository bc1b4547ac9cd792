//! The scripts, and how one is called.

use std::sync::LazyLock;

use super::call::Call;

/// A script by its hash. What scripts on a shard share stands in front of them.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) code: String,
    pub(super) hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Begins a call with `keys` names and `arguments` more.
    pub(super) fn call(&'static self, slot: u16, keys: usize, arguments: usize) -> Call {
        let mut call = Call::new(slot, 3 + keys + arguments);
        call.script = Some(self);
        call.arg("EVALSHA").arg(&self.hash).arg(keys.to_string());
        call
    }
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(&[$(include_str!(concat!("scripts/", $file))),+]));)+
        /// All of them, for the test that loads them.
        #[cfg(test)]
        pub(super) static ALL: &[&LazyLock<Script>] = &[$(&$name),+];
    };
}

scripts! {
    RESERVE = "shard.lua" "reserve.lua";
    RELEASE = "shard.lua" "release.lua";
    MARK = "shard.lua" "mark.lua";
    STAMP = "shard.lua" "stamp.lua";
    DOUBLE = "shard.lua" "double.lua";
    MOVE = "shard.lua" "move.lua";
    COUNT = "count.lua";
    BATCH = "batch.lua";
    SCOPE = "scope.lua";
    READY = "ready.lua";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_a_hash_of_its_own() {
        let hashes: std::collections::BTreeSet<_> = ALL.iter().map(|script| &script.hash).collect();
        assert_eq!(hashes.len(), ALL.len());
        assert!(hashes.iter().all(|hash| hash.len() == 40));
    }
}
