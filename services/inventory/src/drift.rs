//! Whether the ledger adds up to the stock: some rows of it a minute, all products in turn.
//!
//! A ledger may be long, so it is added up over several looks. It only grows, in the order of its positions, and a product
//! changes with it; so at the look that comes to its end, the sum and the stock of that moment have to be the same.

use service_kit::drift::{Book, Drift, Look};
use sqlx::PgConnection;

use crate::store::books::{self, Sum};

/// How many rows of ledgers one look adds up.
const ROWS: i64 = 10_000;

/// How many products one look comes to at most.
const PRODUCTS: usize = 100;

/// The walk through the ledgers.
#[derive(Debug)]
pub struct Books {
    ledger: Book,
    /// Where it has come to.
    sum: Sum,
}

impl Books {
    /// Begins at the first product.
    pub fn new(drift: &Drift) -> Self {
        Self { ledger: drift.book("ledger"), sum: Sum::default() }
    }

    /// How many products are known to be wrong.
    pub fn wrong(&self) -> i64 {
        self.ledger.count()
    }
}

impl Look for Books {
    async fn look(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let mut rows = ROWS;
        for _ in 0..PRODUCTS {
            if self.sum.sku.is_empty() || self.sum.is_whole {
                // the sku after the last is the first again
                self.sum = books::next_product(conn, &self.sum.sku).await?.map(Sum::of).unwrap_or_default();
                if self.sum.sku.is_empty() {
                    return Ok(());
                }
            }
            let before = self.sum.rows;
            books::add_up(conn, &mut self.sum, rows).await?;
            rows -= self.sum.rows - before;
            if self.sum.is_whole {
                self.ledger.note(&self.sum.sku, self.sum.fault());
            }
            if rows <= 0 {
                break;
            }
        }
        Ok(())
    }
}
