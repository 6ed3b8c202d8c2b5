//! From SQL to rows.

use std::env;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::error::QueryError;
use crate::excerpt::Excerpt;
use crate::explained::{meaning, not_planned, syntax, while_running};
use crate::files::Files;
use crate::mended::mended;
use crate::refused::{check_plan, check_statement};
use crate::scan::Flows;
use crate::spills::Spills;

/// How often is looked whether the program was asked to end.
const LOOK: Duration = Duration::from_millis(50);

/// Memory for the recursion of the planner, of which what is not used costs nothing: enough for sums of some ten thousand terms.
const PLANNING_STACK_BYTES: usize = 1 << 30;
/// The same for what is computed of rows.
const STACK_BYTES: usize = 64 << 20;

/// A query that was planned.
pub struct Question {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    schema: SchemaRef,
    files: Arc<Files>,
    spills: Arc<Spills>,
    runtime: Runtime,
    sql: String,
}

/// What an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Rows that were given.
    pub rows: u64,
}

impl Flows {
    /// Plans a query over the table. Reads no rows.
    ///
    /// # Errors
    /// When it is no SQL, asks nothing, or means nothing for these columns.
    pub fn ask(self, sql: &str) -> Result<Question, QueryError> {
        // Expressions are looked through by recursion, and a long sum is a deep expression.
        let planned = thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(PLANNING_STACK_BYTES);
            Ok(thread.spawn_scoped(scope, || self.planned(sql))?.join())
        });
        planned.and_then(|joined| joined.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn planned(self, sql: &str) -> Result<Question, QueryError> {
        let statement = understood(sql)?;
        check_statement(&statement, sql)?;
        let Self { context, files, spills, limits } = self;
        let runtime = Builder::new_multi_thread()
            .worker_threads(limits.jobs)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        let planned = runtime.block_on(async {
            let plan = context.state().statement_to_plan(statement).await?;
            Ok((mended(plan.clone())?, plan))
        });
        let (mended, asked) = planned.map_err(|error: DataFusionError| meaning(&error, sql))?;
        check_plan(&asked, sql)?;
        let optimized = runtime.block_on(async {
            let answer = context.execute_logical_plan(mended).await?;
            let task = Arc::new(answer.task_ctx());
            Ok((answer.create_physical_plan().await?, task))
        });
        let (plan, task) = optimized.map_err(|error: DataFusionError| not_planned(&error, sql))?;
        let schema = plan.schema();
        if schema.fields().is_empty() {
            let message = "it selects no columns".to_owned();
            return Err(QueryError::Meaning { message, excerpt: Excerpt::of_line(sql) });
        }
        Ok(Question { plan, task, schema, files, spills, runtime, sql: sql.to_owned() })
    }
}

impl Question {
    /// Names and types of the columns of the answer.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Runs the query and gives its rows to `each` as they come. `each` says whether it wants more.
    ///
    /// # Errors
    /// When data cannot be read, a row cannot be computed, the program was asked to end, or `each` fails.
    pub fn answer(
        self,
        interrupted: &AtomicBool,
        each: &mut dyn FnMut(RecordBatch) -> Result<bool, QueryError>,
    ) -> Result<Answered, QueryError> {
        let Self { plan, task, files, spills, runtime, sql, .. } = self;
        let failed = |error: DataFusionError| match (files.take_error(), spills.take_error()) {
            (Some(error), _) => error.into(),
            (None, Some(error)) => QueryError::Temporary { directory: env::temp_dir(), error },
            (None, None) => while_running(error, &sql),
        };
        let begun = runtime.block_on(async { execute_stream(plan, task) });
        let mut batches = begun.map_err(failed)?;
        let (send, receive) = sync_channel(1);
        let reading = runtime.spawn(async move {
            while let Some(batch) = batches.next().await {
                // Whoever waits here keeps no other work of this thread from being done.
                if tokio::task::block_in_place(|| send.send(batch)).is_err() {
                    return;
                }
            }
        });
        // Not a timer of the runtime: its threads may be busy for long.
        let mut answered = Answered { rows: 0 };
        let outcome = loop {
            match receive.recv_timeout(LOOK) {
                Ok(Ok(batch)) => {
                    answered.rows += batch.num_rows() as u64;
                    match each(batch) {
                        Ok(true) => {}
                        Ok(false) => break Ok(answered),
                        Err(error) => break Err(error),
                    }
                }
                Ok(Err(error)) => break Err(failed(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => match runtime.block_on(reading) {
                    Ok(()) => break Ok(answered),
                    // It ended because of a defect, and not because that was all.
                    Err(ended) => resume_unwind(ended.into_panic()),
                },
            }
            if interrupted.load(Ordering::Relaxed) {
                break Err(QueryError::Interrupted);
            }
        };
        // What still reads need not be waited for.
        runtime.shutdown_background();
        outcome
    }
}

/// The statement, if it is one that asks.
fn understood(sql: &str) -> Result<Statement, QueryError> {
    let parsed = DFParserBuilder::new(sql).with_dialect(&GenericDialect {}).build();
    let mut statements =
        parsed.and_then(|mut parser| parser.parse_statements()).map_err(|error| match error.find_root() {
            DataFusionError::SQL(error, _) => syntax(error, sql),
            _ => meaning(&error, sql),
        })?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) if asks(&statement) => Ok(statement),
        (Some(statement), 0) => {
            let text = statement.to_string();
            let words: Vec<&str> = text.split_whitespace().take(3).collect();
            Err(QueryError::NotAQuestion { statement: words.join(" ") })
        }
        (first, others) => Err(QueryError::Statements { count: usize::from(first.is_some()) + others }),
    }
}

fn asks(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explained) => asks(&explained.statement),
        Statement::Statement(statement) => matches!(
            &**statement,
            SqlStatement::Query(_)
                | SqlStatement::ExplainTable { .. }
                | SqlStatement::ShowTables { .. }
                | SqlStatement::ShowColumns { .. }
        ),
        _ => false,
    }
}
