//! SQL that the engine would take without a word, and answer wrongly: it is refused instead.

mod plan;
mod syntax;

use datafusion::sql::sqlparser::tokenizer::Span;

pub(crate) use self::plan::check_plan;
pub(crate) use self::syntax::check_statement;
use crate::error::QueryError;
use crate::excerpt::Excerpt;

/// What has no answer, and what to write instead.
#[derive(Debug)]
struct Refused {
    what: &'static str,
    instead: &'static str,
    at: Option<Span>,
}

impl Refused {
    fn new(what: &'static str, instead: &'static str) -> Self {
        Self { what, instead, at: None }
    }

    fn at(self, span: Span) -> Self {
        Self { at: Some(span), ..self }
    }

    fn error(self, sql: &str) -> QueryError {
        let place = |span: Span| {
            let start = span.start;
            Excerpt::at(sql, usize::try_from(start.line).ok()?, usize::try_from(start.column).ok()?)
        };
        let excerpt = self.at.and_then(place).or_else(|| Excerpt::of_line(sql));
        QueryError::NotAnswered { what: self.what, instead: self.instead, excerpt }
    }
}
