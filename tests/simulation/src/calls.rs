//! Answers requests: does what the service would do, and what may go wrong on the way.

use std::rc::Rc;
use std::time::Duration;

use eda::testing::wire::{denied, error};
use localcloud::gateway::{Do, Fault, On, Step};
use serde_json::{Value, json};
use simulation_cli::{Kind, Planted};
use tokio::time::Instant;

use crate::connector::{Request, Sent};
use crate::fifo::Place;
use crate::letters::FAILURES;
use crate::planted::{self, Rewritten};
use crate::queue::{Attributes, arn, later};
use crate::world::{Call, Waiting, World};

/// Where tasks that look at everything in turn note how far they are.
const PROJECTIONS: &str = "ProjectionsTable";

/// The circuit breakers' table.
const CIRCUITS: &str = "CircuitsTable";

/// A scan looks at so many times as many items per page as a query, so that it does not take hundreds of pages.
const SCANNED: u64 = 10;

/// How long the gateway is out of order: nothing may come of it but delay.
const SHORTEST_OUTAGE: Duration = Duration::from_secs(60);
const LONGEST_OUTAGE: Duration = Duration::from_secs(4 * 60 * 60);

impl World {
    /// Takes a request that was just sent.
    pub(crate) fn park(&mut self, sent: Sent) {
        if self.options.planted == Some(Planted::DeletesFirst)
            && let Request::Aws(_, body) = &sent.request
            && sent.name == "events:PutEvents"
        {
            let entries = body.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
            self.delete_rows_of(&entries);
        }
        if self.options.planted == Some(Planted::BusFirst)
            && let Request::Aws(_, body) = &sent.request
            && sent.name == "sqs:SendMessageBatch"
        {
            let entries = body.get("Entries").and_then(Value::as_array).cloned().unwrap_or_default();
            self.put_on_the_bus(&entries);
        }
        let id = self.next_id();
        let function = self.invocations.get(&sent.invocation).map(|found| found.function);
        self.calls.insert(id, Call { sent, function, not_before: Instant::now(), slow: false });
    }

    /// Decides about a request: it arrives or not, it takes effect or not, its answer arrives or not.
    pub(crate) fn decide(&mut self, id: u64) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let invocation = call.sent.invocation;
        if call.sent.abandoned() {
            // Its caller has given up or died. The request may be on its way all the same.
            if self.options.most_faults > 0 && self.rng.bool() {
                self.say(|| format!("        {} of nobody arrives late", call.sent.name));
                self.take_effect(call.sent, call.function);
            }
            return;
        }
        if !call.slow && self.strikes(Kind::SlowCall, invocation) {
            call.not_before = later(Instant::now(), self.faults.rng(), Duration::from_secs(40));
            call.slow = true;
            self.calls.insert(id, call);
            return;
        }
        let point = self.options.kill.filter(|point| point.call == self.decided);
        self.decided += 1;
        if point.is_some_and(|point| !point.after) || self.strikes(Kind::KillBefore, invocation) {
            self.say(|| format!("        ✗ dies before {}", call.sent.name));
            self.die(invocation);
            return;
        }
        if self.strikes(Kind::LostRequest, invocation) {
            self.say(|| format!("        ✗ {} never arrives", call.sent.name));
            call.sent.break_off();
            return;
        }
        if let Some((status, body)) = self.refusal(&call.sent) {
            self.say(|| format!("        ✗ {} → {}", call.sent.name, kind_of(&body)));
            call.sent.answer(status, body, false);
            return;
        }
        let dies = point.is_some() || self.strikes(Kind::KillAfter, invocation);
        let label = if self.trace.is_on() { self.label_of(invocation) } else { String::new() };
        let name = call.sent.name.clone();
        let answered = self.take_effect(call.sent, call.function);
        if dies {
            self.say(|| format!("        ✗ {label} dies after {name}"));
            self.die(invocation);
            return;
        }
        let Some((sent, status, body, replayed)) = answered else { return };
        if self.strikes(Kind::LostReply, invocation) {
            self.say(|| format!("        ✗ the reply to {name} is lost"));
            sent.break_off();
        } else {
            sent.answer(status, body, replayed);
        }
    }

    /// What a request does. Gives the answer, unless it comes later or never.
    fn take_effect(&mut self, mut sent: Sent, function: Option<usize>) -> Option<(Sent, u16, String, bool)> {
        match std::mem::replace(&mut sent.request, Request::Aws(String::new(), Value::Null)) {
            Request::Aws(operation, body) => {
                self.aws_calls += 1;
                let name = sent.name.clone();
                if name == "lambda:InvokeFunction" {
                    self.ask(sent, &body);
                    return None;
                }
                let (status, answer) = self.serve(function, &name, &operation, body, sent.invocation);
                let summary = self.trace.is_on().then(|| summary(status, &answer));
                self.say(|| {
                    format!(
                        "    {name}{}",
                        summary.map(|summary| format!(" → {summary}")).unwrap_or_default()
                    )
                });
                Some((sent, status, answer, false))
            }
            Request::Gateway(request) => {
                self.strike_gateway(sent.invocation);
                let step = self.gateway.receive(&request, self.clock.now());
                self.gateway.clear_faults();
                if request.path.ends_with("/confirm") {
                    self.watch_charges();
                }
                match step {
                    Step::Answer(answer) => {
                        self.say(|| format!("    {} → {}", sent.name, answer.status));
                        Some((sent, answer.status, answer.body, answer.replayed))
                    }
                    Step::Drop => {
                        self.say(|| format!("    {} → nothing", sent.name));
                        sent.break_off();
                        None
                    }
                    Step::Wait(pause, ticket) => {
                        self.waiting.push(Waiting { at: Instant::now() + pause, ticket, sent });
                        None
                    }
                }
            }
        }
    }

    /// A gateway request whose wait is over.
    pub(crate) fn resume(&mut self, index: usize) {
        let Waiting { ticket, sent, .. } = self.waiting.remove(index);
        match self.gateway.resume(ticket, self.clock.now()) {
            Step::Answer(answer) => {
                self.say(|| format!("    {} → {}, late", sent.name, answer.status));
                sent.answer(answer.status, answer.body, answer.replayed);
            }
            _ => sent.break_off(),
        }
        self.watch_charges();
    }

    /// The next request at the gateway may meet one fault.
    fn strike_gateway(&mut self, invocation: u64) {
        if self.strikes(Kind::GatewayOutage, invocation) {
            self.faults.never_again(Kind::GatewayOutage);
            let lasts = self.faults.lasting(SHORTEST_OUTAGE, LONGEST_OUTAGE);
            self.outage_until = Some(Instant::now() + lasts);
        }
        if self.outage_until.is_some_and(|until| Instant::now() < until) {
            let rng = self.faults.rng();
            let what = match rng.usize(0..3) {
                0 => Do::Timeout { delay_ms: 120_000, late: false },
                kind => Do::Unavailable { status: [503, 429][kind - 1] },
            };
            let _ = self.gateway.add_fault(Fault { on: On::default(), times: Some(1), what });
            return;
        }
        let kinds = [
            Kind::GatewayForgets,
            Kind::GatewayDecline,
            Kind::GatewayProcessing,
            Kind::GatewayError,
            Kind::GatewayErrorAfter,
            Kind::GatewayLostReply,
            Kind::GatewayTimeout,
            Kind::GatewayUnavailable,
        ];
        for kind in kinds {
            if !self.strikes(kind, invocation) {
                continue;
            }
            let rng = self.faults.rng();
            let what = match kind {
                Kind::GatewayForgets => Do::ForgetKeys,
                Kind::GatewayDecline => Do::Decline { code: "card_declined".into(), decline_code: None },
                Kind::GatewayProcessing => Do::Processing { for_ms: rng.u64(100..=900_000) },
                Kind::GatewayError => Do::ServerError,
                Kind::GatewayErrorAfter => Do::ServerErrorAfterEffect,
                Kind::GatewayLostReply => Do::LostResponse { bad_gateway: rng.bool() },
                Kind::GatewayTimeout => Do::Timeout { delay_ms: rng.u64(1_000..=120_000), late: rng.bool() },
                _ => Do::Unavailable { status: [503, 429][rng.usize(0..2)] },
            };
            let fault = Fault { on: On::default(), times: Some(1), what };
            let _ = self.gateway.add_fault(fault);
        }
    }

    /// How AWS refuses a call for now.
    fn refusal(&mut self, sent: &Sent) -> Option<(u16, String)> {
        let Request::Aws(operation, body) = &sent.request else { return None };
        let invocation = sent.invocation;
        if self.strikes(Kind::Throttle, invocation) {
            let kinds: &[(u16, &str)] = match sent.name.split_once(':').map(|(service, _)| service) {
                Some("dynamodb") => {
                    &[(400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")]
                }
                Some("s3") => &[(503, "SlowDown"), (500, "InternalError")],
                Some("ses") => &[(429, "TooManyRequestsException"), (500, "InternalFailure")],
                _ => &[(400, "ThrottlingException"), (500, "InternalFailure")],
            };
            let (status, kind) = kinds[self.faults.rng().usize(0..kinds.len())];
            return Some(error(status, kind, "try again"));
        }
        match operation.as_str() {
            "TransactWriteItems" if self.strikes(Kind::Conflict, invocation) => {
                let actions = body.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
                let hit = self.faults.rng().usize(0..actions.max(1));
                let reasons: Vec<_> = (0..actions)
                    .map(|index| match index == hit {
                        true => json!({ "Code": "TransactionConflict", "Message": "ongoing" }),
                        false => json!({ "Code": "None" }),
                    })
                    .collect();
                let cancelled = json!({
                    "__type": "TransactionCanceledException", "message": "cancelled",
                    "CancellationReasons": reasons,
                });
                Some((400, cancelled.to_string()))
            }
            "PutItem" | "UpdateItem" if self.strikes(Kind::Conflict, invocation) => {
                Some(error(400, "TransactionConflictException", "ongoing"))
            }
            _ => None,
        }
    }

    /// Serves an AWS call, as far as the caller's role allows it.
    fn serve(
        &mut self,
        function: Option<usize>,
        name: &str,
        operation: &str,
        mut body: Value,
        invocation: u64,
    ) -> (u16, String) {
        if let Some(function) = function.and_then(|index| self.system.functions.get(index))
            && let Some(sentence) = denied(&function.grants, name, &body)
        {
            self.watch.report("each role allows what its function does", sentence.clone());
            return error(400, "AccessDeniedException", &sentence);
        }
        let caller = function.map(|index| self.name_of(index).to_owned()).unwrap_or_default();
        if caller == "place-order" && operation == "TransactWriteItems" {
            self.place_as_its_release_does(&mut body);
        }
        let rewritten = match self.options.planted {
            Some(planted) => {
                planted::request(planted, &caller, operation, &mut body, self.clock.now().as_second())
            }
            None => Rewritten::default(),
        };
        let (status, answer) = match name.split_once(':').map(|(service, _)| service) {
            // What a reader gave up on is older than a stream's records become.
            _ if operation == "GetShardIterator" => error(400, "TrimmedDataAccessException", "trimmed"),
            Some("dynamodb") => self.dynamodb(operation, body, invocation),
            Some("events") => self.put_events(&body, invocation),
            Some("sqs") if operation == "ChangeMessageVisibilityBatch" => self.postpone(&body),
            Some("kinesis") => self.put_records(&body, invocation),
            Some("sqs") if operation == "SendMessageBatch" => self.send_batch(&body, invocation),
            Some("sqs") if operation == "ReceiveMessage" => self.receive_letters(&body),
            Some("sqs") if operation == "DeleteMessage" => self.delete_received(&body),
            Some("sqs") if operation == "GetQueueAttributes" => {
                let queue = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
                (200, json!({ "Attributes": { "QueueArn": arn(queue) } }).to_string())
            }
            Some("sqs") => {
                let queue = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
                let message = body.get("MessageBody").and_then(Value::as_str).unwrap_or_default();
                let reason = body.pointer("/MessageAttributes/reason/StringValue").and_then(Value::as_str);
                let label = reason.unwrap_or_default().to_owned();
                let (place, attributes) = (place_of(&body), attributes_of(&body));
                self.send_in(queue, message.into(), label.into(), Instant::now(), place, attributes);
                (200, json!({ "MessageId": "1", "MD5OfMessageBody": "" }).to_string())
            }
            Some("states") => self.start_execution(&body),
            Some("ses") => self.send_mail(&body),
            Some("s3") => self.s3(operation, &body),
            Some("secretsmanager") => {
                let id = body.get("SecretId").cloned().unwrap_or_default();
                (200, json!({ "ARN": id, "Name": id, "SecretString": self.secret() }).to_string())
            }
            _ => error(400, "UnknownOperationException", name),
        };
        match self.options.planted {
            Some(planted) => planted::answer(planted, &caller, operation, status, answer, &rewritten),
            None => (status, answer),
        }
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
    fn send_batch(&mut self, body: &Value, invocation: u64) -> (u16, String) {
        let partial = self.strikes(Kind::PartialPut, invocation);
        let queue = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in body.get("Entries").and_then(Value::as_array).into_iter().flatten() {
            let id = entry.get("Id").cloned().unwrap_or_default();
            if partial && self.faults.rng().bool() {
                failed.push(json!({ "Id": id, "Code": "InternalError", "SenderFault": false }));
                continue;
            }
            let message = entry.get("MessageBody").and_then(Value::as_str).unwrap_or_default();
            let label = event_label(message);
            self.meter.ordered_message();
            let (place, attributes) = (place_of(entry), attributes_of(entry));
            self.send_in(queue, message.into(), label.into(), Instant::now(), place, attributes);
            successful.push(json!({ "Id": id, "MessageId": id, "MD5OfMessageBody": "" }));
        }
        (200, json!({ "Successful": successful, "Failed": failed }).to_string())
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>
    fn postpone(&mut self, body: &Value) -> (u16, String) {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let queue = body.get("QueueUrl").and_then(Value::as_str).unwrap_or_default();
        for entry in body.get("Entries").and_then(Value::as_array).into_iter().flatten() {
            let id = entry.get("Id").cloned().unwrap_or_default();
            let receipt = entry.get("ReceiptHandle").and_then(Value::as_str).unwrap_or_default();
            let seconds = entry.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or_default();
            let until = Instant::now() + Duration::from_secs(seconds);
            let ignored = self.options.planted == Some(Planted::NoPostponing);
            if ignored || self.queues.get_mut(queue).is_some_and(|queue| queue.hide(receipt, until)) {
                successful.push(json!({ "Id": id }));
            } else {
                failed.push(json!({ "Id": id, "Code": "ReceiptHandleIsInvalid", "SenderFault": true }));
            }
        }
        (200, json!({ "Successful": successful, "Failed": failed }).to_string())
    }

    fn dynamodb(&mut self, operation: &str, mut body: Value, invocation: u64) -> (u16, String) {
        self.meter.ask(&mut body);
        match operation {
            "Query" | "Scan" => return self.pages(operation, body, invocation),
            "BatchWriteItem" => return self.batch_write(body, invocation),
            _ => {}
        }
        let (status, answer) = self.database.call(operation, &body);
        self.meter.count(operation, &answer);
        // A transaction repeated under its client token is answered as before, and writes nothing.
        let token = body.get("ClientRequestToken").and_then(Value::as_str).map(ToOwned::to_owned);
        let repeated = status == 200 && token.is_some_and(|token| !self.tokens.insert(token));
        if status == 200 && !operation.ends_with("GetItem") && !repeated {
            // Where a task stopped is no work done.
            if body.get("TableName").is_none_or(|table| table != PROJECTIONS) {
                self.wrote(invocation);
            }
            self.note(operation, &body);
        }
        (status, answer)
    }

    /// A page may hold fewer items than it could, and an index may show what it showed before.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>
    fn pages(&mut self, operation: &str, mut body: Value, invocation: u64) -> (u16, String) {
        let short = self.strikes(Kind::ShortPage, invocation).then(|| self.faults.rng().u64(1..=3));
        let asked = body.get("Limit").and_then(Value::as_u64);
        let large = self.page.map(|items| if operation == "Scan" { SCANNED * items } else { items });
        if let Some(most) = short.into_iter().chain(large).chain(asked).min()
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("Limit".to_owned(), json!(most));
        }
        let shard = body.get("IndexName").map(|_| {
            let values = body.get("ExpressionAttributeValues");
            let asked = values.and_then(|values| values.get(":shard").or_else(|| values.get(":series")));
            format!("{} of {}", asked.unwrap_or(&Value::Null), body.get("TableName").unwrap_or(&Value::Null))
        });
        if let Some(before) = shard.as_ref().and_then(|shard| self.stale.get(shard)).cloned()
            && self.strikes(Kind::StaleIndex, invocation)
        {
            return (200, before);
        }
        let (status, answer) = self.database.call(operation, &body);
        self.meter.count(operation, &answer);
        if let (Some(shard), 200) = (shard, status)
            && !answer.contains("LastEvaluatedKey")
        {
            self.stale.insert(shard, answer.clone());
        }
        (status, answer)
    }

    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
    fn batch_write(&mut self, mut body: Value, invocation: u64) -> (u16, String) {
        let mut left = serde_json::Map::new();
        if self.strikes(Kind::Unprocessed, invocation) {
            let tables = body.get_mut("RequestItems").and_then(Value::as_object_mut);
            for (table, requests) in tables.into_iter().flatten() {
                let Some(requests) = requests.as_array_mut() else { continue };
                let keep = self.faults.rng().usize(0..requests.len().max(1));
                let undone = requests.split_off(keep);
                left.insert(table.clone(), Value::Array(undone));
            }
        }
        let tables = body.get("RequestItems").and_then(Value::as_object);
        if tables.is_some_and(|tables| tables.values().any(|requests| requests != &json!([]))) {
            let (status, answer) = self.database.call("BatchWriteItem", &body);
            if status != 200 {
                return (status, answer);
            }
            self.meter.count("BatchWriteItem", &answer);
            self.wrote(invocation);
            self.note("BatchWriteItem", &body);
        }
        (200, json!({ "UnprocessedItems": left }).to_string())
    }

    /// Tells the streams and the watch what a call has written.
    fn note(&mut self, operation: &str, body: &Value) {
        match operation {
            "PutItem" => self.note_action("Put", body),
            "UpdateItem" => self.note_action("Update", body),
            "DeleteItem" => self.note_action("Delete", body),
            "TransactWriteItems" => {
                let actions = body.get("TransactItems").and_then(Value::as_array);
                for (verb, action) in actions.into_iter().flatten().filter_map(Value::as_object).flatten() {
                    self.note_action(verb, action);
                }
            }
            "BatchWriteItem" => {
                let tables = body.get("RequestItems").and_then(Value::as_object);
                for (table, requests) in tables.into_iter().flatten() {
                    for request in requests.as_array().into_iter().flatten() {
                        if let Some(key) = request.pointer("/DeleteRequest/Key") {
                            self.changed(table, key, None);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Tells the streams and the watch that an item was put.
    pub(crate) fn note_put(&mut self, table: &str, item: &Value) {
        self.watch.put(table, item);
        if table == CIRCUITS {
            self.watch.circuit(item);
        }
        if table == "EventStoreTable" && item.get("eventType").is_some() {
            self.doorbells.appended += 1;
        }
        if table == "SnapshotsTable" {
            self.spoil(item);
        }
        if table == FAILURES {
            self.watch.letters.written(item);
        }
        self.changed(table, item, Some(item));
    }

    fn note_action(&mut self, verb: &str, action: &Value) {
        let table = action.get("TableName").and_then(Value::as_str).unwrap_or_default();
        let part = |name: &str| action.get(name).unwrap_or(&Value::Null);
        match verb {
            "Put" => self.note_put(table, part("Item")),
            "Update" => {
                let streamed = self.readers.iter().any(|reader| reader.mapping.table == table);
                if !streamed && !["InventoryTable", "IdempotencyTable", CIRCUITS].contains(&table) {
                    return;
                }
                let Some(image) = self.database.get(table, part("Key")) else { return };
                match table {
                    "InventoryTable" => self.watch.available(&image),
                    "IdempotencyTable" => self.watch.completed(&image),
                    CIRCUITS => self.watch.circuit(&image),
                    _ => {}
                }
                self.changed(table, part("Key"), Some(&image));
            }
            "Delete" => self.changed(table, part("Key"), None),
            _ => {}
        }
    }

    /// The mistake of a publisher that deletes rows before it puts their events.
    fn delete_rows_of(&mut self, entries: &[Value]) {
        for entry in entries {
            let detail: Value =
                serde_json::from_str(entry.get("Detail").and_then(Value::as_str).unwrap_or_default())
                    .unwrap_or_default();
            let key = json!({
                "orderingKey": { "S": detail.get("orderId") },
                "eventId": { "S": detail.pointer("/metadata/eventId") },
            });
            self.database.call("DeleteItem", &json!({ "TableName": "OutboxTable", "Key": key }));
            self.changed("OutboxTable", &key, None);
        }
    }
}

/// Where a message belongs in a FIFO queue, if it is for one.
fn place_of(message: &Value) -> Option<Place> {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    Some(Place {
        group: text("MessageGroupId")?.into(),
        deduplication: text("MessageDeduplicationId")?.into(),
    })
}

/// A message's own attributes.
fn attributes_of(message: &Value) -> Rc<Attributes> {
    let attributes = message.get("MessageAttributes").and_then(Value::as_object).into_iter().flatten();
    let texts = attributes
        .filter_map(|(name, value)| Some((name.clone(), value.get("StringValue")?.as_str()?.to_owned())));
    Rc::new(texts.collect())
}

/// An event's name and order, for people.
fn event_label(document: &str) -> String {
    let event: Value = serde_json::from_str(document).unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!("{}({})", text("/detail-type"), text("/detail/orderId"))
}

fn kind_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body.get("__type").and_then(Value::as_str).unwrap_or("error").to_owned()
}

fn summary(status: u16, body: &str) -> String {
    if (200..300).contains(&status) {
        return "ok".to_owned();
    }
    let kind = kind_of(body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let reasons = body.get("CancellationReasons").and_then(Value::as_array).into_iter().flatten();
    let codes: Vec<_> = reasons.filter_map(|reason| reason.get("Code").and_then(Value::as_str)).collect();
    if codes.is_empty() { kind } else { format!("{kind} [{}]", codes.join(", ")) }
}
