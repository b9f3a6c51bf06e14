//! The one place that acknowledges. Whoever calls it has put the message, or what became of it, somewhere safe before.

use lapin::message::Delivery;
use lapin::options::BasicAckOptions;

/// Tells the broker that a delivery is settled; with `all_before`, also all earlier ones of its channel. `false` when the
/// channel is gone, and the message comes again.
///
/// # Errors
/// When the connection is gone.
pub(crate) async fn acknowledge(delivery: &Delivery, all_before: bool) -> lapin::Result<bool> {
    delivery.acker.ack(BasicAckOptions { multiple: all_before }).await
}
