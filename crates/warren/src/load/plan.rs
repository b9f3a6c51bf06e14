//! What is ordered, by whom: made before the clock starts, and the same in every run of the same shape.

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

/// More different orders than this only cost memory: they repeat after that.
const MAX_RECIPES: u32 = 10_000;

/// The shape of a load.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// How many orders.
    pub(super) orders: u32,
    /// Among how many products they choose.
    pub(super) skus: u32,
    /// How many customers order.
    pub(super) customers: u32,
    /// Lines per order.
    pub(super) lines: u32,
    /// How they are paid.
    pub(super) payment: String,
}

/// The name of product number `number`, counted from 0.
pub(super) fn sku(number: u32) -> String {
    format!("load-{:04}", number + 1)
}

/// The bodies of all orders.
#[derive(Debug)]
pub(super) struct Plan {
    bodies: Vec<Bytes>,
}

impl Plan {
    /// A plan of that shape, for those customers.
    pub(super) fn new(shape: &Shape, customers: &[Uuid]) -> Self {
        let mut random = SplitMix64(0);
        let recipes = shape.orders.min(MAX_RECIPES);
        let bodies = (0..recipes).zip(customers.iter().cycle()).map(|(_, customer)| {
            let skus = random.distinct(shape.lines, shape.skus);
            body(customer, skus.into_iter(), &shape.payment)
        });
        Self { bodies: bodies.collect() }
    }

    /// The body of order number `index`.
    pub(super) fn body(&self, index: u32) -> Bytes {
        // there is at least one order, so there is at least one body; usize holds 32 bits wherever tokio runs
        self.bodies[index as usize % self.bodies.len()].clone()
    }
}

/// An order of one piece of each of those products.
pub(super) fn body(customer: &Uuid, skus: impl Iterator<Item = u32>, payment: &str) -> Bytes {
    let lines: Vec<_> = skus.map(|number| json!({"sku": sku(number), "quantity": 1})).collect();
    json!({"customer_id": customer, "lines": lines, "payment_method": payment}).to_string().into()
}

/// SplitMix64 (Steele, Lea, Flood 2014): even and quick, and the same numbers in every run.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `count` different numbers below `below`, which is at least `count` (Floyd's sampling).
    fn distinct(&mut self, count: u32, below: u32) -> Vec<u32> {
        let mut chosen = Vec::with_capacity(count as usize);
        for last in below - count..below {
            let candidate = u32::try_from(self.next() % (u64::from(last) + 1)).unwrap_or(last);
            chosen.push(if chosen.contains(&candidate) { last } else { candidate });
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn shape() -> Shape {
        Shape { orders: 500, skus: 10, customers: 7, lines: 3, payment: "sandbox:ok".to_owned() }
    }

    #[test]
    fn each_order_has_different_skus_and_all_skus_and_customers_occur() {
        let customers: Vec<Uuid> = (0..7).map(|_| Uuid::now_v7()).collect();
        let plan = Plan::new(&shape(), &customers);
        let (mut skus, mut by) = (BTreeSet::new(), BTreeSet::new());
        for index in 0..500 {
            let body: serde_json::Value = serde_json::from_slice(&plan.body(index)).unwrap();
            let lines: BTreeSet<_> =
                body["lines"].as_array().unwrap().iter().map(|l| l["sku"].as_str().unwrap().to_owned()).collect();
            assert_eq!(lines.len(), 3);
            skus.extend(lines);
            by.insert(body["customer_id"].as_str().unwrap().to_owned());
        }
        assert_eq!((skus.len(), by.len()), (10, 7));
        assert!(skus.contains("load-0001") && skus.contains("load-0010"));
    }

    #[test]
    fn it_is_the_same_in_every_run() {
        let customers = [Uuid::nil()];
        assert_eq!(Plan::new(&shape(), &customers).bodies, Plan::new(&shape(), &customers).bodies);
    }

    #[test]
    fn all_products_at_once_is_possible() {
        let mut all = SplitMix64(1).distinct(10, 10);
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
