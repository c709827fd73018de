use eda::failure::Kind;
use eda::inbox;
use eda::row::{Key, Table};
use eda::telemetry::{Refusals, take_refusals};
use eda::testing::Fault;
use eda::transition::{Outcome, Transition, Written};
use eda::write::Condition;
use serde_json::json;
use uuid::Uuid;

use super::*;

fn open(cloud: &TestCloud, id: &str) -> Transition<Door> {
    Transition::guarded_by(doors().update(Key::of(id)).add("visitors", 1).step(OPEN))
        .emit(event(cloud, &opened(id)))
}

#[tokio::test]
async fn a_transition_changes_the_state_and_announces_it_together() {
    let cloud = cloud();
    assert!(matches!(spine(&cloud).commit(open(&cloud, "d")).await, Ok(Outcome::Applied)));
    assert_eq!(stored(&cloud, "d"), Some(door("d", Standing::Open, 1)));
    assert_eq!(cloud.announced_names(), ["Opened"]);
    assert_eq!(cloud.take_call_names(), ["dynamodb:TransactWriteItems"]);
}

#[tokio::test]
async fn a_spent_guard_gives_the_row_that_spent_it() {
    let cloud = cloud();
    cloud.put("DoorsTable", &door("d", Standing::Open, 7));
    match spine(&cloud).commit(open(&cloud, "d")).await.unwrap() {
        Outcome::Duplicate(held) => assert_eq!(held, Some(door("d", Standing::Open, 7))),
        Outcome::Applied => panic!("applied"),
    }
    assert!(cloud.announced().is_empty());
}

#[tokio::test]
async fn a_refusal_counts_as_a_duplicate_unless_the_guard_was_only_tried() {
    let cloud = cloud();
    cloud.put("DoorsTable", &door("d", Standing::Open, 7));
    assert_eq!(take_refusals(), Refusals::default());
    spine(&cloud).try_commit(open(&cloud, "d")).await.unwrap();
    assert_eq!(take_refusals(), Refusals::default());
    spine(&cloud).commit(open(&cloud, "d")).await.unwrap();
    assert_eq!(take_refusals(), Refusals { duplicates: 1, wrong_guesses: 0 });
}

#[tokio::test]
async fn business_conditions_are_named_all_of_them_and_nothing_changes() {
    let cloud = cloud();
    cloud.put("DoorsTable", &door("full", Standing::Open, 9));
    let room = |id: &'static str| {
        let write = doors().update(Key::of(id)).add("visitors", 1);
        (write.only_if(Condition::at_most("visitors", 8_i64)), id)
    };
    cloud.put("DoorsTable", &door("free", Standing::Open, 0));
    let transition = open(&cloud, "d").requiring([room("full"), room("free"), room("absent")]);
    match spine(&cloud).commit(transition).await.unwrap() {
        Outcome::Rejected(first, others) => assert_eq!((first, others), ("full", vec!["absent"])),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&cloud, "d"), None);
    assert_eq!(stored(&cloud, "free").unwrap().visitors, 0);
}

#[tokio::test]
async fn a_spent_guard_outweighs_a_business_condition() {
    let cloud = cloud();
    cloud.put("DoorsTable", &door("d", Standing::Open, 7));
    let refused = doors().update(Key::of("absent")).add("visitors", 1).only_if(Condition::present("id"));
    let transition = open(&cloud, "d").requiring([(refused, "absent")]);
    assert!(matches!(spine(&cloud).commit(transition).await, Ok(Outcome::Duplicate(Some(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_lasts_is_a_transient_failure() {
    let cloud = cloud();
    let conflict = json!({ "CancellationReasons": [{ "Code": "TransactionConflict" }, { "Code": "None" }] });
    for _ in 0..20 {
        cloud.inject(
            "dynamodb:TransactWriteItems",
            Fault::Refused(400, "TransactionCanceledException", conflict.clone()),
        );
    }
    let failure = spine(&cloud).commit(open(&cloud, "d")).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert!(failure.chain().contains("TransactionConflict"), "{}", failure.chain());
}

#[tokio::test]
async fn a_transition_of_more_than_a_hundred_actions_is_refused_before_it_is_sent() {
    let cloud = cloud();
    let visits = (0..100).map(|index| doors().update(Key::of(format!("d{index}"))).add("visitors", 1));
    let transition = visits.fold(open(&cloud, "d"), Transition::also);
    let failure = spine(&cloud).commit(transition).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Permanent);
    assert!(cloud.take_calls().is_empty());
}

#[tokio::test]
async fn what_the_role_does_not_allow_is_a_transient_failure_and_loses_nothing() {
    let cloud = cloud();
    let table = Table::<Door>::named("ForeignTable");
    let failure = spine(&cloud).write(table.update(Key::of("d")).step(OPEN)).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Transient);
    assert!(failure.chain().contains("ForeignTable"), "{}", failure.chain());
}

#[tokio::test]
async fn a_single_write_gives_the_row_as_it_was() {
    let cloud = cloud();
    let spine = spine(&cloud);
    let visit = || doors().update(Key::of("d")).add("visitors", 1).step(OPEN);
    match spine.write(visit()).await.unwrap() {
        Written::Applied(row) => assert_eq!(row, None),
        Written::Refused(_) => panic!("refused"),
    }
    match spine.write(visit()).await.unwrap() {
        Written::Refused(row) => assert_eq!(row, Some(door("d", Standing::Open, 1))),
        Written::Applied(_) => panic!("applied"),
    }
}

#[tokio::test]
async fn a_condition_reads_as_it_is_written() {
    let cloud = cloud();
    cloud.put("DoorsTable", &door("d", Standing::Shut, 3));
    let spine = spine(&cloud);
    let holds = async |condition: Condition| {
        let write = doors().update(Key::of("d")).set("touched", "yes").only_if(condition);
        matches!(spine.write(write).await.unwrap(), Written::Applied(_))
    };
    assert!(holds(Condition::absent("nothing").and(Condition::present("visitors"))).await);
    assert!(holds(Condition::at_least("visitors", 3_i64)).await);
    assert!(!holds(Condition::at_least("visitors", 4_i64)).await);
    assert!(!holds(Condition::equals("status", "open")).await);
    assert!(holds(Condition::equals("status", "open").negated()).await);
    assert!(
        holds(Condition::Any(vec![Condition::absent("id"), Condition::at_most("visitors", 3_i64)])).await
    );
    assert!(!holds(Condition::contains("tags", "a")).await);
    assert!(holds(Condition::contains("tags", "a").negated()).await);
}

#[tokio::test]
async fn an_inbox_row_lets_an_event_through_once_per_consumer_until_it_expires() {
    let cloud = cloud();
    let spine = spine(&cloud);
    let table = Table::<inbox::InboxRow>::named("InboxTable");
    let id = Uuid::from_u128(1);
    let apply = async |consumer: &str| {
        let guard = inbox::guard(&table, consumer, id, &cloud.ambient(), 1).unwrap();
        let visit = doors().update(Key::of("d")).add("visitors", 1);
        matches!(spine.commit(Transition::guarded_by(guard).also(visit)).await, Ok(Outcome::Applied))
    };
    assert!(apply("one").await);
    assert!(!apply("one").await);
    assert!(apply("other").await);
    // Expired rows linger: DynamoDB deletes them within days, not at once.
    cloud.advance(std::time::Duration::from_secs(86_400));
    assert!(apply("one").await);
}
