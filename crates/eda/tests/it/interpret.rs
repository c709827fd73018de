//! The interpreter of writes agrees with DynamoDB.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use eda::row::Item;
use eda::testing::interpret::{applied, holds};
use eda::transition::Written;
use eda::write::{Condition, ConditionalWrite};
use proptest::prelude::*;

use super::*;

/// A row of a number, a text and a set, each of which may be missing.
#[derive(Debug, Serialize, Deserialize)]
struct Thing {
    id: String,
    number: Option<i64>,
    status: Option<String>,
    set: Option<BTreeSet<String>>,
}

impl Row for Thing {
    const NAME: &'static str = "thing";
    const PARTITION_KEY: &'static str = "id";
}

fn things() -> Table<Thing> {
    Table::named("DoorsTable")
}

fn element() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(String::from)
}

fn item() -> impl Strategy<Value = Option<Item>> {
    let number = prop::option::of(-3_i64..4);
    let set = prop::option::of(prop::collection::btree_set(element(), 1..3));
    prop::option::of((number, prop::option::of(element()), set).prop_map(|(number, status, set)| {
        let mut item: Item = HashMap::from([("id".into(), AttributeValue::S("x".into()))]);
        item.extend(number.map(|number| ("number".to_owned(), AttributeValue::N(number.to_string()))));
        item.extend(status.map(|status| ("status".to_owned(), AttributeValue::S(status))));
        item.extend(set.map(|set| ("set".to_owned(), AttributeValue::Ss(set.into_iter().collect()))));
        item
    }))
}

fn condition() -> impl Strategy<Value = Condition> {
    let name = || prop::sample::select(vec!["id", "number", "status", "set"]);
    let leaf = prop_oneof![
        name().prop_map(Condition::absent),
        name().prop_map(Condition::present),
        (-3_i64..4).prop_map(|value| Condition::equals("number", value)),
        (-3_i64..4).prop_map(|value| Condition::at_least("number", value)),
        (-3_i64..4).prop_map(|value| Condition::at_most("number", value)),
        element().prop_map(|value| Condition::equals("status", value)),
        element().prop_map(|value| Condition::at_least("status", value)),
        (name(), element()).prop_map(|(name, value)| Condition::contains(name, value)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Condition::negated),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::All),
            prop::collection::vec(inner, 1..3).prop_map(Condition::Any),
        ]
    })
}

#[derive(Clone, Debug)]
enum Number {
    Left,
    Set(i64),
    SetOnce(i64),
    Add(i64),
    Removed,
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        Just(Number::Left),
        (-3_i64..4).prop_map(Number::Set),
        (-3_i64..4).prop_map(Number::SetOnce),
        (-3_i64..4).prop_map(Number::Add),
        Just(Number::Removed)
    ]
}

fn written(
    number: Number,
    status: String,
    element: Option<String>,
    condition: Condition,
) -> ConditionalWrite<Thing> {
    let write = things().update(Key::of("x")).set("status", status);
    let write = match number {
        Number::Left => write,
        Number::Set(value) => write.set("number", value),
        Number::SetOnce(value) => write.set_once("number", value),
        Number::Add(by) => write.add("number", by),
        Number::Removed => write.remove("number"),
    };
    let write = match element {
        Some(element) => write.add_to_set("set", element),
        None => write,
    };
    write.only_if(condition)
}

fn sorted(item: Option<Item>) -> Option<Item> {
    item.map(|mut item| {
        for value in item.values_mut() {
            if let AttributeValue::Ss(set) = value {
                set.sort_unstable();
            }
        }
        item
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_interpreter_of_writes_agrees_with_dynamodb(
        before in item(), number in number(), status in element(), added in prop::option::of(element()),
        condition in condition(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (after, took) = runtime.block_on(async {
            let cloud = cloud();
            let dynamodb = cloud.aws().dynamodb();
            if let Some(item) = before.clone() {
                dynamodb.put_item().table_name("DoorsTable").set_item(Some(item)).send().await.unwrap();
            }
            let write = written(number.clone(), status.clone(), added.clone(), condition.clone());
            let took = matches!(spine(&cloud).write(write).await.unwrap(), Written::Applied(_));
            let key = AttributeValue::S("x".into());
            let read = dynamodb.get_item().table_name("DoorsTable").key("id", key).consistent_read(true);
            (read.send().await.unwrap().item, took)
        });
        let write = written(number, status, added, condition);
        let (_, action, condition) = write.parts();
        prop_assert_eq!(holds(condition, before.as_ref()), took);
        let expected = if took { applied(action, before.as_ref()) } else { before };
        prop_assert_eq!(sorted(after), sorted(expected));
    }
}
