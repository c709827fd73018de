//! Listens to the bus beside the deployed system: a rule and a queue of its own.

use aws_sdk_eventbridge::types::{PutEventsRequestEntry, Target};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, QueueAttributeName};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Error, Stack, aws};

/// An event seen on the bus.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) order_id: String,
    pub(crate) event_id: String,
    /// The event that it follows from, if any.
    pub(crate) cause: Option<String>,
    /// The payload, as published.
    pub(crate) detail: String,
    /// The whole document, as a queue receives it.
    pub(crate) body: String,
}

pub(crate) struct Tap {
    sqs: aws_sdk_sqs::Client,
    events: aws_sdk_eventbridge::Client,
    bus: String,
    queue: String,
    name: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    source: String,
    detail_type: String,
    detail: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    order_id: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    event_id: String,
    causation_id: Option<String>,
}

impl Tap {
    /// Hears everything that is published from now on. Rule and queue are called so.
    pub(crate) async fn install(stack: &Stack, name: &'static str) -> Result<Self, Error> {
        let sqs = stack.sqs().clone();
        let events = aws_sdk_eventbridge::Client::new(&aws::configuration(stack.endpoint()));
        let bus = stack.output("EventBus")?.to_owned();
        let created =
            sqs.create_queue().queue_name(name).send().await.map_err(Error::aws("sqs:CreateQueue"))?;
        let queue = created.queue_url.ok_or_else(|| Error::Missing { what: "tap queue".to_owned() })?;
        let attributes = sqs
            .get_queue_attributes()
            .queue_url(&queue)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map_err(Error::aws("sqs:GetQueueAttributes"))?;
        let arn = attributes.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).cloned();
        events
            .put_rule()
            .name(name)
            .event_bus_name(&bus)
            .event_pattern(r#"{"source":[{"prefix":""}]}"#)
            .send()
            .await
            .map_err(Error::aws("events:PutRule"))?;
        let target = Target::builder().id("queue").arn(arn.unwrap_or_default()).build();
        let target = target.map_err(|error| Error::Missing { what: error.to_string() })?;
        events
            .put_targets()
            .rule(name)
            .event_bus_name(&bus)
            .targets(target)
            .send()
            .await
            .map_err(Error::aws("events:PutTargets"))?;
        Ok(Self { sqs, events, bus, queue, name })
    }

    /// Takes rule and queue away.
    pub(crate) async fn remove(self) -> Result<(), Error> {
        let targets = self.events.remove_targets().rule(self.name).event_bus_name(&self.bus).ids("queue");
        targets.send().await.map_err(Error::aws("events:RemoveTargets"))?;
        let rule = self.events.delete_rule().name(self.name).event_bus_name(&self.bus);
        rule.send().await.map_err(Error::aws("events:DeleteRule"))?;
        let queue = self.sqs.delete_queue().queue_url(&self.queue);
        queue.send().await.map(drop).map_err(Error::aws("sqs:DeleteQueue"))
    }

    /// The next events, at most ten; waits for up to a second.
    pub(crate) async fn hear(&self) -> Result<Vec<Observed>, Error> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.queue)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .send()
            .await
            .map_err(Error::aws("sqs:ReceiveMessage"))?;
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let handles = messages.iter().enumerate().filter_map(|(index, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.receipt_handle(message.receipt_handle()?).build().ok()
        });
        self.sqs
            .delete_message_batch()
            .queue_url(&self.queue)
            .set_entries(Some(handles.collect()))
            .send()
            .await
            .map_err(Error::aws("sqs:DeleteMessageBatch"))?;
        Ok(messages.into_iter().filter_map(|message| observed(message.body?)).collect())
    }

    /// Publishes an event again: the same content under another id of the bus.
    pub(crate) async fn repeat(&self, event: &Observed) -> Result<(), Error> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(&event.source)
            .detail_type(&event.name)
            .detail(&event.detail)
            .build();
        self.events.put_events().entries(entry).send().await.map(drop).map_err(Error::aws("events:PutEvents"))
    }
}

fn observed(body: String) -> Option<Observed> {
    let Document { source, detail_type, detail } = serde_json::from_str(&body).ok()?;
    let Detail { order_id, metadata } = serde_json::from_str(detail.get()).ok()?;
    let detail = detail.get().to_owned();
    let Metadata { event_id, causation_id: cause } = metadata;
    Some(Observed { source, name: detail_type, order_id, event_id, cause, detail, body })
}
