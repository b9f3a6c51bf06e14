//! The tables of read models, whichever they are: copies of them to build on, the swap, the comparison.
//!
//! The names of tables come from the code, never from a caller.

use sqlx::{AssertSqlSafe, PgConnection};

/// Makes an empty table of the session's own, of the same name and shape. From then on the session means that one by the
/// name; everybody else, the real one. Plans of statements that the session prepared before are discarded: that a new table
/// hides another one in the search path is nothing that PostgreSQL makes them anew for, so they would go on with the real one.
///
/// # Errors
/// When the database refuses.
pub async fn shadow(conn: &mut PgConnection, table: &str) -> sqlx::Result<()> {
    drop_shadow(conn, table).await?;
    let create = format!("create temporary table {table} (like {table} including all)");
    sqlx::query(AssertSqlSafe(create)).execute(&mut *conn).await?;
    sqlx::query("discard plans").execute(conn).await?;
    Ok(())
}

/// Drops the session's own table, if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn drop_shadow(conn: &mut PgConnection, table: &str) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(format!("drop table if exists pg_temp.{table}"))).execute(conn).await?;
    Ok(())
}

/// For the rest of the transaction the session means the real tables again.
///
/// # Errors
/// When the database refuses.
pub async fn mean_the_real_ones(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select set_config('search_path', current_schema() || ', pg_temp', true)").execute(conn).await?;
    Ok(())
}

/// Puts the rows of the session's own table in the place of the real one's.
///
/// # Errors
/// When the database refuses.
pub async fn replace(conn: &mut PgConnection, table: &str) -> sqlx::Result<()> {
    mean_the_real_ones(conn).await?;
    sqlx::query(AssertSqlSafe(format!("delete from {table}"))).execute(&mut *conn).await?;
    let fill = format!("insert into {table} select * from pg_temp.{table}");
    sqlx::query(AssertSqlSafe(fill)).execute(conn).await?;
    Ok(())
}

/// The rows in which the real table and the session's own differ: how many, and the first of them as JSON.
///
/// # Errors
/// When the database refuses.
pub async fn differences(conn: &mut PgConnection, table: &str) -> sqlx::Result<(i64, Vec<String>)> {
    mean_the_real_ones(conn).await?;
    let differing = format!(
        "with differing as (
             select 'kept' as side, kept.* from (table {table} except all table pg_temp.{table}) as kept
             union all
             select 'replayed', replayed.* from (table pg_temp.{table} except all table {table}) as replayed
         )
         select (select count(*) from differing), array(select to_jsonb(d)::text from differing d order by 1 limit 10)"
    );
    sqlx::query_as(AssertSqlSafe(differing)).fetch_one(conn).await
}
