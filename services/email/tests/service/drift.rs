//! The look at some mails, once a minute.

use email::drift::Books;
use email::handlers::ConfirmOrder;
use service_kit::drift::{Drift, Look};

use crate::world::{World, confirmed, received};

async fn look(world: &World, books: &mut Books) -> (i64, i64) {
    books.look(&mut world.db.pool().acquire().await.unwrap()).await.unwrap();
    books.wrong()
}

#[tokio::test]
async fn a_mail_too_many_and_one_that_nobody_will_send_show_until_they_are_right_again() {
    let world = World::new().await;
    let mut books = Books::new(&Drift::register(&mut Default::default()));
    assert_eq!(look(&world, &mut books).await, (0, 0), "no mails");
    world.confirmations(3).await;
    assert_eq!(look(&world, &mut books).await, (0, 0));

    world.sql("create table kept as select * from delivery").await;
    world.sql("delete from delivery where mail_id = (select max(mail_id::text)::uuid from delivery)").await;
    look(&world, &mut books).await;
    assert_eq!(look(&world, &mut books).await, (0, 1));
    world.sql("insert into delivery select * from kept on conflict do nothing").await;
    assert_eq!(look(&world, &mut books).await, (0, 0), "what was wrong is looked at again each time");

    // The same order under another event's id.
    let order = confirmed(world.customer("ada@example.com").await);
    let again = [received(1, order.clone()), received(2, order)];
    for event in again {
        world.handle(&ConfirmOrder::new(world.outgoing.clone()), &[event]).await;
    }
    look(&world, &mut books).await;
    assert_eq!(look(&world, &mut books).await, (1, 0));
}
