//! The read model of what was sold on each day.

use chrono::NaiveDate;
use sqlx::PgConnection;

/// What happened on one day in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The day, UTC.
    pub day: NaiveDate,
    /// The currency.
    pub currency: String,
    /// Orders placed.
    pub created: i64,
    /// Orders confirmed.
    pub confirmed: i64,
    /// Orders cancelled.
    pub cancelled: i64,
    /// Of those cancelled, how many had been confirmed, on whatever day.
    pub undone: i64,
    /// The sum of those confirmed, in minor units.
    pub revenue: i64,
}

/// The days from `from` to `to`, both inclusive, oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn between(conn: &mut PgConnection, from: NaiveDate, to: NaiveDate) -> sqlx::Result<Vec<Sale>> {
    sqlx::query_as!(
        Sale,
        "select day, currency, created, confirmed, cancelled, undone, revenue from daily_sale
         where day between $1 and $2 order by day, currency",
        from,
        to,
    )
    .fetch_all(conn)
    .await
}

/// Adds to days. Sums stop at what 64 bits hold.
///
/// # Errors
/// When the database refuses.
pub async fn add(conn: &mut PgConnection, sales: &[Sale]) -> sqlx::Result<()> {
    let days: Vec<NaiveDate> = sales.iter().map(|sale| sale.day).collect();
    let currencies: Vec<String> = sales.iter().map(|sale| sale.currency.clone()).collect();
    let created: Vec<i64> = sales.iter().map(|sale| sale.created).collect();
    let confirmed: Vec<i64> = sales.iter().map(|sale| sale.confirmed).collect();
    let cancelled: Vec<i64> = sales.iter().map(|sale| sale.cancelled).collect();
    let undone: Vec<i64> = sales.iter().map(|sale| sale.undone).collect();
    let revenue: Vec<i64> = sales.iter().map(|sale| sale.revenue).collect();
    sqlx::query!(
        "insert into daily_sale as d (day, currency, created, confirmed, cancelled, undone, revenue)
         select day, currency, sum(created)::bigint, sum(confirmed)::bigint, sum(cancelled)::bigint, sum(undone)::bigint,
                least(sum(revenue), 9223372036854775807)::bigint
         from unnest($1::date[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
              as s (day, currency, created, confirmed, cancelled, undone, revenue)
         group by 1, 2 order by 1, 2
         on conflict (day, currency) do update
         set created = d.created + excluded.created, confirmed = d.confirmed + excluded.confirmed,
             cancelled = d.cancelled + excluded.cancelled, undone = d.undone + excluded.undone,
             revenue = least(d.revenue::numeric + excluded.revenue, 9223372036854775807)::bigint",
        &days,
        &currencies,
        &created,
        &confirmed,
        &cancelled,
        &undone,
        &revenue,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many orders are confirmed and how many are cancelled by now, as far as the log has been read.
///
/// # Errors
/// When the database refuses.
pub async fn ended(conn: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"select coalesce(sum(confirmed - undone), 0)::bigint as "confirmed!",
                  coalesce(sum(cancelled), 0)::bigint as "cancelled!"
           from daily_sale"#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.confirmed, row.cancelled))
}
