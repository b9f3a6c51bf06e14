//! `warren order list`.

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::model::{self, Order};
use crate::client::{Client, MAX_PAGE};
use crate::failure::Verdict;
use crate::output::{self, Paint};

const EXAMPLES: &str = "\
Examples:
  warren order list                                  the 50 newest
  warren order list --status reserved --limit 1000   those that wait for their payment
  warren order list --customer ID --json | jq '.items[].id'
  warren order list --cursor CURSOR                  go on where an earlier list ended";

/// Options of `order list`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Only those in this status
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,

    /// Only those of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<Uuid>,

    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Go on after an earlier list, with its filters
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// The status of an order.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Pending,
    Reserved,
    Confirmed,
    Cancelled,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// As the service writes a list, over as many of its pages as were read.
#[derive(Serialize)]
struct List {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

pub(super) async fn run(args: &ListArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let customer = args.customer.map(|id| id.to_string());
    let query: Vec<(&str, &str)> = [("status", args.status.map(Status::name)), ("customer_id", customer.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let limit = usize::try_from(args.limit)?;
    let mut list = List { items: Vec::new(), next_cursor: args.cursor.clone() };
    loop {
        let wanted = (limit - list.items.len()).min(MAX_PAGE);
        let page = client.page("/v1/orders", &query, wanted, list.next_cursor.as_deref()).await?;
        list.items.extend(page.items);
        list.next_cursor = page.next_cursor;
        if list.next_cursor.is_none() || list.items.len() >= limit {
            break;
        }
    }
    if json {
        output::print_json(&list)?;
    } else {
        print_table(&list)?;
    }
    Ok(Verdict::Fine)
}

fn print_table(list: &List) -> anyhow::Result<()> {
    let orders = list.items.iter().map(|item| serde_json::from_str::<Order>(item.get()));
    let orders: Vec<Order> = orders.collect::<Result<_, _>>()?;
    let rows = orders.iter().map(|order| {
        [
            order.id.to_string(),
            order.state(),
            order.total.to_string(),
            order.lines.len().to_string(),
            model::time(order.created_at),
            order.customer_id.to_string(),
        ]
    });
    output::print(&output::table(["order", "status", "total", "lines", "created", "customer"], rows))?;
    if let Some(cursor) = &list.next_cursor {
        let more = format!("there are more: --limit N, or --cursor {cursor}");
        eprintln!("{}", Paint::on(std::io::IsTerminal::is_terminal(&std::io::stderr())).dim(&more));
    }
    Ok(())
}
