//! What a server's refusals mean.

use redis::{ErrorKind, RedisError};

use super::super::{StoreError, StoreFault};

/// What follows from a refusal: its first word decides.
pub(super) fn fault_of(code: &str) -> StoreFault {
    match code {
        "OOM" | "MISCONF" => StoreFault::Full,
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" | "NOPROTO" | "CROSSSLOT" | "ERR" => {
            StoreFault::Refused
        }
        // LOADING, CLUSTERDOWN, READONLY, MASTERDOWN, NOREPLICAS, BUSY, TRYAGAIN, MOVED, ASK, …
        _ => StoreFault::Away,
    }
}

/// A refusal that names a script's error: the first word of that counts ("ERR Error running
/// script … OOM command not allowed", as Redis before 7 says it).
pub(super) fn code_in<'a>(code: &'a str, detail: &'a str) -> &'a str {
    if code != "ERR" {
        return code;
    }
    let known = ["OOM", "MISCONF", "READONLY", "NOPERM", "WRONGTYPE", "NOREPLICAS"];
    if detail.contains("ACL failure") || detail.contains("can't run this command or subcommand") {
        return "NOPERM";
    }
    if detail.contains("max number of clients") {
        return "MAXCLIENTS";
    }
    let mut words = detail.split(|c: char| !c.is_ascii_uppercase());
    words.find_map(|word| known.into_iter().find(|known| *known == word)).unwrap_or(code)
}

/// An error of the connection, or of opening one.
pub(super) fn error_of(place: &str, doing: &str, error: &RedisError) -> StoreError {
    let said = error.to_string();
    let fault = match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => StoreFault::Refused,
        // A certificate that isn't trusted doesn't pass by itself.
        _ if said.contains("certificate") => StoreFault::Refused,
        _ => match error.code() {
            Some(code) => fault_of(code_in(code, error.detail().unwrap_or_default())),
            None => StoreFault::Away,
        },
    };
    let way_out = if said.contains("certificate") {
        " (the certificate isn't one of the system's: name its authority with ca_file)"
    } else if error.kind() == ErrorKind::AuthenticationFailed {
        " (user or password is wrong)"
    } else {
        ""
    };
    StoreError::new(fault, place, format_args!("{doing}: {said}{way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_meaning() {
        for (code, detail, fault) in [
            ("OOM", "command not allowed when used memory > 'maxmemory'.", StoreFault::Full),
            (
                "ERR",
                "Error running script: @user_script: OOM command not allowed",
                StoreFault::Full,
            ),
            ("MISCONF", "Redis is configured to save RDB snapshots", StoreFault::Full),
            ("NOAUTH", "Authentication required.", StoreFault::Refused),
            (
                "ERR",
                "The user executing the script can't run this command or subcommand",
                StoreFault::Refused,
            ),
            ("ERR", "max number of clients reached", StoreFault::Away),
            ("ERR", "user_script:3: Script attempted to access", StoreFault::Refused),
            ("LOADING", "Redis is loading the dataset in memory", StoreFault::Away),
            ("CLUSTERDOWN", "The cluster is down", StoreFault::Away),
            ("READONLY", "You can't write against a read only replica.", StoreFault::Away),
        ] {
            assert_eq!(fault_of(code_in(code, detail)), fault, "{code} {detail}");
        }
    }
}
