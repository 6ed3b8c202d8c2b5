//! Questions to a lake in SQL, and the code that asks them in other engines.
//!
//! [`Flows`] is the table `flows`: a lazy scan of exactly the data files that the manifest lists, with the columns and types
//! that it states. [`Flows::ask`] plans a query over it with DataFusion, and [`Question::answer`] runs it and gives the rows piece
//! by piece, so that an answer may be larger than the memory. [`cells`] and [`rows`] spell answers; [`view`] prints code for DuckDB, Spark, ClickHouse and Polars that makes the same table there.
//!
//! Everything here only reads. Paths and names come from the manifest; nothing is listed.

#![forbid(unsafe_code)]

pub mod cells;
mod error;
mod excerpt;
mod explained;
mod files;
mod mended;
mod optimized;
mod question;
mod refused;
pub mod rows;
mod scan;
mod spills;
pub mod view;

pub use datafusion::arrow::array::RecordBatch;
pub use datafusion::arrow::datatypes::SchemaRef;
pub use error::QueryError;
pub use question::{Answered, Question};
pub use scan::{Flows, Limits, TABLE};
