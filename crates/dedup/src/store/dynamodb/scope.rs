//! The scope's item: whose keys these are.

use aws_sdk_dynamodb::types::AttributeValue;

use super::call::{Calls, Patience};
use super::item::{
    FORMAT, Item, PK, SCOPE_ACROSS_TYPES, SCOPE_FIELDS, SCOPE_FORMAT, SCOPE_INCARNATION,
    SCOPE_NAME, SCOPE_SECRET, binary, bytes, number, scope_pk, text,
};
use super::requests::{Expected, Write};
use crate::store::{Joined, SharedScope, StoreError, StoreFault};

impl Calls {
    /// Joins the scope, or makes its item.
    pub(super) async fn join_scope(
        &self,
        patience: &Patience,
        scope: &SharedScope,
    ) -> Result<Joined, StoreError> {
        let incarnation = [self.nonce()?, self.nonce()?].concat();
        let mine = Item::from([
            (PK.to_owned(), binary(&scope_pk(&scope.name))),
            (SCOPE_FORMAT.to_owned(), number(FORMAT)),
            (SCOPE_NAME.to_owned(), text(&scope.name)),
            (SCOPE_FIELDS.to_owned(), number(scope.fields)),
            (SCOPE_ACROSS_TYPES.to_owned(), AttributeValue::Bool(scope.across_types)),
            (SCOPE_SECRET.to_owned(), binary(&scope.secret)),
            (SCOPE_INCARNATION.to_owned(), binary(&incarnation)),
        ]);
        // Read first: it is there in all cases but one, and a read costs less.
        let item = match self.get(patience, &scope_pk(&scope.name)).await? {
            Some(item) => item,
            None => match self.put(patience, mine.clone(), Expected::Nothing).await? {
                Write::Was(Some(item)) => item,
                // Made now, or made and gone again: then the first use says so.
                Write::Done | Write::Was(None) => mine,
            },
        };
        self.check_definition(scope, &item)
    }

    fn check_definition(&self, scope: &SharedScope, item: &Item) -> Result<Joined, StoreError> {
        let refused = |what: String| self.error(StoreFault::Refused, what);
        let as_number = |name| match item.get(name) {
            Some(AttributeValue::N(number)) => number.parse::<u32>().ok(),
            _ => None,
        };
        match as_number(SCOPE_FORMAT) {
            Some(FORMAT) => {}
            other => {
                let other = other.map_or("none".into(), |other| other.to_string());
                return Err(refused(format!(
                    "scope `{}` is in format {other}, this program writes {FORMAT}: use the \
                     version that made it, or another table",
                    scope.name
                )));
            }
        }
        let across_types = match item.get(SCOPE_ACROSS_TYPES) {
            Some(AttributeValue::Bool(across)) => Some(*across),
            _ => None,
        };
        let fields = as_number(SCOPE_FIELDS);
        if fields != Some(scope.fields) || across_types != Some(scope.across_types) {
            return Err(refused(format!(
                "scope `{}` has keys of {} fields {} types there, and of {} {} here: keys made \
                 in two ways never meet. Use another scope, or the same definition",
                scope.name,
                fields.unwrap_or(0),
                across(across_types.unwrap_or(false)),
                scope.fields,
                across(scope.across_types),
            )));
        }
        let secret = bytes(item, SCOPE_SECRET).and_then(|secret| secret.try_into().ok());
        let incarnation = bytes(item, SCOPE_INCARNATION).and_then(|bytes| bytes.try_into().ok());
        match (secret, incarnation) {
            (Some(secret), Some(incarnation)) => {
                Ok(Joined { secret, incarnation: u128::from_be_bytes(incarnation) })
            }
            _ => Err(self.unreadable("scope")),
        }
    }

    /// That the scope is the one that was joined.
    pub(super) async fn check_scope(
        &self,
        patience: &Patience,
        name: &str,
        incarnation: u128,
    ) -> Result<(), StoreError> {
        let item = self.get(patience, &scope_pk(name)).await?;
        let lost = match &item {
            None => "its item is gone",
            Some(item)
                if bytes(item, SCOPE_INCARNATION) == Some(&incarnation.to_be_bytes()[..]) =>
            {
                return Ok(());
            }
            Some(_) => "it was made anew",
        };
        Err(self.error(StoreFault::Lost, format_args!("scope `{name}`: {lost}")))
    }
}

fn across(across_types: bool) -> &'static str {
    if across_types { "across" } else { "within" }
}
