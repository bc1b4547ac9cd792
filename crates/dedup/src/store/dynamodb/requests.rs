//! The requests that the store makes of items. It never deletes: that is TTL's alone, so that a
//! request which lands late never finds an item gone that it may not write.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};

use super::call::{Calls, Patience, Refused};
use super::item::{self, Item, NONCE, PK, binary};
use super::parallel::side_by_side;
use crate::store::{StoreError, StoreFault};

/// Items of one BatchGetItem.
const GET_MAX: usize = 100;
/// Batch reads side by side.
const GETS_MAX: usize = 16;

/// What a conditional write found.
#[derive(Debug)]
pub(super) enum Write {
    Done,
    /// The condition didn't hold; the item as it was at that moment.
    Was(Option<Item>),
}

/// What must be true of the item that a write replaces.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Nothing,
    /// It has this nonce.
    Nonce([u8; 8]),
}

/// A conditional change of some attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) values: HashMap<String, AttributeValue>,
    /// Names that DynamoDB reserves for itself, as `#…`.
    pub(super) names: HashMap<String, String>,
}

impl Calls {
    /// Writes the whole item, if what it replaces is as expected.
    pub(super) async fn put(
        &self,
        patience: &Patience,
        item: Item,
        expected: Expected,
    ) -> Result<Write, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request = match expected {
            Expected::Nothing => {
                request.condition_expression(format!("attribute_not_exists({PK})"))
            }
            Expected::Nonce(nonce) => request
                .condition_expression(format!("{NONCE} = :seen"))
                .expression_attribute_values(":seen", binary(&nonce)),
        };
        match self.send(patience, || request.clone().send()).await {
            Ok(done) => {
                self.wrote(done.consumed_capacity());
                Ok(Write::Done)
            }
            Err(Refused::Condition(PutItemError::ConditionalCheckFailedException(was))) => {
                Ok(self.was(was.item))
            }
            Err(refused) => Err(refused.into_error(&self.place)),
        }
    }

    /// Changes an item, if it is as expected.
    pub(super) async fn update(
        &self,
        patience: &Patience,
        pk: &[u8],
        change: &Change,
    ) -> Result<Write, StoreError> {
        let names = (!change.names.is_empty()).then(|| change.names.clone());
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PK, binary(pk))
            .update_expression(&change.update)
            .condition_expression(&change.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(Some(change.values.clone()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.send(patience, || request.clone().send()).await {
            Ok(done) => {
                self.wrote(done.consumed_capacity());
                Ok(Write::Done)
            }
            Err(Refused::Condition(UpdateItemError::ConditionalCheckFailedException(was))) => {
                Ok(self.was(was.item))
            }
            Err(refused) => Err(refused.into_error(&self.place)),
        }
    }

    fn was(&self, item: Option<Item>) -> Write {
        self.wrote_nothing(item.as_ref().map_or(0, size));
        Write::Was(item)
    }

    /// The item as it is now (strongly consistent).
    pub(super) async fn get(
        &self,
        patience: &Patience,
        pk: &[u8],
    ) -> Result<Option<Item>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, binary(pk))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let found = self.send(patience, || request.clone().send()).await;
        let found = found.map_err(|refused| refused.into_error(&self.place))?;
        self.read(found.consumed_capacity());
        Ok(found.item)
    }

    /// Up to 100 items as they are now (strongly consistent), by primary key; those that aren't
    /// there are left out. No key twice.
    async fn get_some(
        &self,
        patience: &Patience,
        pks: &[Vec<u8>],
    ) -> Result<Vec<(Vec<u8>, Item)>, StoreError> {
        let key = |pk: &Vec<u8>| HashMap::from([(PK.to_owned(), binary(pk))]);
        let mut wanted: Vec<HashMap<String, AttributeValue>> = pks.iter().map(key).collect();
        let mut all = Vec::with_capacity(pks.len());
        let mut rounds: u32 = 0;
        while !wanted.is_empty() {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(|error| self.error(StoreFault::Refused, error))?;
            let request = self
                .client
                .batch_get_item()
                .request_items(&self.table, keys)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let found = self.send(patience, || request.clone().send()).await;
            let found = found.map_err(|refused| refused.into_error(&self.place))?;
            found.consumed_capacity().iter().for_each(|consumed| self.read(Some(consumed)));
            let items = found.responses.unwrap_or_default().remove(&self.table).unwrap_or_default();
            // Left out for size when others came, else for being too fast.
            rounds = if items.is_empty() { rounds + 1 } else { 0 };
            for item in items {
                if let Some(pk) = item::bytes(&item, PK).map(<[u8]>::to_vec) {
                    all.push((pk, item));
                }
            }
            let unprocessed = found.unprocessed_keys.unwrap_or_default().remove(&self.table);
            wanted = unprocessed.map(|keys| keys.keys).unwrap_or_default();
            if !wanted.is_empty() {
                self.pause_unprocessed(rounds).await?;
            }
        }
        Ok(all)
    }

    /// Items as they are now (strongly consistent), by primary key; those that aren't there are
    /// left out.
    pub(super) async fn get_many(
        self: &Arc<Self>,
        patience: &Arc<Patience>,
        mut pks: Vec<Vec<u8>>,
    ) -> Result<HashMap<Vec<u8>, Item>, StoreError> {
        pks.sort_unstable();
        pks.dedup();
        let some: Vec<Vec<Vec<u8>>> = pks.chunks(GET_MAX).map(<[_]>::to_vec).collect();
        let (calls, patience) = (Arc::clone(self), Arc::clone(patience));
        let found = side_by_side(&self.place, GETS_MAX, some, move |pks| {
            let (calls, patience) = (Arc::clone(&calls), Arc::clone(&patience));
            async move { calls.get_some(&patience, &pks).await }
        });
        Ok(found.await?.into_iter().flatten().collect())
    }

    /// An item that no version of this program wrote, or a later one.
    pub(super) fn unreadable(&self, what: &str) -> StoreError {
        let what = format!(
            "the item of a {what} is not in format {}: is the table another program's, or a \
             newer one's?",
            item::FORMAT
        );
        self.error(StoreFault::Refused, what)
    }
}

/// An item's size, as the price list counts it, about.
fn size(item: &Item) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        _ => 1,
    };
    item.iter().map(|(name, it)| name.len() + value(it)).sum()
}
