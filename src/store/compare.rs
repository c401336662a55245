//! Whether the projections say what the rows say: folded anew beside the file, and compared.

use rusqlite::{Connection, types::ValueRef};

use super::{TxError, ledger, projection, schema};

/// What stands in the projections, held against the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projections {
    AsTheRows,
    /// The tables that say something else.
    Differ(Vec<&'static str>),
    /// Why they could not be held against the rows.
    NotCompared(String),
}

impl std::fmt::Display for Projections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AsTheRows => f.write_str("the tables folded from the rows say the same as the rows"),
            Self::Differ(tables) => {
                write!(f, "the tables folded from the rows say something else than the rows: {}", tables.join(", "))
            }
            Self::NotCompared(why) => write!(f, "the tables folded from the rows were not held against them: {why}"),
        }
    }
}

/// Folds the rows of `conn` into tables in memory and compares. Nothing of the file is changed.
pub(super) fn compare(conn: &Connection) -> Result<Projections, TxError> {
    let beside = schema::in_memory()?;
    let version = schema::version_of(conn)?;
    if version != schema::version_of(&beside)? {
        return Ok(Projections::NotCompared(format!("the file is of schema version {version}")));
    }
    if let Err(error) = ledger::refill_from(conn, &beside) {
        return match error {
            TxError::Row(_) | TxError::Json(_) | TxError::Conflict(_) => {
                Ok(Projections::NotCompared(error.to_string()))
            }
            TxError::Sql(_) => Err(error),
        };
    }
    let mut differ = Vec::new();
    for table in projection::TABLES {
        if cells(conn, table)? != cells(&beside, table)? {
            differ.push(table);
        }
    }
    Ok(if differ.is_empty() { Projections::AsTheRows } else { Projections::Differ(differ) })
}

/// Every row of a table as text, in an order that does not depend on how they came in.
pub(super) fn cells(conn: &Connection, table: &str) -> Result<Vec<String>, TxError> {
    let mut statement = conn.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = |i| -> Result<String, TxError> {
            Ok(match row.get_ref(i)? {
                ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
                other => format!("{other:?}"),
            })
        };
        let cells: Vec<String> = (0..columns).map(cell).collect::<Result<_, _>>()?;
        out.push(cells.join(" | "));
    }
    out.sort_unstable();
    Ok(out)
}
