//! A condition in SQL, as far as it is one: comparisons of fields and values, and what joins them. There are no functions,
//! no subqueries and no tables, so that whatever is asked costs what reading its columns costs.
//!
//! ```text
//! process.name = 'sshd' AND source.port > 1024            = <> < <= > >=  AND OR NOT  + - * / %  ( )
//! process.executable LIKE '/tmp/%'                        LIKE ILIKE BETWEEN IN (…)  IS [NOT] NULL TRUE FALSE
//! process.command_line ~ 'https?://'                      ~ ~* !~ !~*: a regular expression
//! '-x' = ANY(process.args)                                a list has a text
//! wanglou.ledger.dropped.ring_full.exec > 0               keys of maps, as fields
//! ```

use datafusion_common::{Column as Named, ScalarValue};
use datafusion_expr::expr::{BinaryExpr, InList, Like};
use datafusion_expr::{Between, Expr, Operator};
use regex::RegexBuilder;
use sqlparser::ast::{self, BinaryOperator as Sql, UnaryOperator, Value};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::field::Column;
use crate::schema::schema;

/// Bytes of a condition.
const MAX_TEXT: usize = 4_096;
/// How deep it may be nested; of what `AND` or `OR` joins in a row, only the logarithm counts.
const MAX_DEPTH: usize = 40;
/// Bytes of a compiled regular expression. It is tried at each byte of a text, so this bounds how long one text takes.
const MAX_REGEX: usize = 256 << 10;

/// What is wrong with a condition, in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition is not understood: {0}")]
pub struct FilterError(pub(super) String);

/// A condition over flat columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    /// That it names.
    pub(super) columns: Vec<Column>,
    /// All of them have to hold.
    pub(super) all: Vec<Expr>,
}

impl Conditions {
    /// Adds one in SQL.
    pub(super) fn parse(&mut self, text: &str) -> Result<(), FilterError> {
        if text.len() > MAX_TEXT {
            return Err(FilterError(format!("it is longer than {MAX_TEXT} bytes")));
        }
        let dialect = GenericDialect {};
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
        let tokens = named(tokens.map_err(|error| FilterError(error.to_string()))?);
        let wrong = |error: sqlparser::parser::ParserError| {
            let text = error.to_string();
            FilterError(text.trim_start_matches("sql parser error: ").to_owned())
        };
        let mut parser = Parser::new(&dialect)
            .with_recursion_limit(MAX_DEPTH)
            .with_tokens_with_locations(tokens);
        let parsed = parser.parse_expr().map_err(wrong)?;
        let rest = parser.peek_token();
        if rest.token != Token::EOF {
            return Err(FilterError(format!("it ends before {rest}{}", rest.span.start)));
        }
        let expr = self.expr(&parsed, 0)?;
        self.all.push(expr);
        Ok(())
    }

    /// The column of a field that there is.
    pub(super) fn field(&mut self, path: &str) -> Result<Expr, FilterError> {
        let path = path.split('.').map(str::to_owned).collect();
        self.column(Column::value(path).map_err(FilterError)?)
    }

    fn column(&mut self, column: Column) -> Result<Expr, FilterError> {
        let name = column.field().name().clone();
        if !self.columns.contains(&column) {
            self.columns.push(column);
        }
        Ok(Expr::Column(Named::new_unqualified(name)))
    }

    fn expr(&mut self, sql: &ast::Expr, depth: usize) -> Result<Expr, FilterError> {
        if depth > MAX_DEPTH {
            return Err(FilterError(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        let mut inner = |sql: &ast::Expr| self.expr(sql, depth + 1).map(Box::new);
        Ok(match sql {
            ast::Expr::Nested(sql) => *inner(sql)?,
            ast::Expr::Value(value) => Expr::Literal(literal(&value.value)?, None),
            ast::Expr::Identifier(name) => {
                let name = vec![name.clone()];
                return self.named(&name);
            }
            ast::Expr::CompoundIdentifier(names) => return self.named(names),
            ast::Expr::UnaryOp { op: UnaryOperator::Not, expr } => Expr::Not(inner(expr)?),
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Expr::Negative(inner(expr)?),
            ast::Expr::IsNull(expr) => Expr::IsNull(inner(expr)?),
            ast::Expr::IsNotNull(expr) => Expr::IsNotNull(inner(expr)?),
            ast::Expr::IsTrue(expr) => Expr::IsTrue(inner(expr)?),
            ast::Expr::IsNotTrue(expr) => Expr::IsNotTrue(inner(expr)?),
            ast::Expr::IsFalse(expr) => Expr::IsFalse(inner(expr)?),
            ast::Expr::IsNotFalse(expr) => Expr::IsNotFalse(inner(expr)?),
            ast::Expr::Between { expr, negated, low, high } => {
                Expr::Between(Between::new(inner(expr)?, *negated, inner(low)?, inner(high)?))
            }
            ast::Expr::InList { expr, list, negated } => {
                let expr = inner(expr)?;
                let list =
                    list.iter().map(|it| inner(it).map(|it| *it)).collect::<Result<_, _>>()?;
                Expr::InList(InList::new(expr, list, *negated))
            }
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                Expr::Like(Like::new(*negated, inner(expr)?, inner(pattern)?, None, false))
            }
            ast::Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                Expr::Like(Like::new(*negated, inner(expr)?, inner(pattern)?, None, true))
            }
            ast::Expr::AnyOp { left, compare_op: Sql::Eq, right, .. } => {
                return self.has(left, right);
            }
            ast::Expr::BinaryOp { left, op: op @ (Sql::And | Sql::Or), right } => {
                return self.joined(left, op, right, depth);
            }
            ast::Expr::BinaryOp { left, op, right } => {
                let op = operator(op)?;
                if matches!(op, Operator::RegexMatch | Operator::RegexIMatch)
                    || matches!(op, Operator::RegexNotMatch | Operator::RegexNotIMatch)
                {
                    check_regex(right)?;
                }
                Expr::BinaryExpr(BinaryExpr::new(inner(left)?, op, inner(right)?))
            }
            other => {
                return Err(FilterError(format!("{} is not known here", brief(other))));
            }
        })
    }

    fn named(&mut self, names: &[ast::Ident]) -> Result<Expr, FilterError> {
        let at = names.first().map(|name| name.span.start.to_string()).unwrap_or_default();
        let path = names.iter().map(|name| name.value.clone()).collect();
        let column = Column::value(path).map_err(|error| FilterError(format!("{error}{at}")))?;
        self.column(column)
    }

    /// `'TEXT' = ANY(LIST)`.
    fn has(&mut self, left: &ast::Expr, right: &ast::Expr) -> Result<Expr, FilterError> {
        let names = match right {
            ast::Expr::Nested(inner) => names(inner),
            other => names(other),
        };
        match (left, names) {
            (ast::Expr::Value(value), Some(names))
                if let Value::SingleQuotedString(text) = &value.value =>
            {
                let path = names.iter().map(|name| name.value.clone()).collect();
                self.column(Column::has(path, text.clone()).map_err(FilterError)?)
            }
            _ => Err(FilterError("ANY is for 'TEXT' = ANY(LIST)".to_owned())),
        }
    }

    /// What stands in a row is joined in pairs, and pairs in pairs: a long row is not deep.
    fn joined(
        &mut self,
        left: &ast::Expr,
        op: &Sql,
        right: &ast::Expr,
        depth: usize,
    ) -> Result<Expr, FilterError> {
        let mut sides = vec![right];
        let mut rest = left;
        while let ast::Expr::BinaryOp { left, op: next, right } = rest
            && next == op
        {
            sides.push(right);
            rest = left;
        }
        sides.push(rest);
        let sides = sides.into_iter().rev().map(|side| self.expr(side, depth + 1));
        let sides = sides.collect::<Result<Vec<_>, _>>()?;
        let op = if *op == Sql::And { Operator::And } else { Operator::Or };
        Ok(balanced(sides, op).unwrap_or_else(|| Expr::Literal(ScalarValue::Boolean(None), None)))
    }
}

/// All of them joined, as flat as can be; nothing if there are none.
pub(super) fn balanced(mut sides: Vec<Expr>, op: Operator) -> Option<Expr> {
    while sides.len() > 1 {
        let mut pairs = Vec::with_capacity(sides.len().div_ceil(2));
        let mut left = sides.into_iter();
        while let Some(first) = left.next() {
            pairs.push(match left.next() {
                Some(second) => {
                    let (first, second) = (Box::new(first), Box::new(second));
                    Expr::BinaryExpr(BinaryExpr::new(first, op, second))
                }
                None => first,
            });
        }
        sides = pairs;
    }
    sides.pop()
}

/// Names of fields are words of SQL too: `user.id`, `group.id`, `process.end`. What begins with one of ours and has a dot
/// after it, and whatever comes after a dot, is a name.
fn named(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_dot = |token: Option<&TokenWithSpan>| token.is_some_and(|it| it.token == Token::Period);
    for at in 0..tokens.len() {
        let after = at.checked_sub(1).is_some_and(|before| is_dot(tokens.get(before)));
        let before = is_dot(tokens.get(at + 1));
        if let Token::Word(word) = &mut tokens[at].token
            && (after || before || word.value.starts_with('@'))
            && (after || schema().fields().find(&word.value).is_some())
        {
            word.keyword = Keyword::NoKeyword;
            word.quote_style = Some('"');
        }
    }
    tokens
}

fn names(sql: &ast::Expr) -> Option<Vec<ast::Ident>> {
    match sql {
        ast::Expr::Identifier(name) => Some(vec![name.clone()]),
        ast::Expr::CompoundIdentifier(names) => Some(names.clone()),
        _ => None,
    }
}

fn literal(value: &Value) -> Result<ScalarValue, FilterError> {
    Ok(match value {
        Value::SingleQuotedString(text) => ScalarValue::from(text.as_str()),
        Value::Boolean(value) => ScalarValue::from(*value),
        Value::Null => ScalarValue::Null,
        Value::Number(number, _) => {
            let number = number.to_string();
            let whole = number.parse::<i64>().map(ScalarValue::from);
            let whole = whole.or_else(|_| number.parse::<u64>().map(ScalarValue::from));
            let number = whole.or_else(|_| number.parse::<f64>().map(ScalarValue::from));
            number.map_err(|_| FilterError("a number is too long".to_owned()))?
        }
        other => return Err(FilterError(format!("{other} is no value here"))),
    })
}

fn operator(op: &Sql) -> Result<Operator, FilterError> {
    Ok(match op {
        Sql::Eq => Operator::Eq,
        Sql::NotEq => Operator::NotEq,
        Sql::Lt => Operator::Lt,
        Sql::LtEq => Operator::LtEq,
        Sql::Gt => Operator::Gt,
        Sql::GtEq => Operator::GtEq,
        Sql::Plus => Operator::Plus,
        Sql::Minus => Operator::Minus,
        Sql::Multiply => Operator::Multiply,
        Sql::Divide => Operator::Divide,
        Sql::Modulo => Operator::Modulo,
        Sql::PGRegexMatch => Operator::RegexMatch,
        Sql::PGRegexIMatch => Operator::RegexIMatch,
        Sql::PGRegexNotMatch => Operator::RegexNotMatch,
        Sql::PGRegexNotIMatch => Operator::RegexNotIMatch,
        other => return Err(FilterError(format!("{other} is not known here"))),
    })
}

/// One that grows when it is compiled would take for ever over a long text.
fn check_regex(sql: &ast::Expr) -> Result<(), FilterError> {
    let ast::Expr::Value(value) = sql else {
        return Err(FilterError("a regular expression has to be a text".to_owned()));
    };
    let Value::SingleQuotedString(text) = &value.value else {
        return Err(FilterError("a regular expression has to be a text".to_owned()));
    };
    let built = RegexBuilder::new(text).size_limit(MAX_REGEX).build();
    // What it says has several lines, and the last one says what is wrong.
    let last =
        |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
    built.map(drop).map_err(|error| FilterError(format!("the regular expression: {}", last(error))))
}

/// The beginning of what somebody has written.
fn brief(sql: &ast::Expr) -> String {
    let text: String = sql.to_string().chars().take(40).collect();
    format!("{text:?}")
}
