//! What the engine says of a query, in words that are of use to whoever wrote it.

use std::error::Error;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::QueryError;
use crate::excerpt::Excerpt;

pub(crate) fn syntax(error: &ParserError, sql: &str) -> QueryError {
    let message = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    };
    // The parser tells places in its text alone.
    let (text, place) = message.rsplit_once(" at Line: ").unwrap_or((&message, ""));
    let (line, column) = place.split_once(", Column: ").unwrap_or_default();
    let excerpt = match (line.parse(), column.parse()) {
        (Ok(line), Ok(column)) => Excerpt::at(sql, line, column),
        _ => Excerpt::of_end(sql),
    };
    let text = text.replace("found: EOF", "but it ends there");
    let text = text.replace("xpected: ", "xpected ").replace("found: ", "found ");
    QueryError::Syntax { message: lowered(&text), excerpt }
}

/// With a small letter at its beginning, unless it is a keyword: it goes on behind a colon.
fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn marked(diagnostic: Option<&Diagnostic>, sql: &str) -> Option<Excerpt> {
    let start = diagnostic?.span?.start;
    Excerpt::at(sql, usize::try_from(start.line).ok()?, usize::try_from(start.column).ok()?)
}

/// Without a suggestion that has little in common with the name but a few letters.
fn without_far_fetched(text: &str) -> &str {
    let Some((before, meant)) = text.split_once("\nDid you mean '") else { return text };
    let begin = |name: &str| name.chars().take(3).collect::<String>().to_lowercase();
    let name = before.split('\'').nth(1).unwrap_or_default();
    if begin(name) == begin(meant) { text } else { before.trim_end_matches('.') }
}

/// The message, unless it shows the insides of the engine.
fn in_words(text: &str) -> String {
    if text.contains("OuterReferenceColumn") {
        return "a subquery can use columns of the query around it in WHERE alone, and not beside LIMIT"
            .to_owned();
    }
    if text.contains("require unique expression names") {
        return "two columns have the same name; AS gives one of them another".to_owned();
    }
    if [
        "{ ",
        "Some(",
        "Expr",
        "Span(",
        "nternal error",
        "bug report",
        "not support logical expression",
        "OneOf(",
    ]
    .iter()
    .any(|inside| text.contains(inside))
    {
        return "this form is not supported".to_owned();
    }
    lowered(without_far_fetched(text))
}

pub(crate) fn meaning(error: &DataFusionError, sql: &str) -> QueryError {
    let root = error.find_root();
    let excerpt = marked(error.diagnostic(), sql);
    if let DataFusionError::SchemaError(schema, _) = root
        && let SchemaError::FieldNotFound { field, .. } = &**schema
    {
        let name = field.name().to_owned();
        let text = root.to_string();
        let meant = text.split("Did you mean '").nth(1).and_then(|rest| rest.split('\'').next());
        let meant = meant.map(|meant| meant.rsplit('.').next().unwrap_or(meant).trim_matches('"').to_owned());
        let in_quotes = sql.contains(&format!("\"{name}\""));
        let excerpt = excerpt.or_else(|| Excerpt::of_word(sql, &name));
        return QueryError::NoSuchColumn { name, meant, in_quotes, excerpt };
    }
    let text = match root {
        DataFusionError::Internal(_) => "this form is not supported".to_owned(),
        root => root.message().into_owned(),
    };
    if let Some(name) = text.strip_prefix("table '").and_then(|rest| rest.split('\'').next())
        && text.ends_with("not found")
    {
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        let excerpt = excerpt.or_else(|| Excerpt::of_word(sql, &name));
        return QueryError::NoSuchTable { name, excerpt };
    }
    QueryError::Meaning { message: in_words(&text), excerpt: excerpt.or_else(|| Excerpt::of_line(sql)) }
}

/// Of a plan that cannot be optimized or made one of execution. Columns were found before.
pub(crate) fn not_planned(error: &DataFusionError, sql: &str) -> QueryError {
    match meaning(error, sql) {
        QueryError::NoSuchColumn { .. } => QueryError::Meaning {
            message: "a subquery of this form cannot use columns of the query around it".to_owned(),
            excerpt: Excerpt::of_line(sql),
        },
        other => other,
    }
}

/// What a row made impossible is an error of the query; what a file did is one of the lake.
pub(crate) fn while_running(error: DataFusionError, sql: &str) -> QueryError {
    if let Some(text) = in_a_filter(&error) {
        return QueryError::Meaning { message: lowered(&text), excerpt: Excerpt::of_line(sql) };
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::Memory,
        // The pattern is shown by the error itself.
        DataFusionError::External(source) if source.to_string().starts_with("regex parse error") => {
            let message = "a regular expression cannot be understood".to_owned();
            QueryError::Meaning { message, excerpt: Excerpt::of_line(sql) }
        }
        DataFusionError::ArrowError(..)
        | DataFusionError::Execution(_)
        | DataFusionError::Internal(_)
        | DataFusionError::Plan(_)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::SchemaError(..) => meaning(&error, sql),
        _ => QueryError::Run(error),
    }
}

/// What a condition on a row made impossible that was looked at while a file was read. It comes as an error of the file,
/// with the error of the condition as it looks to a programmer.
fn in_a_filter(error: &DataFusionError) -> Option<String> {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(ArrowError::ComputeError(text)) = error.downcast_ref()
            && let Some(shown) = text.strip_prefix("Error evaluating filter predicate: ")
        {
            // `ArrowError(CastError("…"), Some(…))`; the last is where in the program.
            let shown = shown.split(", Some(").next().unwrap_or(shown);
            let quoted = shown.split_once("(\"").and_then(|(_, rest)| rest.split_once("\")"));
            return Some(match quoted {
                Some((text, _)) => text.replace("\\\"", "\""),
                None if shown.contains("DivideByZero") => "a number is divided by zero".to_owned(),
                None => "a condition cannot be computed for every row".to_owned(),
            });
        }
        source = error.source();
    }
    None
}
