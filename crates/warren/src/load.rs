//! `warren load`: places many orders, waits until all are final, tells how fast that was, and checks the result.
//!
//! It shares its machine with what it measures, so its hot loop is small: prebuilt bodies, one thread, kept connections.
//! Each run makes customers of its own; whatever it asks for afterwards is by those customers, so that other callers
//! neither slow its checks down nor confuse them.
//!
//! Read it in this order: [`plan`] (what is ordered), [`arrivals`] (when), [`wire`] and [`place`] (the hot loop),
//! [`prepare`] (what must be there before), [`steps`] (where it waits for others), [`settle`] and [`stock`] (what became
//! of it), [`verdict`] (is that right?), [`latency`] and [`report`].

mod arrivals;
mod plan;

mod place;
mod wire;

mod prepare;
mod settle;
mod steps;
mod stock;

mod verdict;

mod latency;
mod progress;
mod report;

use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::failure::{Usage, Verdict};
use crate::output::{self, Paint};
use crate::settings::Settings;
use arrivals::Rate;
use plan::{Plan, Shape};
use progress::Progress;
use report::Report;
use steps::Steps;

/// Connections where `--concurrency` does not say: enough to keep a small machine busy without queueing inside of it;
/// with a rate, enough that arrivals wait for nothing but the service.
const CONNECTIONS: (u16, u16) = (32, 256);

/// The most lines that an order may have.
const MAX_LINES: i64 = 100;

const EXAMPLES: &str = "\
Examples:
  warren load --orders 10000
      How many orders per second can be taken? Each of 32 connections places
      its next order as soon as it has the answer to the one before (a closed
      loop): the system sets the pace.

  warren load --orders 30000 --rate 500
      How long does an order take while 500 arrive per second? Orders start at
      fixed times whether or not earlier ones have been answered (an open
      loop), and latency counts from the time at which an order was to start.
      So a stall is seen by every order that arrives in it, as its callers
      would see it.

  warren load --orders 1000 --rate 20
      How long does an order take, from POST to mail, with little else to do?

  warren load --orders 5000 --skus 1 --lines 1
      What if everybody wants the same product? It is one row that all lock.

  warren load --orders 2000 --payment sandbox:flaky
      Does everything come right when each payment fails twice first?

  warren load --orders 10000 --json | jq '.throughput, .latency_ms'

  warren load --orders 10000 --step-by-step
      What if inventory is away? Stop it when the load says that placing is
      next, press Enter; start it when it says that checking is, and press
      Enter again.

What is measured:
  accepted/s    orders answered with 201, from the first POST to the last
                answer, by this program's clock
  completed/s   orders that became confirmed or cancelled, from the first one
                created to the last one final
  POST          from when a POST was to start to its 201, repetitions
                included, by this program's clock
  to confirmed  from created_at to updated_at of the confirmed orders
  to mail       from an order's created_at to its mail's sent_at, if EMAIL_URL
                is known
completed/s and the last two are by the clocks of the services' databases: they
mean something where these agree, as they do on one machine.

A 503 (overloaded, unavailable) or a lost connection is counted, and the order
is sent again after Retry-After, under its own Idempotency-Key, so that nothing
doubles. Products load-0001, load-0002, ... are made and stocked when they are
missing; each is ordered once before the clock starts, so that order knows its
price. Each run makes customers of its own. Run one load at a time: the stock
of these products is part of the checks.

Exit status 1 when an order was refused, did not become final by --deadline,
exists twice or not at all, when stock does not add up, or when an order has
not exactly one mail.";

/// Options of `load`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LoadArgs {
    /// How many orders
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    orders: u32,

    /// Orders per second, at fixed times; as fast as the answers come when left out
    #[arg(long, value_name = "R")]
    rate: Option<Rate>,

    /// Connections, each with one order under way [default: 32, or at most 256 with --rate]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    concurrency: Option<u16>,

    /// How the orders are paid
    #[arg(long, value_name = "METHOD", default_value = "sandbox:ok")]
    payment: String,

    /// Among how many products orders choose, evenly
    #[arg(long, value_name = "S", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=9999))]
    skus: u32,

    /// How many customers order
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    customers: u32,

    /// Lines per order, each of one piece
    #[arg(long, value_name = "L", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=MAX_LINES))]
    lines: u32,

    /// How long after the last POST everything may take to become final and mailed
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::duration::up_to_a_day)]
    deadline: Duration,

    /// Another copy of the order service: orders go to all copies in turn
    #[arg(long, value_name = "URL")]
    order_copy: Vec<String>,

    /// Before orders are placed, and before they are checked, wait for a line on standard input
    #[arg(long)]
    step_by_step: bool,
}

/// Carries out `load`.
///
/// # Errors
/// When it cannot begin, or cannot look at the result. What is wrong with the result is a [`Verdict`].
pub(crate) async fn run(args: &LoadArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    if args.skus < args.lines {
        return Err(
            Usage("--lines: an order has each sku once, so there must be at least as many --skus".to_owned()).into()
        );
    }
    let services = Services { order: settings.order()?, inventory: settings.inventory()?, email: settings.email()? };
    let target = wire::Target::new(services.order.base(), services.order.bearer())?.with_copies(&args.order_copy)?;
    let report = services.load(args, target).await?;
    if json {
        output::print_json(&report)?;
    } else {
        output::print(&report.page(Paint::stdout()))?;
    }
    Ok(if report.ok { Verdict::Fine } else { Verdict::Failed })
}

struct Services {
    order: Client,
    inventory: Client,
    email: Option<Client>,
}

impl Services {
    async fn load(&self, args: &LoadArgs, target: wire::Target) -> anyhow::Result<Report> {
        let mut progress = Progress::new();
        let shape = Shape {
            orders: args.orders,
            skus: args.skus,
            customers: args.customers.min(args.orders),
            lines: args.lines,
            payment: args.payment.clone(),
        };
        let run = uuid::Uuid::now_v7().simple().to_string();

        progress.phase("preparing products and customers", None);
        prepare::products(&self.inventory, &shape).await?;
        let customers = prepare::customers(&self.order, &run, shape.customers).await?;
        progress.phase("warming up", None);
        prepare::warm_up(&self.order, &run, &shape, args.deadline).await?;
        let stock_before = stock::at_rest(&self.inventory, shape.skus).await?;

        let plan = Plan::new(&shape, &customers);
        let steps = Steps(args.step_by_step);
        steps.before("placing orders", &progress).await?;
        progress.phase("placing orders", Some(args.orders.into()));
        let connections = args.concurrency.unwrap_or(if args.rate.is_some() { CONNECTIONS.1 } else { CONNECTIONS.0 });
        let loop_ =
            place::Loop { run, orders: args.orders, rate: args.rate, connections, give_up_after: args.deadline };
        let placed = place::all(loop_, plan, target, &progress).await;
        steps.before("checking orders", &progress).await?;

        let deadline = Instant::now() + args.deadline;
        progress.phase("waiting for final orders, customer by customer", Some(customers.len() as u64));
        let seen = settle::orders(&self.order, &customers, deadline, &progress).await?;
        progress.phase("waiting for stock to settle", None);
        let stock = stock::settled(&self.inventory, shape.skus, &stock_before, &seen, deadline).await?;
        let mails = match &self.email {
            None => None,
            Some(email) => {
                progress.phase("waiting for mails, customer by customer", Some(customers.len() as u64));
                Some(settle::mails(email, &customers, &seen, deadline, &progress).await?)
            }
        };
        progress.end();
        Ok(Report::new(args.rate, connections, placed, &seen, mails.as_deref(), &stock))
    }
}
