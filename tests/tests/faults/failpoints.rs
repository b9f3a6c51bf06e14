//! Every service stops exactly where it hurts most: once at each failpoint, under load, and is started again.
//!
//! The failpoints are named where they stand in the code; `WARREN_FAILPOINT=NAME:N` stops the process at the Nth time. The
//! binaries that tests are built with have them, those that are built alone do not.

use end_to_end::infrastructure::alone;
use end_to_end::load::Load;
use end_to_end::system::System;

use crate::crashes::{LADDER, all_settled, mixture};

/// Failpoints that services reach which consume and publish: before and after a commit, before and after an
/// acknowledgement, between publishing and its confirm, and between the confirm and the relay's checkpoint.
const OF_BOTH: [&str; 6] =
    ["before-commit", "after-commit", "before-ack", "after-ack", "before-confirm", "after-publish"];

/// A service stops once at each of `failpoints`, under load, and is started again.
async fn stops_at(service: &str, failpoints: &[&str]) {
    let _alone = alone().await;
    let system = System::setup().env("RETRY_DELAYS", LADDER).start().await;
    system.sell("tea", 100, 10_000).await;
    system.sell("cup", 100, 10_000).await;
    let customer = system.customer().await;
    let load = Load::default();
    let targets = [system.order.api()];
    let process = system.service(service);
    for failpoint in failpoints {
        process.stop().await;
        process.set("WARREN_FAILPOINT", Some(failpoint));
        process.start();
        let orders = load.run(&targets, 20, mixture(&customer));
        let stop = async {
            process.ends_by_itself(failpoint).await;
            let said = format!("\"failpoint\":\"{failpoint}\"");
            assert!(process.log().contains(&said), "{service} ended elsewhere than at {failpoint}");
            if service == "email" {
                system.allow_repeated_mails();
            }
            process.set("WARREN_FAILPOINT", None);
            process.start_and_wait().await;
        };
        tokio::join!(orders, stop);
    }
    all_settled(&system, &load).await;
    system.finish().await;
}

#[tokio::test]
async fn order_stops_at_each_of_its_failpoints_and_loses_nothing() {
    stops_at("order", &[&OF_BOTH[..], &["after-provider-call"]].concat()).await;
}

#[tokio::test]
async fn inventory_stops_at_each_of_its_failpoints_and_loses_nothing() {
    stops_at("inventory", &OF_BOTH).await;
}

#[tokio::test]
async fn email_stops_at_each_of_its_failpoints_and_loses_nothing() {
    // It publishes nothing.
    stops_at("email", &["before-commit", "after-commit", "before-ack", "after-ack", "after-claim", "after-data"]).await;
}
