use std::sync::Mutex;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::sqs::SqsEvent;
use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Consumer, Deadline, FailedAt, StreamConsumer, StreamWorker};
use eda::event::Event;
use eda::serve::{Function, StartError};
use eda::testing::{Fault, bus_event, queue_batch, stream_batch};
use envconfig::Envconfig;
use serde_json::json;

use super::*;

/// Opens doors; `slow` never ends, `later` cannot be opened yet, `soon` and `tomorrow` not before then, `never` not at all.
struct Porter(Mutex<Vec<String>>);

#[derive(Envconfig)]
struct NoConfig {}

impl Function for Porter {
    const NAME: &'static str = "porter";
    type Config = NoConfig;

    async fn start(_: &Aws, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self(Mutex::default()))
    }
}

impl Porter {
    async fn open(&self, event: &Event<Opened>) -> Result<(), Failure> {
        let door = event.data.door_id.clone();
        match door.as_str() {
            "slow" => tokio::time::sleep(Duration::from_secs(3_600)).await,
            "later" => return Err(Failure::transient("the door is stuck")),
            "tomorrow" => {
                let wait = Duration::from_secs(86_400) + Duration::from_millis(1);
                return Err(Failure::transient("the locksmith comes tomorrow").not_before(wait));
            }
            "soon" => {
                return Err(
                    Failure::transient("the locksmith is here").not_before(Duration::from_millis(2_001))
                );
            }
            "never" => return Err(Failure::permanent("the door is painted on")),
            _ => {}
        }
        self.0.lock().unwrap().push(format!("{door}{}", event.data.width));
        Ok(())
    }
}

impl Consumer for Porter {
    type Message = Event<Opened>;

    async fn consume(&self, event: Event<Opened>) -> Result<(), Failure> {
        self.open(&event).await
    }
}

fn batch(cloud: &TestCloud, doors: &[(&str, u32)]) -> SqsEvent {
    let event =
        |(door, width): &(&str, u32)| bus_event(cloud, &Opened { door_id: (*door).into(), width: *width });
    queue_batch(&doors.iter().map(event).collect::<Vec<_>>())
}

async fn failed(cloud: &TestCloud, batch: SqsEvent, deadline: Deadline) -> Vec<String> {
    let failures = cloud.worker::<Porter>().await.handle(batch, deadline).await.batch_item_failures;
    failures.into_iter().map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn only_what_must_be_delivered_again_is_reported() {
    let cloud = cloud();
    let batch = batch(&cloud, &[("a", 1), ("later", 1), ("never", 1), ("b", 1)]);
    assert_eq!(failed(&cloud, batch, cloud.deadline()).await, ["m1"]);
    let parked = cloud.take_calls();
    assert_eq!(parked.len(), 1);
    let attributes = &parked[0].body["MessageAttributes"];
    assert_eq!(attributes["reason"]["StringValue"], json!("the door is painted on"));
    assert_eq!(attributes["parkedBy"]["StringValue"], json!("porter"));
    assert_eq!(attributes["originalMessageId"]["StringValue"], json!("m2"));
}

#[tokio::test]
async fn what_has_to_wait_is_hidden_for_so_long_in_one_call_and_reported_all_the_same() {
    let cloud = cloud();
    let batch = batch(&cloud, &[("a", 1), ("soon", 1), ("later", 1), ("tomorrow", 1)]);
    assert_eq!(failed(&cloud, batch, cloud.deadline()).await, ["m1", "m2", "m3"]);
    let calls = cloud.take_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].name, "sqs:ChangeMessageVisibilityBatch");
    let entries = calls[0].body["Entries"].as_array().unwrap();
    let mut hidden: Vec<_> =
        entries.iter().map(|entry| entry["VisibilityTimeout"].as_u64().unwrap()).collect();
    hidden.sort_unstable();
    assert_eq!(hidden, [3, 42_300], "rounded up, and no longer than SQS hides a message");
}

#[tokio::test]
async fn a_message_that_cannot_be_hidden_is_reported_all_the_same() {
    let cloud = cloud();
    cloud.inject("sqs:ChangeMessageVisibilityBatch", Fault::Refused(400, "OverLimit", json!({})));
    assert_eq!(failed(&cloud, batch(&cloud, &[("soon", 1)]), cloud.deadline()).await, ["m0"]);
}

#[tokio::test]
async fn poison_that_cannot_be_parked_is_not_acknowledged() {
    let cloud = cloud();
    cloud.inject("sqs:SendMessage", Fault::Refused(400, "OverLimit", json!({})));
    assert_eq!(failed(&cloud, batch(&cloud, &[("never", 1)]), cloud.deadline()).await, ["m0"]);
}

#[tokio::test]
async fn an_undecodable_message_is_parked_as_it_was() {
    let cloud = cloud();
    let mut batch = batch(&cloud, &[("a", 1), ("b", 1)]);
    batch.records[0].body = Some("no JSON".into());
    batch.records[1].body = None;
    assert!(failed(&cloud, batch, cloud.deadline()).await.is_empty());
    let parked = cloud.take_calls();
    assert_eq!(parked[0].body["MessageBody"], json!("no JSON"));
    assert_eq!(parked[1].body["MessageBody"], json!("(empty)"));
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_cuts_off_is_reported_and_the_rest_is_not() {
    let cloud = cloud();
    let batch = batch(&cloud, &[("slow", 1), ("a", 1), ("slow", 2)]);
    assert_eq!(failed(&cloud, batch, Deadline::after(Duration::from_secs(5))).await, ["m0", "m2"]);
}

#[tokio::test]
async fn messages_of_one_key_are_handled_in_order() {
    let cloud = cloud();
    let porter = cloud.start::<Porter>().await;
    let worker = std::sync::Arc::new(cloud.worker_of(porter));
    let numbers: Vec<_> = (0..5).flat_map(|width| [("a", width), ("b", width)]).collect();
    worker.handle(batch(&cloud, &numbers), cloud.deadline()).await;
    let opened = worker.consumer().0.lock().unwrap().clone();
    let of = |door: &str| opened.iter().filter(|name| name.starts_with(door)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["a0", "a1", "a2", "a3", "a4"]);
    assert_eq!(of("b"), ["b0", "b1", "b2", "b3", "b4"]);
}

impl StreamConsumer for Porter {
    type Image = Door;

    async fn consume(&self, doors: Vec<Door>, _: Deadline) -> Result<(), FailedAt> {
        match doors.iter().position(|door| door.id == "later") {
            Some(position) => Err(FailedAt { position, failure: Failure::transient("the door is stuck") }),
            None => Ok(()),
        }
    }
}

async fn stream_failures(batch: StreamEvent) -> Vec<String> {
    let cloud = cloud();
    let worker = StreamWorker::new(cloud.start::<Porter>().await);
    let failures = worker.handle(batch, cloud.deadline()).await.batch_item_failures;
    failures.into_iter().filter_map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn a_stream_is_delivered_again_from_its_first_failure() {
    let doors = ["a", "later", "b"].map(|id| door(id, Standing::Open, 0));
    assert_eq!(stream_failures(stream_batch(&doors)).await, ["101"]);
}

#[tokio::test]
async fn positions_of_a_stream_count_unreadable_images_too() {
    let doors = ["a", "broken", "later"].map(|id| door(id, Standing::Open, 0));
    let mut batch = stream_batch(&doors);
    batch.records[1].change.new_image = Default::default();
    assert_eq!(stream_failures(batch).await, ["102"]);
}
