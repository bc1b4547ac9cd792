//! Which keys may be meant: what was typed, under each scope and type that comes into question.

use std::io::Read as _;

use dedup::key::KeyMaker;
use dedup::key::definition;
use dedup::ledger::LedgerState;
use dedup::state::ScopeState;
use event::json::Raw;
use pipe::config::PipeConfig;

use super::super::args::RawExplain;
use super::super::simulate::{Beside, Fields, Maker};
use crate::exit::{Exit, Failure};

/// Keys that are tried at most.
const TRIED_MAX: usize = 100_000;
/// What events without a type are counted as.
const UNTYPED: &str = "(untyped)";

/// A key that may be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its scope (index into [`LedgerState::scopes`]).
    pub(super) scope: u16,
    /// The event's type; `None` where it isn't part of the key, or isn't known.
    pub(super) event_type: Option<String>,
    /// Its fields as they were read; empty where only the hash is known.
    pub(super) values: Vec<String>,
    pub(super) key: u128,
    /// Whether this is what was asked for, or only near it.
    pub(super) asked: bool,
}

/// All keys that may be meant, those that were asked for first.
pub(super) fn candidates(
    raw: &RawExplain,
    state: &LedgerState,
    config: Option<&PipeConfig>,
) -> Result<Vec<Candidate>, Failure> {
    let scopes = scopes(raw, state, config)?;
    if let Some(hash) = hash(raw) {
        let of = |scope: &u16| Candidate {
            scope: *scope,
            event_type: None,
            values: Vec::new(),
            key: hash,
            asked: true,
        };
        return Ok(scopes.iter().map(of).collect());
    }
    let mut found = Vec::new();
    if let Some(path) = &raw.event {
        let payload = payload(path)?;
        for scope in scopes {
            found.push(of_event(scope, state, &payload, config)?);
        }
        return Ok(found);
    }
    let words = words(raw, config)?;
    let wide: Vec<u16> = scopes
        .into_iter()
        .filter(|scope| fields(state, *scope) == words.len() || raw_scope(raw))
        .collect();
    if wide.is_empty() {
        let known: Vec<String> = state
            .scopes
            .iter()
            .map(|scope| format!("{} ({} fields)", scope.name, scope.fields))
            .collect();
        return Err(Failure::usage(format!(
            "no scope has keys of {} fields; there are: {}",
            words.len(),
            known.join(", ")
        )));
    }
    for scope in wide {
        of_words(raw, state, scope, &words, &mut found)?;
    }
    found.sort_by_key(|candidate| !candidate.asked);
    Ok(found)
}

fn raw_scope(raw: &RawExplain) -> bool {
    raw.pipe.is_some() || raw.scope.is_some()
}

fn fields(state: &LedgerState, scope: u16) -> usize {
    state.scopes.get(usize::from(scope)).map_or(0, |scope| scope.fields as usize)
}

/// The scopes that come into question.
fn scopes(
    raw: &RawExplain,
    state: &LedgerState,
    config: Option<&PipeConfig>,
) -> Result<Vec<u16>, Failure> {
    let names = |names: Vec<&str>| if names.is_empty() { "none".into() } else { names.join(", ") };
    let scope_of = |name: &str| {
        let found = state.scopes.iter().position(|scope| scope.name == name);
        let found = found.and_then(|at| u16::try_from(at).ok());
        found.ok_or_else(|| {
            let known = names(state.scopes.iter().map(|scope| scope.name.as_str()).collect());
            Failure::usage(format!(
                "this data folder has no scope `{name}`; it has: {known}. A scope is there once a \
                 pipe with it has run"
            ))
        })
    };
    if let Some(name) = &raw.scope {
        return Ok(vec![scope_of(name)?]);
    }
    let pipe = raw.pipe.as_deref().or(config.map(|config| config.pipe.as_str()));
    if let Some(name) = pipe {
        let Some((_, pipe)) = state.pipe(name) else {
            let known = names(state.pipes.iter().map(|pipe| pipe.name.as_str()).collect());
            return Err(Failure::usage(format!(
                "this data folder has no pipe `{name}`; it has: {known}"
            )));
        };
        return pipe.scope.map(|scope| vec![scope]).ok_or_else(|| {
            Failure::usage(format!("pipe {name} has no `dedup`: it keeps no keys"))
        });
    }
    Ok((0..state.scopes.len()).filter_map(|at| u16::try_from(at).ok()).collect())
}

/// 32 hexadecimal digits are a key's hash.
fn hash(raw: &RawExplain) -> Option<u128> {
    let [word] = raw.key.as_slice() else { return None };
    let whole = word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(word, 16).ok()).flatten()
}

fn payload(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    if path.as_os_str() == "-" {
        let mut payload = Vec::new();
        std::io::stdin().lock().read_to_end(&mut payload).map_err(failed)?;
        return Ok(payload);
    }
    std::fs::read(path).map_err(failed)
}

fn of_event(
    scope: u16,
    state: &LedgerState,
    payload: &[u8],
    config: Option<&PipeConfig>,
) -> Result<Candidate, Failure> {
    let Some(config) = config else {
        return Err(Failure::usage(
            "--event needs --config PIPE.yaml: it says where the key stands in the event",
        ));
    };
    let known = scope_state(state, scope)?;
    let mut fields = Fields::of(config)?;
    (fields.time, fields.pattern) = (None, None);
    check_definition(known, config)?;
    let keys = KeyMaker::new(&known.secret, fields.across_types, fields.key.len());
    let mut maker = Maker::with_keys(fields, keys).keeping();
    let beside = Beside { received_ms: 0, ..Beside::NOTHING };
    let row = maker.row(payload.trim_ascii(), beside);
    let row = row.ok_or_else(|| {
        let unread = maker.unused.unreadable > 0;
        let what = if unread { "can't be read as the pipe reads it" } else { "has no key" };
        Failure::usage(format!("the event {what}"))
    })?;
    let (event_type, values) = maker.last();
    Ok(Candidate {
        scope,
        event_type: (!known.across_types).then(|| event_type.to_owned()),
        values: values.to_vec(),
        key: row.key,
        asked: true,
    })
}

fn scope_state(state: &LedgerState, scope: u16) -> Result<&ScopeState, Failure> {
    let found = state.scopes.get(usize::from(scope));
    found.ok_or_else(|| Failure::new(Exit::Failed, "the scope is gone"))
}

/// Keys of another definition are other keys.
pub(super) fn check_definition(known: &ScopeState, config: &PipeConfig) -> Result<(), Failure> {
    let Some(dedup) = &config.dedup else { return Ok(()) };
    if (known.fields, known.across_types) == (dedup.key.fields(), dedup.across_types) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the keys of scope {} are made of {}, and pipe {} says {}: look with the config that the \
         data folder ran with",
        known.name,
        definition(known.fields, known.across_types),
        config.pipe,
        definition(dedup.key.fields(), dedup.across_types)
    )))
}

/// The words in the order of the key's fields, without their names.
fn words(raw: &RawExplain, config: Option<&PipeConfig>) -> Result<Vec<String>, Failure> {
    let Some(dedup) = config.and_then(|config| config.dedup.as_ref()) else {
        return Ok(raw.key.clone());
    };
    let names: Vec<String> = dedup.key.parts().iter().map(ToString::to_string).collect();
    let bare = |name: &str| name.trim_start_matches("$.").to_owned();
    let named = |word: &str| {
        let (name, value) = word.split_once('=')?;
        let at = names.iter().position(|known| bare(known) == bare(name))?;
        Some((at, value.to_owned()))
    };
    if !raw.key.iter().any(|word| named(word).is_some()) {
        if raw.key.len() != names.len() {
            return Err(Failure::usage(format!(
                "the key has {} fields: give a value for each of {}, in this order, or as \
                 field=value",
                names.len(),
                names.join(", ")
            )));
        }
        return Ok(raw.key.clone());
    }
    let mut values = vec![None; names.len()];
    for word in &raw.key {
        let Some((at, value)) = named(word) else {
            return Err(Failure::usage(format!(
                "`{word}` names no field of the key; its fields: {}",
                names.join(", ")
            )));
        };
        if let Some(place) = values.get_mut(at) {
            *place = Some(value);
        }
    }
    let mut whole = Vec::with_capacity(names.len());
    for (value, name) in values.into_iter().zip(&names) {
        let missing = || Failure::usage(format!("the key's field {name} is missing"));
        whole.push(value.ok_or_else(missing)?);
    }
    Ok(whole)
}

fn of_words(
    raw: &RawExplain,
    state: &LedgerState,
    number: u16,
    words: &[String],
    found: &mut Vec<Candidate>,
) -> Result<(), Failure> {
    let scope = scope_state(state, number)?;
    if scope.fields as usize != words.len() {
        return Err(Failure::usage(format!(
            "the keys of scope {} have {} fields, and {} were given",
            scope.name,
            scope.fields,
            words.len()
        )));
    }
    let maker = KeyMaker::new(&scope.secret, scope.across_types, words.len());
    let mut types: Vec<Option<String>> = if scope.across_types {
        vec![None]
    } else {
        types_of(state, number).into_iter().map(Some).collect()
    };
    if let Some(asked) = raw.event_type.as_ref().filter(|_| !scope.across_types)
        && !types.contains(&Some(asked.clone()))
    {
        types.push(Some(asked.clone()));
    }
    let mut scratch = Vec::new();
    for event_type in types {
        let name = event_type.as_deref().unwrap_or_default();
        let asked =
            raw.event_type.as_deref().is_none_or(|asked| asked == name) || event_type.is_none();
        for values in readings(words) {
            let raws: Vec<Option<Raw<'_>>> =
                values.iter().map(|value| Some(Raw::new(value.as_bytes()))).collect();
            let Ok(key) = maker.key(name.as_bytes(), &raws, &mut scratch) else { continue };
            found.push(Candidate {
                scope: number,
                event_type: event_type.clone(),
                values,
                key,
                asked,
            });
            if found.len() > TRIED_MAX {
                return Err(Failure::usage(
                    "there are too many types to try the key under: name one with --type",
                ));
            }
        }
    }
    Ok(())
}

/// The types that a scope's pipes have counted, the empty one first.
fn types_of(state: &LedgerState, scope: u16) -> Vec<String> {
    let mut types = vec![String::new()];
    for pipe in state.pipes.iter().filter(|pipe| pipe.scope == Some(scope)) {
        for name in pipe.types.keys().filter(|name| *name != UNTYPED) {
            if !types.contains(name) {
                types.push(name.clone());
            }
        }
    }
    types
}

/// A word on a command line may be a text or, if it looks so, a number or bool: as JSON, texts
/// first.
fn readings(words: &[String]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for word in words {
        let quoted = word.len() > 1 && word.starts_with('"') && word.ends_with('"');
        let text = serde_json::Value::String(word.clone()).to_string();
        let parsed = serde_json::from_str::<serde_json::Value>(word).ok();
        let plain = parsed.filter(|value| value.is_number() || value.is_boolean());
        let mut ways = vec![if quoted { word.clone() } else { text }];
        ways.extend(plain.map(|_| word.clone()));
        all = all
            .iter()
            .flat_map(|before| {
                ways.iter().map(move |way| [&before[..], std::slice::from_ref(way)].concat())
            })
            .collect();
        all.truncate(64);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_text_and_a_number_where_it_looks_like_one() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(readings(&words(&["a"])), [["\"a\""]]);
        assert_eq!(readings(&words(&["7"])), [["\"7\""], ["7"]]);
        assert_eq!(readings(&words(&["\"7\""])), [["\"7\""]]);
        let pairs = readings(&words(&["7", "true"]));
        assert_eq!(pairs.len(), 4);
        assert_eq!(pairs[0], ["\"7\"", "\"true\""]);
        assert_eq!(pairs[3], ["7", "true"]);
    }
}
