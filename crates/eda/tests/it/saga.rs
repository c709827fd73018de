//! A step of a saga: fed from a queue, and called by a state machine.

use std::time::Duration;

use eda::Failure;
use eda::aws::Aws;
use eda::batch::{Deadline, Parking, ParkingConfig};
use eda::event::Event;
use eda::saga::{Refusal, SagaStep, StepAnswer, StepWorker, Stepped};
use eda::serve::{Function, StartError};
use eda::testing::{bus_event, queue_batch};
use eda::transition::{Outcome, Transition};
use envconfig::Envconfig;
use serde_json::{Value, json};

use super::*;

#[derive(Envconfig)]
struct NoConfig {}

/// Closes a door behind whoever opened it; `stuck` doors stay open, and one that is `gone` cannot be found.
struct Closer(Spine);

impl Function for Closer {
    const NAME: &'static str = "closer";
    type Config = NoConfig;

    async fn start(aws: &Aws, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self(Spine::new(aws.dynamodb(), Table::<OutboxRow>::named("OutboxTable"), aws.ambient())))
    }
}

impl SagaStep for Closer {
    type Message = Event<Opened>;

    async fn step(&self, opened: Event<Opened>) -> Result<Stepped, Failure> {
        let id = opened.data.door_id.clone();
        match id.as_str() {
            "stuck" => return Ok(Stepped::Refused(Refusal { error: "Stuck", reason: "rust".into() })),
            "gone" => return Err(Failure::permanent("there is no such door")),
            "busy" => return Err(Failure::transient("somebody stands in it").named("Busy")),
            "slow" => tokio::time::sleep(Duration::from_secs(3_600)).await,
            _ => {}
        }
        let closed = self.0.event(&opened.cause(), &Closed { door_id: id.clone() })?;
        let guard = doors().put(&door(&id, Standing::Shut, 0))?.if_absent();
        match self.0.commit(Transition::guarded_by(guard).emit(closed.clone())).await? {
            Outcome::Applied | Outcome::Duplicate(_) => Ok(Stepped::Done(closed)),
        }
    }
}

fn open(cloud: &TestCloud, id: &str) -> Value {
    bus_event(cloud, &opened(id))
}

async fn call(cloud: &TestCloud, event: &Value) -> Result<Value, (&'static str, String)> {
    cloud.call(&cloud.start::<Closer>().await, event).await
}

fn announced(cloud: &TestCloud) -> Value {
    let [(_, detail)] = cloud.announced().try_into().unwrap();
    detail
}

#[tokio::test]
async fn a_state_machine_is_handed_the_event_that_the_step_announced() {
    let cloud = cloud();
    let answer = call(&cloud, &open(&cloud, "d1")).await.unwrap();
    assert_eq!((&answer["source"], &answer["detail-type"]), (&json!("doors"), &json!("Closed")));
    assert_eq!(answer["detail"], announced(&cloud));
    assert_eq!(answer["detail"]["doorId"], "d1");
}

#[tokio::test]
async fn a_step_that_is_called_again_returns_the_same_event() {
    let cloud = cloud();
    let opened = open(&cloud, "d1");
    let first = call(&cloud, &opened).await.unwrap();
    let again = call(&cloud, &opened).await.unwrap();
    let id = |answer: &Value| answer["detail"]["metadata"]["eventId"].clone();
    assert_eq!(id(&first), id(&again));
    assert_eq!(announced(&cloud)["metadata"]["eventId"], id(&first));
}

#[tokio::test]
async fn an_id_that_follows_from_a_cause_sorts_after_it() {
    let cloud = cloud();
    let opened = open(&cloud, "d1");
    let closed = call(&cloud, &opened).await.unwrap();
    let id = |event: &Value| event["detail"]["metadata"]["eventId"].as_str().unwrap().to_owned();
    assert!(id(&closed) > id(&opened), "{} after {}", id(&closed), id(&opened));
    assert_eq!(id(&closed).as_bytes()[14], b'7', "a UUIDv7");
    assert_eq!(closed["detail"]["metadata"]["causationId"], opened["detail"]["metadata"]["eventId"]);
}

#[tokio::test]
async fn the_way_an_event_came_decides_in_which_saga_it_is() {
    for said in ["choreographed", "orchestrated"] {
        let cloud = cloud();
        let mut event = open(&cloud, "called");
        event["detail"]["metadata"]["saga"] = json!(said);
        call(&cloud, &event).await.unwrap();
        assert_eq!(announced(&cloud)["metadata"]["saga"], "orchestrated", "called with {said}");
    }
    for said in ["choreographed", "orchestrated"] {
        let cloud = cloud();
        let mut event = open(&cloud, "fed");
        event["detail"]["metadata"]["saga"] = json!(said);
        cloud.worker::<Closer>().await.handle(queue_batch(&[event]), cloud.deadline()).await;
        assert_eq!(announced(&cloud)["metadata"]["saga"], "choreographed", "fed with {said}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_to_a_state_machine_and_acknowledged_to_a_queue() {
    let cloud = cloud();
    let refused = call(&cloud, &open(&cloud, "stuck")).await.unwrap_err();
    assert_eq!(refused, ("Stuck", "rust".to_owned()));
    let batch = queue_batch(&[open(&cloud, "stuck")]);
    let answer = cloud.worker::<Closer>().await.handle(batch, cloud.deadline()).await;
    assert!(answer.batch_item_failures.is_empty());
    assert!(cloud.take_call_names().is_empty(), "nothing is parked");
}

#[tokio::test]
async fn a_failure_has_its_own_name_or_that_of_its_kind() {
    let cloud = cloud();
    let name = async |id| call(&cloud, &open(&cloud, id)).await.unwrap_err().0;
    assert_eq!(name("gone").await, "PermanentFailure");
    assert_eq!(name("busy").await, "Busy");
}

#[tokio::test]
async fn what_is_no_event_is_refused_for_good() {
    let cloud = cloud();
    for input in [json!({}), json!({ "Records": "none" }), json!("d1"), json!({ "source": "doors" })] {
        let (name, message) = call(&cloud, &input).await.unwrap_err();
        assert_eq!(name, "PermanentFailure", "{input}: {message}");
    }
}

async fn worker(cloud: &TestCloud) -> StepWorker<Closer> {
    let parking = ParkingConfig { queue_url: None, dead_letter_queue_url: "DeadLetterQueue".into() };
    StepWorker::new(cloud.start::<Closer>().await, Parking::new(cloud.aws().sqs(), parking, "closer"))
}

#[tokio::test]
async fn a_batch_is_told_from_a_task_by_its_shape() {
    let cloud = cloud();
    let batch = serde_json::value::to_raw_value(&queue_batch(&[open(&cloud, "busy")])).unwrap();
    let answer = worker(&cloud).await.handle(&batch, None, cloud.deadline()).await.unwrap();
    let StepAnswer::Batch(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer.batch_item_failures[0].item_identifier, "m0");
}

#[tokio::test(start_paused = true)]
async fn a_task_stops_before_the_invocation_is_ended() {
    let cloud = cloud();
    let input = serde_json::value::to_raw_value(&open(&cloud, "slow")).unwrap();
    let deadline = Deadline::after(Duration::from_secs(30));
    let error = worker(&cloud).await.handle(&input, None, deadline).await.unwrap_err();
    assert_eq!(error.name(), "TransientFailure");
}
