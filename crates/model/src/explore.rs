//! The model as the checker wants it: initial states, actions, and properties.

use contracts::order::CancelReason;
use order::order::{PaymentStatus, Status};
use stateright::{Model, Property};

use crate::promises::{violated, violated_at_rest};
use crate::steps::{Step, happen, possible};
use crate::world::{Setting, World};

impl Model for Setting {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        actions.extend(possible(world, self));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        happen(&mut next, self, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("the promises hold", |setting, world| violated(world, setting).is_none()),
            Property::<Self>::always("every order can come to its end, and then all adds up", |setting, world| {
                violated_at_rest(world, setting).is_none()
            }),
        ];
        // That these can be reached shows that the promises are not kept by doing nothing.
        properties.extend([
            Property::<Self>::sometimes("an order is confirmed", |_, world| any(world, Status::Confirmed, |_, _| true)),
            Property::<Self>::sometimes("all orders are over", |_, world| {
                world
                    .orders
                    .iter()
                    .all(|placed| placed.as_ref().is_some_and(|order| order.0.status == Status::Cancelled))
            }),
            Property::<Self>::sometimes("a payment is refunded", |_, world| {
                any(world, Status::Cancelled, |_, order| order.payment.status == PaymentStatus::Refunded)
            }),
            Property::<Self>::sometimes("an order waits too long", |_, world| {
                any(world, Status::Cancelled, |reason, _| reason == Some(CancelReason::PaymentTimeout))
            }),
        ]);
        properties
    }
}

fn any(world: &World, status: Status, fits: impl Fn(Option<CancelReason>, &order::order::Order) -> bool) -> bool {
    let mut orders = world.orders.iter().flatten();
    orders.any(|placed| placed.0.status == status && fits(placed.0.cancel_reason, &placed.0))
}
