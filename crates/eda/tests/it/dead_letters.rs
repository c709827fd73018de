use std::collections::BTreeMap;

use eda::Failure;
use eda::dead_letters::{
    Collector, CollectorConfig, Desk, Edited, FailedMessage, FailureState, Letter, MOST_INLINE, Retried,
    Routes, Selection, Taken,
};
use eda::testing::{Call, Fault, bus_event};
use serde_json::{Value, json};

use super::*;

const DEAD: &str = "arn:aws:sqs:us-east-1:1:doors-dead-letters";
const QUEUE: &str = "arn:aws:sqs:us-east-1:1:doors";
const DOOR: &str = "arn:aws:lambda:us-east-1:1:function:door";

fn config() -> CollectorConfig {
    CollectorConfig {
        failures: Table::named("FailuresTable"),
        bucket: "FailuresBucket".into(),
        outbox: Table::named("OutboxTable"),
    }
}

fn desk(cloud: &TestCloud) -> Desk {
    Desk::new(&cloud.aws(), config()).unwrap()
}

fn routes() -> Routes {
    Routes {
        urls: BTreeMap::from([(QUEUE.to_owned(), "DoorsQueue".to_owned())]),
        sources: BTreeMap::from([(DEAD.to_owned(), QUEUE.to_owned())]),
    }
}

fn letter(id: &str, body: &str, attributes: &[(&str, &str)]) -> Letter {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let system = [("SentTimestamp", "1768473000000"), ("ApproximateReceiveCount", "1")];
    Letter {
        id: id.to_owned(),
        queue: DEAD.to_owned(),
        body: body.to_owned(),
        attributes: attributes.collect(),
        system: system.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

fn parked(id: &str, body: &str) -> Letter {
    letter(id, body, &[("reason", "the door is stuck"), ("parkedBy", "door"), ("colour", "red")])
}

async fn take(cloud: &TestCloud, letter: &Letter) -> FailedMessage {
    let collector = Collector::new(&cloud.aws(), config()).unwrap();
    let taken = collector.take(letter, |row| Closed { door_id: row.failure_id.clone() }).await.unwrap();
    match taken {
        Taken::In(row) => *row,
        Taken::Before => panic!("{} was known", letter.id),
    }
}

fn row(cloud: &TestCloud, id: &str) -> FailedMessage {
    cloud.get("FailuresTable", FailedMessage::key(id)).unwrap()
}

fn sent(cloud: &TestCloud) -> Vec<Call> {
    cloud.take_calls().into_iter().filter(|call| call.name == "sqs:SendMessage").collect()
}

#[tokio::test]
async fn a_retry_goes_back_to_its_queue_as_it_was_and_names_its_failure() {
    let cloud = cloud();
    let failed = take(&cloud, &parked("m1", "a message")).await;
    cloud.take_calls();
    assert_eq!(desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap(), Retried::Sent);
    let calls = sent(&cloud);
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(call.body["QueueUrl"], "DoorsQueue");
    assert_eq!(call.body["MessageBody"], "a message");
    let attribute = |name: &str| call.body["MessageAttributes"][name]["StringValue"].clone();
    assert_eq!((attribute("failureId"), attribute("colour")), (json!(failed.failure_id), json!("red")));
    assert_eq!(attribute("reason"), Value::Null);
    let row = row(&cloud, &failed.failure_id);
    assert_eq!(row.status, FailureState::Retried);
    assert_eq!(row.history.len(), 3);
}

#[tokio::test]
async fn a_retry_that_fails_again_returns_with_its_history() {
    let cloud = cloud();
    let failed = take(&cloud, &parked("m1", "a message")).await;
    desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap();
    let again = letter("m2", "a message", &[("reason", "still stuck"), ("failureId", &failed.failure_id)]);
    let again = take(&cloud, &again).await;
    assert_eq!(again.failure_id, failed.failure_id);
    assert_eq!((again.status, again.failures), (FailureState::Failed, 2));
    let standings: Vec<_> = again.history.iter().map(|happening| happening.status).collect();
    use FailureState::{Failed, Retried, Retrying};
    assert_eq!(standings, [Failed, Retrying, Retried, Failed]);
}

#[tokio::test]
async fn a_failure_is_sent_once_however_many_retry_it_at_once() {
    let cloud = cloud();
    let failed = take(&cloud, &parked("m1", "a message")).await;
    cloud.take_calls();
    let (one, other) = (desk(&cloud), desk(&cloud));
    let routes = routes();
    let retries =
        tokio::join!(one.retry(&failed.failure_id, &routes), other.retry(&failed.failure_id, &routes));
    let mut retries = [retries.0.unwrap(), retries.1.unwrap()];
    retries.sort_by_key(|retried| *retried != Retried::Sent);
    assert_eq!(retries[0], Retried::Sent);
    assert_eq!(sent(&cloud).len(), 1, "{retries:?}");
}

#[tokio::test]
async fn what_could_not_be_sent_waits_again_and_says_why() {
    let cloud = cloud();
    let failed = take(&cloud, &parked("m1", "a message")).await;
    let gone = Fault::Refused(400, "AWS.SimpleQueueService.NonExistentQueue", json!({ "message": "gone" }));
    cloud.inject("sqs:SendMessage", gone);
    let refused: Failure = desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap_err();
    assert!(refused.chain().contains("the queue did not take it"), "{}", refused.chain());
    let row = row(&cloud, &failed.failure_id);
    assert_eq!(row.status, FailureState::Failed);
    assert_eq!(row.reason, "the door is stuck", "why it failed is why it failed");
    assert!(row.history.last().unwrap().note.starts_with("could not be sent"));
}

#[tokio::test]
async fn a_retry_whose_process_died_before_it_said_so_can_be_retried() {
    let cloud = cloud();
    let failed = take(&cloud, &parked("m1", "a message")).await;
    let claimed = failed.moved(eda::dead_letters::CLAIM, "died".into(), cloud.ambient().now()).unwrap();
    cloud.put("FailuresTable", &claimed);
    assert_eq!(desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap(), Retried::Sent);
}

#[tokio::test]
async fn what_was_sent_or_put_away_is_not_sent_again() {
    let cloud = cloud();
    let desk = desk(&cloud);
    let failed = take(&cloud, &parked("m1", "a message")).await;
    desk.retry(&failed.failure_id, &routes()).await.unwrap();
    let again = desk.retry(&failed.failure_id, &routes()).await.unwrap();
    assert_eq!(again, Retried::Standing(FailureState::Retried));
    assert_eq!(desk.archive(&failed.failure_id, "known", &routes()).await.unwrap(), Some(true));
    let again = desk.retry(&failed.failure_id, &routes()).await.unwrap();
    assert_eq!(again, Retried::Standing(FailureState::Archived));
    assert_eq!(desk.retry("nobody", &routes()).await.unwrap(), Retried::Unknown);
}

#[tokio::test]
async fn a_message_of_a_fifo_queue_goes_back_to_its_group_under_an_id_of_its_own() {
    let cloud = cloud();
    let mut letter = parked("m1", "a message");
    letter.system.insert("MessageGroupId".into(), "g1".into());
    let failed = take(&cloud, &letter).await;
    cloud.take_calls();
    desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap();
    let calls = sent(&cloud);
    assert_eq!(calls[0].body["MessageGroupId"], "g1");
    assert!(calls[0].body["MessageDeduplicationId"].as_str().unwrap().starts_with(&failed.failure_id));
}

#[tokio::test]
async fn copies_of_an_event_that_wait_in_one_group_are_kept_each_with_its_place() {
    let cloud = cloud();
    let event = bus_event(&cloud, &Closed { door_id: "d1".into() }).to_string();
    let held = |id: &str, place: &str| {
        let mut letter =
            letter(id, &event, &[("reason", "it waits"), ("parkedBy", "door"), ("heldAs", place)]);
        letter.system.insert("MessageGroupId".into(), "g1".into());
        letter
    };
    let one = take(&cloud, &held("l1", "m1")).await;
    let other = take(&cloud, &held("l2", "m2")).await;
    assert_ne!(one.failure_id, other.failure_id, "whoever sends both again frees both places");
    let again = take(&cloud, &held("l3", "m2")).await;
    assert_eq!(again.failure_id, other.failure_id, "parked twice, and still one message");
}

#[tokio::test]
async fn a_message_that_sqs_moved_out_of_its_group_is_sent_again_with_its_place_in_it() {
    let cloud = cloud();
    let mut moved = letter("l1", "a message", &[]);
    let system =
        [("MessageGroupId", "g1"), ("MessageDeduplicationId", "m1"), ("DeadLetterQueueSourceArn", QUEUE)];
    moved.system.extend(system.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let failed = take(&cloud, &moved).await;
    cloud.take_calls();
    desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap();
    let calls = sent(&cloud);
    assert_eq!(
        calls[0].body["MessageAttributes"]["heldAs"]["StringValue"], "m1",
        "the group may be held for it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_let_go_on_before_what_held_it_is_put_away() {
    let cloud = cloud();
    let held = [("reason", "it is stuck"), ("parkedBy", "door"), ("heldAs", "m1")];
    let mut letter = letter("l1", "a message", &held);
    letter.system.insert("MessageGroupId".into(), "g1".into());
    let failed = take(&cloud, &letter).await;
    for _ in 0..3 {
        cloud.inject("dynamodb:PutItem", Fault::Refused(500, "InternalServerError", json!({})));
    }
    cloud.take_calls();
    assert!(desk(&cloud).archive(&failed.failure_id, "known", &routes()).await.is_err());
    let calls = sent(&cloud);
    assert_eq!(calls[0].body["MessageAttributes"]["heldAs"]["StringValue"], "m1");
    assert_eq!(row(&cloud, &failed.failure_id).status, FailureState::Failed, "still to be put away");
    assert_eq!(desk(&cloud).archive(&failed.failure_id, "known", &routes()).await.unwrap(), Some(true));
}

#[tokio::test]
async fn messages_of_a_group_are_selected_in_the_order_in_which_they_were_sent() {
    let cloud = cloud();
    for (id, sequence) in [("c", "1000"), ("a", "998"), ("b", "999")] {
        let mut letter = parked(id, id);
        letter.system.insert("MessageGroupId".into(), "g1".into());
        letter.system.insert("SequenceNumber".into(), sequence.into());
        take(&cloud, &letter).await;
    }
    let selected = desk(&cloud).select(&Selection::default()).await.unwrap();
    let bodies: Vec<_> = selected.iter().map(|row| row.body.clone().unwrap()).collect();
    assert_eq!(bodies, ["a", "b", "c"]);
}

fn undelivered(target: &str) -> Letter {
    letter("m1", "an event", &[("RULE_ARN", "arn:aws:events:us-east-1:1:rule/bus/r"), ("TARGET_ARN", target)])
}

#[tokio::test]
async fn an_undelivered_event_goes_to_its_target_and_to_no_other() {
    let cloud = cloud();
    let failed = take(&cloud, &undelivered(QUEUE)).await;
    cloud.take_calls();
    assert_eq!(desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap(), Retried::Sent);
    assert_eq!(sent(&cloud)[0].body["QueueUrl"], "DoorsQueue");
}

#[tokio::test]
async fn a_function_is_given_again_what_it_failed_on_and_its_answer_counts() {
    let cloud = cloud();
    let failed = take(&cloud, &undelivered(DOOR)).await;
    let reported = json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] });
    cloud.inject("lambda:InvokeFunction", Fault::Answered(reported));
    let again = desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap();
    assert!(matches!(again, Retried::FailedAgain(_)), "{again:?}");
    assert_eq!(row(&cloud, &failed.failure_id).failures, 2);
    assert_eq!(desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap(), Retried::Done);
}

#[tokio::test]
async fn an_edited_copy_has_ids_of_its_own_and_the_original_keeps_what_it_says() {
    let cloud = cloud();
    let desk = desk(&cloud);
    let event = bus_event(&cloud, &opened("red")).to_string();
    let failed = take(&cloud, &parked("m1", &event)).await;
    let edited = event.replace("red", "blue");
    let Edited::Copied(copy) = desk.edit(&failed.failure_id, &edited).await.unwrap() else {
        panic!("no copy")
    };
    let original = row(&cloud, &failed.failure_id);
    assert_eq!(original.status, FailureState::Replaced);
    assert_eq!(
        (original.body.as_deref(), original.replaced_by.as_ref()),
        (Some(event.as_str()), Some(&copy))
    );
    let copied = row(&cloud, &copy);
    assert_eq!((copied.status, copied.edit_of.as_ref()), (FailureState::Failed, Some(&failed.failure_id)));
    let body: Value = serde_json::from_str(copied.body.as_deref().unwrap()).unwrap();
    assert_eq!(body["detail"]["doorId"], "blue");
    assert_eq!(body["detail"]["metadata"]["eventId"], json!(copy));
    assert_eq!(desk.retry(&copy, &routes()).await.unwrap(), Retried::Sent);
    assert_eq!(
        desk.edit(&failed.failure_id, &edited).await.unwrap(),
        Edited::Standing(FailureState::Replaced)
    );
}

#[tokio::test]
async fn a_body_that_is_kept_beside_its_row_is_retried_whole() {
    let cloud = cloud();
    let large = "x".repeat(MOST_INLINE + 1);
    let failed = take(&cloud, &parked("m1", &large)).await;
    cloud.take_calls();
    desk(&cloud).retry(&failed.failure_id, &routes()).await.unwrap();
    assert_eq!(sent(&cloud)[0].body["MessageBody"], json!(large));
}

#[tokio::test]
async fn groups_tell_how_many_stand_where() {
    let cloud = cloud();
    let desk = desk(&cloud);
    let failed = take(&cloud, &parked("m1", "one")).await;
    take(&cloud, &parked("m2", "two")).await;
    take(&cloud, &letter("m3", "three", &[("reason", "it is painted on"), ("parkedBy", "door")])).await;
    desk.archive(&failed.failure_id, "known", &routes()).await.unwrap();
    let groups = desk.groups().await.unwrap();
    let stuck = groups.iter().find(|group| group.cause == "the door is stuck").unwrap();
    assert_eq!(stuck.failures, BTreeMap::from([("archived".to_owned(), 1), ("failed".to_owned(), 1)]));
    assert_eq!(groups.len(), 2);
    let selection = Selection { group: Some(stuck.group.to_string()), ..Selection::default() };
    assert_eq!(desk.select(&selection).await.unwrap().len(), 2);
    let waiting = Selection { status: Some(FailureState::Failed), ..selection };
    assert_eq!(desk.select(&waiting).await.unwrap().len(), 1);
}
