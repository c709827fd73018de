//! Commits transitions: the only place that changes state in DynamoDB on behalf of a handler.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use backon::{ExponentialBuilder, Retryable};

use crate::ambient::Ambient;
use crate::event::{Cause, Contract, Emission};
use crate::outbox::OutboxRow;
use crate::row::{Item, Key, Row, Table, from_item, to_item};
use crate::transition::{MAX_ACTIONS, Outcome, Transition, Untyped, Written};
use crate::write::{Action, ConditionalWrite, Expressions};
use crate::{Failure, telemetry};

/// Commits transitions and single conditional writes.
#[derive(Clone)]
pub struct Spine {
    dynamodb: Client,
    outbox: Table<OutboxRow>,
    ambient: Ambient,
}

impl Spine {
    /// A spine that announces through this outbox.
    #[must_use]
    pub fn new(dynamodb: Client, outbox: Table<OutboxRow>, ambient: Ambient) -> Self {
        Self { dynamodb, outbox, ambient }
    }

    /// The time and new identifiers.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// An event with a new id, to be added to a transition.
    ///
    /// # Errors
    /// [`Failure`] (permanent) where the payload cannot be written as JSON.
    pub fn event<T: Contract>(&self, cause: &Cause, data: &T) -> Result<Emission, Failure> {
        Emission::new(cause, data, &self.ambient)
    }

    /// Commits a transition whose guard holds unless it took effect before: a refusal counts as a duplicate. Else as
    /// [`try_commit`](Self::try_commit) does.
    ///
    /// # Errors
    /// As [`try_commit`](Self::try_commit).
    pub async fn commit<G: Row, R: Clone>(
        &self,
        transition: Transition<G, R>,
    ) -> Result<Outcome<G, R>, Failure> {
        let outcome = self.try_commit(transition).await?;
        if matches!(outcome, Outcome::Duplicate(_)) {
            telemetry::duplicate();
        }
        Ok(outcome)
    }

    /// Commits a transition whose guard may refuse for another reason than that it took effect before: it was guessed, or the
    /// row moves under many hands. Whoever asks judges the refusal by the row.
    ///
    /// One `TransactWriteItems`. Conflicts and throttling are retried with jitter, for about
    /// a second; the SDK repeats a request whose reply was lost under the same client token, so a lost reply
    /// reads as what it was.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide; permanent where the transition can never be sent.
    pub async fn try_commit<G: Row, R: Clone>(
        &self,
        transition: Transition<G, R>,
    ) -> Result<Outcome<G, R>, Failure> {
        let Transition { guard, requirements, writes, emissions } = transition;
        let (required, rejections): (Vec<_>, Vec<_>) = requirements.into_iter().unzip();
        let writes = std::iter::once(guard.into()).chain(required).chain(writes);
        let items = self.items(writes.collect(), &emissions)?;
        match transact(&self.dynamodb, &items, &rejections).await? {
            Verdict::Applied => Ok(Outcome::Applied),
            Verdict::Guard(item) => Ok(Outcome::Duplicate(item.map(from_item).transpose()?)),
            Verdict::Rejected(first, others) => Ok(Outcome::Rejected(first, others)),
        }
    }

    /// Writes one row conditionally: a transition of one row and no event.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB could not decide; permanent where the write can never be sent.
    pub async fn write<G: Row>(&self, write: ConditionalWrite<G>) -> Result<Written<G>, Failure> {
        write_row(&self.dynamodb, write).await
    }

    /// Reads one row, strongly consistent.
    ///
    /// # Errors
    /// [`Failure`]: transient where DynamoDB did not answer; permanent where the row is unreadable.
    pub async fn read<R: Row>(&self, table: &Table<R>, key: Key<R>) -> Result<Option<R>, Failure> {
        read_row(&self.dynamodb, table, key, Reading::Consistent).await
    }

    fn items(
        &self,
        mut writes: Vec<Untyped>,
        emissions: &[Emission],
    ) -> Result<Vec<TransactWriteItem>, Failure> {
        for emission in emissions {
            let row = to_item(&OutboxRow::of(emission, self.ambient.now()))?;
            writes.push(Untyped {
                table: self.outbox.name().to_owned(),
                action: Action::Put(row),
                condition: None,
            });
        }
        if writes.len() > MAX_ACTIONS {
            return Err(Failure::permanent(format!(
                "a transition of {} actions exceeds {MAX_ACTIONS}",
                writes.len()
            )));
        }
        writes.into_iter().map(transact_item).collect()
    }
}

/// Sends a transaction until it is decided, or contention has lasted too long.
async fn transact<R: Clone>(
    dynamodb: &Client,
    items: &[TransactWriteItem],
    rejections: &[R],
) -> Result<Verdict<R>, Failure> {
    let attempt = || attempt(dynamodb, items, rejections);
    let verdict = attempt.retry(contention()).when(|stop: &Stop| stop.again).await;
    verdict.map_err(|stop| stop.failure)
}

async fn attempt<R: Clone>(
    dynamodb: &Client,
    items: &[TransactWriteItem],
    rejections: &[R],
) -> Result<Verdict<R>, Stop> {
    let sent = dynamodb.transact_write_items().set_transact_items(Some(items.to_vec())).send().await;
    let error = match sent {
        Ok(_) => return Ok(Verdict::Applied),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            read_reasons(cancelled.cancellation_reasons(), rejections)
        }
        Some(refused) => {
            let code = refused.code().map(ToOwned::to_owned);
            Err(Stop::finally(code.as_deref(), "the transaction was not accepted", error))
        }
        None => Err(Stop::finally(None, "the transaction's outcome is unknown", error)),
    }
}

/// Writes rows all together, each under its condition, or none of them, and tells which it was. With any client.
pub(crate) async fn write_rows<R: Row>(
    dynamodb: &Client,
    writes: Vec<ConditionalWrite<R>>,
) -> Result<bool, Failure> {
    let rejections = vec![(); writes.len().saturating_sub(1)];
    let items: Vec<_> =
        writes.into_iter().map(|write| transact_item(write.into())).collect::<Result<_, _>>()?;
    Ok(matches!(transact(dynamodb, &items, &rejections).await?, Verdict::Applied))
}

/// Writes one row conditionally, with any client.
pub(crate) async fn write_row<G: Row>(
    dynamodb: &Client,
    write: ConditionalWrite<G>,
) -> Result<Written<G>, Failure> {
    let Untyped { table, action, condition } = write.into();
    let mut expressions = Expressions::default();
    let condition = condition.map(|condition| expressions.condition(&condition));
    let old = match action {
        Action::Put(item) => {
            let sent = dynamodb
                .put_item()
                .table_name(table)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_names(expressions.names())
                .set_expression_attribute_values(expressions.values())
                .return_values(ReturnValue::AllOld)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            sent.map(|done| done.attributes).map_err(|error| match error {
                SdkError::ServiceError(refused) => match refused.into_err() {
                    PutItemError::ConditionalCheckFailedException(refused) => Ok(refused.item),
                    other => {
                        Err(unsent(other.code().map(ToOwned::to_owned).as_deref(), "put was refused", other))
                    }
                },
                other => Err(unsent(None, "the put's outcome is unknown", other)),
            })
        }
        Action::Update { key, changes } => {
            let update = expressions.update(&changes);
            let key_alone = key.len();
            let sent = dynamodb
                .update_item()
                .table_name(table)
                .set_key(Some(key))
                .update_expression(update)
                .set_condition_expression(condition)
                .set_expression_attribute_names(expressions.names())
                .set_expression_attribute_values(expressions.values())
                .return_values(ReturnValue::AllOld)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            // DynamoDB answers with nothing where there was no item, other implementations with its key.
            sent.map(|done| done.attributes.filter(|old| old.len() > key_alone)).map_err(
                |error| match error {
                    SdkError::ServiceError(refused) => match refused.into_err() {
                        UpdateItemError::ConditionalCheckFailedException(refused) => Ok(refused.item),
                        other => Err(unsent(
                            other.code().map(ToOwned::to_owned).as_deref(),
                            "update was refused",
                            other,
                        )),
                    },
                    other => Err(unsent(None, "the update's outcome is unknown", other)),
                },
            )
        }
    };
    match old {
        Ok(before) => {
            Ok(Written::Applied(before.filter(|item| !item.is_empty()).map(from_item).transpose()?))
        }
        Err(Ok(row)) => Ok(Written::Refused(row.filter(|item| !item.is_empty()).map(from_item).transpose()?)),
        Err(Err(failure)) => Err(failure),
    }
}

/// How fresh a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Consistent,
    Eventual,
}

/// Reads one row, with any client.
pub(crate) async fn read_row<R: Row>(
    dynamodb: &Client,
    table: &Table<R>,
    key: Key<R>,
    reading: Reading,
) -> Result<Option<R>, Failure> {
    let sent = dynamodb
        .get_item()
        .table_name(table.name())
        .set_key(Some(key.attributes))
        .consistent_read(reading == Reading::Consistent)
        .send()
        .await;
    let found =
        sent.map_err(|error| Failure::transient(format!("{} could not be read", R::NAME)).because(error))?;
    found.item.map(from_item).transpose()
}

enum Verdict<R> {
    Applied,
    Guard(Option<Item>),
    Rejected(R, Vec<R>),
}

struct Stop {
    again: bool,
    failure: Failure,
}

impl Stop {
    fn finally(
        code: Option<&str>,
        what: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { again: false, failure: unsent(code, what, error) }
    }
}

/// A request that DynamoDB finds malformed or too large stays so; everything else may pass.
fn unsent(code: Option<&str>, what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let permanent = matches!(code, Some("ValidationException" | "ItemCollectionSizeLimitExceededException"));
    if permanent { Failure::permanent(what).because(error) } else { Failure::transient(what).because(error) }
}

/// Reads the reasons by position: guard first, then the requirements, then writes without a condition of their own.
///
/// A refused guard decides even beside a conflict. A refused requirement decides only where nothing was in
/// conflict: a conflict means that the guard was not looked at.
fn read_reasons<R: Clone>(reasons: &[CancellationReason], rejections: &[R]) -> Result<Verdict<R>, Stop> {
    let refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    if let Some(guard) = reasons.first().filter(|reason| refused(reason)) {
        return Ok(Verdict::Guard(guard.item.clone().filter(|item| !item.is_empty())));
    }
    let undecided = |reason: &CancellationReason| {
        matches!(
            reason.code(),
            Some(
                "TransactionConflict"
                    | "ThrottlingError"
                    | "ProvisionedThroughputExceeded"
                    | "InternalServerError"
            )
        )
    };
    if let Some(reason) = reasons.iter().find(|reason| undecided(reason)) {
        let failure =
            Failure::transient(format!("the transaction met {}", reason.code().unwrap_or("a conflict")));
        return Err(Stop { again: true, failure });
    }
    let mut rejected = rejections
        .iter()
        .zip(reasons.iter().skip(1))
        .filter(|(_, reason)| refused(reason))
        .map(|(rejection, _)| rejection.clone());
    if let Some(first) = rejected.next() {
        return Ok(Verdict::Rejected(first, rejected.collect()));
    }
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap_or("?")).collect();
    let failure = Failure::permanent(format!("the transaction can never be accepted ({})", codes.join(", ")));
    Err(Stop { again: false, failure })
}

fn contention() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_millis(400))
        .with_max_times(6)
}

fn transact_item(write: Untyped) -> Result<TransactWriteItem, Failure> {
    let mut expressions = Expressions::default();
    let condition = write.condition.as_ref().map(|condition| expressions.condition(condition));
    let all_old = write.condition.is_some().then_some(ReturnValuesOnConditionCheckFailure::AllOld);
    let malformed = |error| Failure::permanent("a transition holds a malformed write").because(error);
    let item = TransactWriteItem::builder();
    Ok(match write.action {
        Action::Put(row) => item.put(
            Put::builder()
                .table_name(write.table)
                .set_item(Some(row))
                .set_condition_expression(condition)
                .set_expression_attribute_names(expressions.names())
                .set_expression_attribute_values(expressions.values())
                .set_return_values_on_condition_check_failure(all_old)
                .build()
                .map_err(malformed)?,
        ),
        Action::Update { key, changes } => {
            let update = expressions.update(&changes);
            item.update(
                Update::builder()
                    .table_name(write.table)
                    .set_key(Some(key))
                    .update_expression(update)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(expressions.names())
                    .set_expression_attribute_values(expressions.values())
                    .set_return_values_on_condition_check_failure(all_old)
                    .build()
                    .map_err(malformed)?,
            )
        }
    }
    .build())
}
