//! The [`Shelf`] out of the database and back into it, in a transaction that holds the products' locks.

use contracts::inventory::InventoryLow;
use contracts::values::Sku;
use messaging::tx::{PublishError, Tx};

use crate::shelf::Shelf;
use crate::store;

/// Takes the products of these skus, which are locked. The clock of `tx` is read after that, as events of locked
/// subjects need it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn take(tx: &mut Tx, skus: &[&Sku]) -> sqlx::Result<Shelf> {
    let (items, now) = store::stock::read(tx, skus).await?;
    if let Some(now) = now {
        tx.set_now(now);
    }
    Ok(Shelf::new(items))
}

/// Tells that products ran low.
///
/// # Errors
/// See [`Tx::publish`].
pub async fn publish_low(tx: &mut Tx, shelf: &mut Shelf, low: Vec<InventoryLow>) -> Result<(), PublishError> {
    for event in low {
        if let Some(head) = shelf.low_head(&event.sku) {
            tx.publish(head, &event).await?;
            tracing::info!(sku = %event.sku, available = event.available, threshold = event.threshold, "stock is low");
        }
    }
    Ok(())
}

/// Puts the products back, and what happened to them into the ledger.
///
/// # Errors
/// When the database refuses, above all what would be oversold.
pub async fn put_back(tx: &mut Tx, shelf: &Shelf) -> sqlx::Result<()> {
    if shelf.entries().is_empty() {
        return Ok(());
    }
    let now = tx.now().await?;
    store::stock::update(tx, shelf.changed()).await?;
    store::movement::insert(tx, shelf.entries(), now).await
}
