use proptest::prelude::*;

use super::*;

fn sku(name: &str) -> Sku {
    name.parse().unwrap()
}

fn line(name: &str, quantity: i64) -> Line {
    Line { sku: sku(name), quantity: quantity.try_into().unwrap() }
}

fn shelf(products: &[(&str, i64, Option<i64>)]) -> Shelf {
    let item = |on_hand, threshold| Item {
        name: "Tea".to_owned(),
        threshold,
        stock: Stock { on_hand, reserved: 0 },
        low: false,
        low_head: Head::NONE,
    };
    Shelf::new(products.iter().map(|&(name, on_hand, threshold)| (sku(name), item(on_hand, threshold))).collect())
}

fn available(shelf: &Shelf, name: &str) -> i64 {
    shelf.get(&sku(name)).unwrap().stock.available()
}

#[test]
fn an_order_is_held_whole_or_not_at_all() {
    let mut shelf = shelf(&[("a", 5, None), ("b", 1, None)]);
    let short = shelf.hold(OrderId::new(), &[line("a", 5), line("b", 2), line("c", 1)]).unwrap_err();
    let short: Vec<_> = short.iter().map(|s| (s.sku.as_str(), s.requested.get(), s.available)).collect();
    assert_eq!(short, [("b", 2, 1), ("c", 1, 0)], "what is unknown counts as none");
    assert_eq!(shelf.changed().count() + shelf.entries().len(), 0);

    shelf.hold(OrderId::new(), &[line("a", 5), line("b", 1)]).unwrap();
    assert_eq!((available(&shelf, "a"), available(&shelf, "b")), (0, 0));
}

#[test]
fn the_earlier_order_of_a_batch_goes_first() {
    let mut shelf = shelf(&[("a", 5, None)]);
    let held: Vec<bool> = [3, 3, 2].map(|quantity| shelf.hold(OrderId::new(), &[line("a", quantity)]).is_ok()).to_vec();
    assert_eq!(held, [true, false, true], "one that does not fit does not stand in the way of one that does");
}

#[test]
fn low_is_told_once_per_fall() {
    let mut shelf = shelf(&[("a", 10, Some(5))]);
    let order = OrderId::new();
    assert!(shelf.hold(order, &[line("a", 5)]).unwrap().is_empty(), "5 is not below 5");
    let low = shelf.hold(order, &[line("a", 1)]).unwrap();
    assert_eq!(low.len(), 1);
    assert_eq!((low[0].available, low[0].threshold), (4, 5));
    assert!(shelf.hold(order, &[line("a", 1)]).unwrap().is_empty(), "still low");
    shelf.settle(order, Kind::Committed, &[line("a", 7)]).unwrap();
    assert!(
        shelf.adjust(&sku("a"), 2, "delivery".to_owned()).unwrap().is_empty(),
        "back at the threshold: armed again"
    );
    assert_eq!(shelf.adjust(&sku("a"), -1, "broken".to_owned()).unwrap().len(), 1);
}

#[test]
fn a_rise_that_stays_below_the_threshold_is_no_news() {
    let mut shelf = shelf(&[("a", 0, Some(5))]);
    assert!(shelf.adjust(&sku("a"), 3, "delivery".to_owned()).unwrap().is_empty());
    assert_eq!(shelf.hold(OrderId::new(), &[line("a", 1)]).unwrap().len(), 1, "but a fall from there is");
}

#[test]
fn no_adjustment_takes_what_is_promised() {
    let mut shelf = shelf(&[("a", 5, None)]);
    shelf.hold(OrderId::new(), &[line("a", 3)]).unwrap();
    assert!(shelf.adjust(&sku("a"), -3, "lost".to_owned()).is_none());
    assert!(shelf.adjust(&sku("a"), -2, "lost".to_owned()).is_some());
    assert!(shelf.adjust(&sku("b"), 1, "unknown".to_owned()).is_none());
}

#[test]
fn a_reservation_that_the_stock_does_not_cover_is_noticed() {
    let mut shelf = shelf(&[("a", 5, None)]);
    assert_eq!(shelf.settle(OrderId::new(), Kind::Committed, &[line("a", 1)]), Err(Inconsistent));
    assert_eq!(shelf.settle(OrderId::new(), Kind::Returned, &[line("b", 1)]), Err(Inconsistent));
}

/// An order of a batch, its lines by number of the sku, and what becomes of it if it was held.
type Order = (Vec<(usize, i64)>, Option<Kind>);

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let lines = prop::collection::btree_map(0..3_usize, 1..5_i64, 1..=3).prop_map(|lines| lines.into_iter().collect());
    let end = prop::option::of(prop::sample::select(vec![Kind::Committed, Kind::Released]));
    prop::collection::vec((lines, end), 0..40)
}

proptest! {
    #[test]
    fn allocation_never_oversells_and_its_entries_are_the_stock(orders in orders()) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let mut shelf = shelf(&NAMES.map(|name| (name, 20, Some(4))));
        for (lines, end) in orders {
            let id = OrderId::new();
            let lines: Vec<Line> = lines.into_iter().map(|(at, quantity)| line(NAMES[at], quantity)).collect();
            let before = shelf.entries().len();
            match shelf.hold(id, &lines) {
                Ok(_) => if let Some(end) = end { shelf.settle(id, end, &lines).unwrap(); },
                Err(short) => {
                    prop_assert!(!short.is_empty());
                    prop_assert_eq!(shelf.entries().len(), before);
                }
            }
        }
        for name in NAMES {
            let item = shelf.get(&sku(name)).unwrap();
            prop_assert!(item.stock.reserved >= 0 && item.stock.available() >= 0);
            let of = |delta: fn(&Movement) -> i64| -> i64 {
                shelf.entries().iter().filter(|e| e.sku == sku(name)).map(|e| delta(&e.movement)).sum()
            };
            prop_assert_eq!(20 + of(|m| m.on_hand_delta), item.stock.on_hand);
            prop_assert_eq!(of(|m| m.reserved_delta), item.stock.reserved);
        }
    }
}
