//! The table: that it is there, of the right shape, and swept by TTL.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::call::{Calls, Patience, Refused};
use super::item::{EXPIRES, PK};
use crate::store::{StoreError, StoreFault};

/// How often a table that is being made is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a table may take to be made.
const MADE_MAX: Duration = Duration::from_secs(120);

impl Calls {
    /// What the server says of the table; `None`: there is none.
    pub(super) async fn table(
        &self,
        patience: &Patience,
    ) -> Result<Option<TableDescription>, StoreError> {
        let request = self.client.describe_table().table_name(&self.table);
        match self.send(patience, || request.clone().send()).await {
            Ok(described) => Ok(described.table),
            Err(refused) => match refused.into_error(&self.place) {
                error if error.fault == StoreFault::Lost => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Checks the table, makes it if it isn't there and `create`.
    pub(super) async fn check_table(
        &self,
        patience: &Patience,
        create: bool,
    ) -> Result<(), StoreError> {
        let mut is_new = false;
        let began = std::time::Instant::now();
        loop {
            match self.table(patience).await? {
                None if !create => {
                    return Err(self.error(
                        StoreFault::Refused,
                        "there is no such table; make it, or set `create_table: true`",
                    ));
                }
                None => {
                    self.create(patience).await?;
                    is_new = true;
                }
                Some(table) => {
                    self.check_shape(&table)?;
                    if table.table_status == Some(TableStatus::Active) {
                        break;
                    }
                }
            }
            if began.elapsed() > MADE_MAX {
                return Err(self.error(StoreFault::Away, "the table isn't active yet"));
            }
            if !self.is_active(patience).await? {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        self.check_ttl(patience, is_new || create).await
    }

    async fn is_active(&self, patience: &Patience) -> Result<bool, StoreError> {
        let table = self.table(patience).await?;
        Ok(table.is_some_and(|table| table.table_status == Some(TableStatus::Active)))
    }

    fn check_shape(&self, table: &TableDescription) -> Result<(), StoreError> {
        let is_key = |element: &KeySchemaElement| {
            element.attribute_name == PK && element.key_type == KeyType::Hash
        };
        let is_binary = table.attribute_definitions().iter().any(|attribute| {
            attribute.attribute_name == PK && attribute.attribute_type == ScalarAttributeType::B
        });
        match table.key_schema() {
            [key] if is_key(key) && is_binary => Ok(()),
            _ => Err(self.error(
                StoreFault::Refused,
                format_args!(
                    "the table's primary key isn't the binary `{PK}` alone: it is another program's"
                ),
            )),
        }
    }

    async fn create(&self, patience: &Patience) -> Result<(), StoreError> {
        let attribute = AttributeDefinition::builder()
            .attribute_name(PK)
            .attribute_type(ScalarAttributeType::B)
            .build();
        let key = KeySchemaElement::builder().attribute_name(PK).key_type(KeyType::Hash).build();
        let (Ok(attribute), Ok(key)) = (attribute, key) else { return Ok(()) };
        let request = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute)
            .key_schema(key);
        match self.send(patience, || request.clone().send()).await {
            Ok(_) => {
                tracing::info!(table = self.table, "the table of keys is being made");
                Ok(())
            }
            Err(refused) => match refused.into_error(&self.place) {
                // Another worker was faster.
                error if error.what.contains("ResourceInUse") => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Without TTL the table grows for ever: worth a warning, and no reason to stop.
    async fn check_ttl(&self, patience: &Patience, enable: bool) -> Result<(), StoreError> {
        let request = self.client.describe_time_to_live().table_name(&self.table);
        let described = match self.send(patience, || request.clone().send()).await {
            Ok(described) => described.time_to_live_description,
            Err(Refused::Condition(_)) => None,
            // The right to ask isn't needed for anything else.
            Err(Refused::Failed(error)) if error.fault == StoreFault::Refused => return Ok(()),
            Err(Refused::Failed(error)) => return Err(error),
        };
        let on = described.is_some_and(|ttl| {
            let status = ttl.time_to_live_status;
            let on = [TimeToLiveStatus::Enabled, TimeToLiveStatus::Enabling];
            status.is_some_and(|status| on.contains(&status))
                && ttl.attribute_name.as_deref() == Some(EXPIRES)
        });
        if on {
            return Ok(());
        }
        if enable && self.enable_ttl(patience).await.is_ok() {
            return Ok(());
        }
        tracing::warn!(
            table = self.table,
            attribute = EXPIRES,
            "TTL isn't on for this attribute: keys that are over stay in the table, and cost"
        );
        Ok(())
    }

    async fn enable_ttl(&self, patience: &Patience) -> Result<(), StoreError> {
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES).build();
        let ttl = ttl.map_err(|error| self.error(StoreFault::Refused, error))?;
        let request = self
            .client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(ttl);
        let done = self.send(patience, || request.clone().send()).await;
        match done.map_err(|refused| refused.into_error(&self.place)) {
            Ok(_) => Ok(()),
            // Two workers that start together: one of them does it.
            Err(error) if error.what.contains("TimeToLive is already enabled") => Ok(()),
            Err(error) => {
                tracing::warn!(table = self.table, %error, "TTL can't be switched on");
                Err(error)
            }
        }
    }
}
