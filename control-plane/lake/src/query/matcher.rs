//! Which events a question is about: its condition, ready to be evaluated.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use datafusion_common::{DFSchema, DataFusionError, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use wanglou_api::event::v1;

use super::field::Column;
use super::filter::{Conditions, FilterError, balanced};
use crate::schema;

/// A condition over flat columns, with types that fit.
#[derive(Debug)]
pub struct Matcher {
    columns: Vec<Column>,
    flat: SchemaRef,
    expr: Arc<dyn PhysicalExpr>,
}

impl Matcher {
    pub(super) fn new(conditions: Conditions) -> Result<Self, FilterError> {
        let Conditions { columns, all } = conditions;
        let flat = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        let expr = balanced(all, Operator::And);
        let expr = expr.unwrap_or_else(|| Expr::Literal(ScalarValue::from(true), None));
        let expr = planned(expr, &flat).map_err(|error| FilterError(brief(&error)))?;
        let matcher = Self { columns, flat, expr };
        // What is wrong whatever the events are is told at once: a word where a number should be, a division by zero.
        let nothing = schema::batch([&v1::Event::default()]);
        let tried = nothing.and_then(|batch| matcher.of(&batch));
        tried.map_err(|error| FilterError(reason(&error)))?;
        Ok(matcher)
    }

    /// Which of some events it is about.
    ///
    /// Fails if a condition cannot be evaluated, as it divides by what is zero in one of them.
    pub fn select(&self, events: &[v1::Event]) -> Result<Vec<bool>, FilterError> {
        let selected = schema::batch(events).and_then(|batch| self.of(&batch));
        let selected = selected.map_err(|error| FilterError(reason(&error)))?;
        Ok(selected.iter().map(|it| it == Some(true)).collect())
    }

    /// Fields of the schema that it needs.
    pub(super) fn sources(&self) -> impl Iterator<Item = &[String]> {
        self.columns.iter().map(Column::source)
    }

    /// Which rows of a batch it is about: null where that is not known, as in SQL.
    pub(super) fn of(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let columns = self.columns.iter().map(|column| column.of(batch));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        // A condition without a column has as many rows all the same.
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let flat = RecordBatch::try_new_with_options(self.flat.clone(), columns, &rows)?;
        let value = self.expr.evaluate(&flat).map_err(ArrowError::from)?;
        let array = value.into_array(batch.num_rows()).map_err(ArrowError::from)?;
        let selected = array.as_boolean_opt().cloned();
        selected.ok_or_else(|| ArrowError::ComputeError(not_a_condition(array.data_type())))
    }
}

fn planned(expr: Expr, flat: &Schema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let flat = DFSchema::try_from(flat.clone())?;
    let context = SimplifyContext::builder().with_schema(Arc::new(flat.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.coerce(expr, &flat)?;
    // Values of other types than their columns are made so once, and not for each batch.
    let expr = simplifier.simplify(expr)?;
    let planning = PhysicalPlanningContext::default();
    create_physical_expr(&expr, &flat, &ExecutionProps::new(), &planning)
}

fn not_a_condition(data_type: &arrow_schema::DataType) -> String {
    format!("it is no condition: it is of type {data_type}")
}

/// What is wrong, by whoever evaluates.
pub(super) fn reason(error: &ArrowError) -> String {
    match error {
        ArrowError::ExternalError(error) => match error.downcast_ref() {
            Some(error) => brief(error),
            None => line(&error.to_string()),
        },
        error => line(&error.to_string()),
    }
}

/// The innermost reason.
fn brief(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => line(&error.to_string()),
        root => line(&root.message()),
    }
}

/// The first line, without whose it is.
fn line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.split_once(" error: ").map_or(line, |(_, reason)| reason).to_owned()
}
