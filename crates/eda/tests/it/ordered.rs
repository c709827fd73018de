use std::sync::{Arc, Mutex};
use std::time::Duration;

use eda::Failure;
use eda::aws::Aws;
use eda::batch::{
    Consumer, Deadline, GIVEN_UP, HeldGroup, OrderedWorker, PLACE, Parking, ParkingConfig, SequencesConfig,
};
use eda::event::Event;
use eda::serve::{Function, StartError};
use eda::testing::{Fault, bus_event, message_batch, ordered_message};
use envconfig::Envconfig;
use serde_json::{Value, json};

use super::*;

/// Opens doors one after the other, and keeps a book. `stuck` may open later, `painted` never, `slow` takes for ever.
struct Doorman(Arc<Mutex<Vec<String>>>);

#[derive(Envconfig)]
struct NoConfig {}

impl Function for Doorman {
    const NAME: &'static str = "doorman";
    type Config = NoConfig;

    async fn start(_: &Aws, _: NoConfig) -> Result<Self, StartError> {
        Ok(Self(Arc::default()))
    }
}

impl Consumer for Doorman {
    type Message = Event<Opened>;

    async fn consume(&self, event: Event<Opened>) -> Result<(), Failure> {
        match event.data.door_id.as_str() {
            "stuck" => return Err(Failure::transient("the door is stuck")),
            "painted" => return Err(Failure::permanent("the door is painted on")),
            "slow" => tokio::time::sleep(Duration::from_secs(3_600)).await,
            _ => {}
        }
        self.0.lock().unwrap().push(event.data.door_id);
        Ok(())
    }
}

/// A queue with its doorman.
struct House {
    cloud: TestCloud,
    opened: Arc<Mutex<Vec<String>>>,
    worker: OrderedWorker<Doorman>,
}

impl House {
    fn new() -> Self {
        let cloud = cloud();
        let opened = Arc::default();
        let parking = ParkingConfig { dead_letter_queue_url: "DeadLetterQueue".into(), queue_url: None };
        let parking = Parking::new(cloud.aws().sqs(), parking, Doorman::NAME);
        let sequences = SequencesConfig { table: Table::named("HeldGroupsTable") };
        let worker = OrderedWorker::new(Doorman(Arc::clone(&opened)), parking, &cloud.aws(), sequences);
        Self { cloud, opened, worker }
    }

    /// A message `id` of a group, about a door.
    fn message(&self, id: &str, group: &str, door: &str) -> Value {
        ordered_message(id, group, &bus_event(&self.cloud, &opened(door)).to_string())
    }

    /// The retry of a parked message, as the one `id`.
    fn retry(&self, id: &str, group: &str, door: &str, place: &str) -> Value {
        with(self.message(id, group, door), PLACE, place)
    }

    /// Handles a batch; gives the messages that come again.
    async fn handle(&self, messages: &[Value]) -> Vec<String> {
        self.handle_until(messages, self.cloud.deadline()).await
    }

    async fn handle_until(&self, messages: &[Value], deadline: Deadline) -> Vec<String> {
        let response = self.worker.handle(message_batch(messages), deadline).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    fn opened(&self) -> Vec<String> {
        std::mem::take(&mut *self.opened.lock().unwrap())
    }

    /// Group, place and reason of what was parked since the last time.
    fn parked(&self) -> Vec<(String, String, String)> {
        let sent = self.cloud.take_calls().into_iter().filter(|call| call.name == "sqs:SendMessage");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        sent.map(|call| {
            let attribute = |name: &str| text(&call.body["MessageAttributes"][name]["StringValue"]);
            (text(&call.body["MessageGroupId"]), attribute(PLACE), attribute("reason"))
        })
        .collect()
    }

    fn waiting(&self, group: &str) -> Vec<String> {
        let held = self.cloud.get::<HeldGroup>("HeldGroupsTable", Key::of(format!("doorman#{group}")));
        held.map(|held| held.waiting).unwrap_or_default()
    }
}

fn with(mut message: Value, name: &str, value: &str) -> Value {
    message["messageAttributes"][name] = json!({ "stringValue": value, "dataType": "String" });
    message
}

const BEHIND: &str = "it waits behind a parked message of its group";

#[tokio::test]
async fn messages_of_a_group_are_handled_in_order_for_one_read() {
    let house = House::new();
    let batch = [house.message("1", "g", "a"), house.message("2", "h", "x"), house.message("3", "g", "b")];
    assert!(house.handle(&batch).await.is_empty());
    let opened = house.opened();
    let of_g: Vec<_> = opened.iter().map(String::as_str).filter(|door| *door != "x").collect();
    assert_eq!((of_g, opened.len()), (vec!["a", "b"], 3));
    assert_eq!(house.cloud.take_call_names(), ["dynamodb:GetItem"; 2]);
}

#[tokio::test]
async fn a_group_stops_at_a_failure_that_may_pass_and_others_go_on() {
    let house = House::new();
    let batch = [
        house.message("1", "g", "a"),
        house.message("2", "g", "stuck"),
        house.message("3", "h", "x"),
        house.message("4", "g", "b"),
    ];
    assert_eq!(house.handle(&batch).await, ["2", "4"]);
    let mut opened = house.opened();
    opened.sort();
    assert_eq!(opened, ["a", "x"]);
    assert!(house.parked().is_empty());
}

#[tokio::test]
async fn nothing_overtakes_a_parked_message_of_its_group_and_other_groups_notice_nothing() {
    let house = House::new();
    let batch =
        [house.message("1", "g", "painted"), house.message("2", "g", "b"), house.message("3", "h", "x")];
    assert!(house.handle(&batch).await.is_empty());
    assert!(house.handle(&[house.message("4", "g", "c"), house.message("5", "h", "y")]).await.is_empty());
    assert_eq!(house.opened(), ["x", "y"]);
    assert_eq!(house.waiting("g"), ["1", "2", "4"]);
    let told = |place: &str, reason: &str| ("g".to_owned(), place.to_owned(), reason.to_owned());
    assert_eq!(house.parked(), [told("1", "the door is painted on"), told("2", BEHIND), told("4", BEHIND)]);
}

#[tokio::test]
async fn what_nobody_can_read_holds_its_group_too() {
    let house = House::new();
    assert!(
        house.handle(&[ordered_message("1", "g", "poison"), house.message("2", "g", "b")]).await.is_empty()
    );
    assert!(house.opened().is_empty());
    assert_eq!(house.waiting("g"), ["1", "2"]);
}

#[tokio::test]
async fn retried_in_order_the_group_goes_on() {
    let house = House::new();
    house.handle(&[house.message("1", "g", "painted"), house.message("2", "g", "b")]).await;
    assert!(
        house
            .handle(&[house.retry("8", "g", "mended", "1"), house.retry("9", "g", "b", "2")])
            .await
            .is_empty()
    );
    assert!(house.handle(&[house.message("3", "g", "c")]).await.is_empty());
    assert_eq!(house.opened(), ["mended", "b", "c"]);
    assert!(house.waiting("g").is_empty());
}

#[tokio::test]
async fn retried_out_of_order_a_message_waits_for_its_turn() {
    let house = House::new();
    house.handle(&[house.message("1", "g", "painted"), house.message("2", "g", "b")]).await;
    house.parked();
    assert!(house.handle(&[house.retry("9", "g", "b", "2")]).await.is_empty());
    assert!(house.opened().is_empty());
    assert_eq!(house.waiting("g"), ["1", "2"]);
    assert_eq!(house.parked(), [("g".to_owned(), "2".to_owned(), BEHIND.to_owned())]);
}

#[tokio::test]
async fn a_retry_that_fails_again_keeps_its_place() {
    let house = House::new();
    house.handle(&[house.message("1", "g", "painted"), house.message("2", "g", "b")]).await;
    let retries = [house.retry("8", "g", "painted", "1"), house.retry("9", "g", "b", "2")];
    assert!(house.handle(&retries).await.is_empty());
    assert!(house.opened().is_empty());
    assert_eq!(house.waiting("g"), ["1", "2"]);
}

#[tokio::test]
async fn a_retry_that_is_delivered_again_after_it_was_done_is_done_again_and_releases_nobody_else() {
    let house = House::new();
    house.handle(&[house.message("1", "g", "painted"), house.message("2", "g", "b")]).await;
    house.handle(&[house.retry("8", "g", "mended", "1")]).await;
    assert!(house.handle(&[house.retry("8", "g", "mended", "1")]).await.is_empty());
    assert_eq!(house.opened(), ["mended", "mended"]);
    assert_eq!(house.waiting("g"), ["2"]);
}

#[tokio::test]
async fn those_behind_a_message_that_was_given_up_may_go_on() {
    let house = House::new();
    house.handle(&[house.message("1", "g", "painted"), house.message("2", "g", "b")]).await;
    let notice = with(with(ordered_message("7", "g", "{}"), PLACE, "1"), GIVEN_UP, "true");
    assert!(house.handle(&[notice, house.retry("9", "g", "b", "2")]).await.is_empty());
    assert_eq!(house.opened(), ["b"]);
    assert!(house.waiting("g").is_empty());
}

#[tokio::test(start_paused = true)]
async fn killed_between_holding_its_group_and_parking_a_message_keeps_its_place() {
    let house = House::new();
    for _ in 0..3 {
        house.cloud.inject("sqs:SendMessage", Fault::Refused(500, "InternalError", json!({})));
    }
    let batch = [house.message("1", "g", "painted"), house.message("2", "g", "b")];
    assert_eq!(house.handle(&batch).await, ["1", "2"]);
    house.parked();
    assert!(house.handle(&batch).await.is_empty());
    assert!(house.opened().is_empty());
    assert_eq!(house.waiting("g"), ["1", "2"]);
    assert_eq!(house.parked()[0].2, "the door is painted on");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_looked_up_waits() {
    let house = House::new();
    for _ in 0..3 {
        house.cloud.inject("dynamodb:GetItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    assert_eq!(house.handle(&[house.message("1", "g", "a"), house.message("2", "g", "b")]).await, ["1", "2"]);
    assert!(house.opened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_cuts_off_comes_again_with_all_that_is_behind_it() {
    let house = House::new();
    let batch = [
        house.message("1", "g", "a"),
        house.message("2", "g", "slow"),
        house.message("3", "g", "b"),
        house.message("4", "h", "x"),
    ];
    let deadline = Deadline::after(Duration::from_secs(1) + Deadline::MARGIN);
    assert_eq!(house.handle_until(&batch, deadline).await, ["2", "3"]);
}
