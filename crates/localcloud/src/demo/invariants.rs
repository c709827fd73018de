//! The promises, checked against the tables and the gateway's books.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eda::event_store::StoredEvent;
use eda::view::Generations;
use serde::de::DeserializeOwned;
use shop::books::{self, Books};
use shop::order::{ORDERS, OrderHead, OrderStatus};
use shop::stock::ReservationState;

use super::drive::{Driver, Letter, POISON_PER_QUEUE, work_queues};
use super::report::Invariant;
use super::scenario::End;
use crate::Error;

/// So many orders tell every story.
const EVERY_STORY: usize = 10;

pub(super) async fn check(driver: &Driver<'_>, unpublished: usize) -> Result<Vec<Invariant>, Error> {
    let books = read(driver).await?;
    let letters = driver.letters().await?;
    Ok(vec![
        every_order_ends_as_its_story_says(driver),
        every_order_has_one_end(driver, &books),
        the_same_key_gets_the_same_answer(driver),
        stock_is_conserved(&books),
        money_matches_shipments(&books),
        nobody_is_charged_twice(&books),
        an_outage_costs_time_only(driver),
        each_event_takes_effect_once(driver),
        views_equal_the_fold_of_their_events(&books),
        views_were_rebuilt_under_traffic(driver),
        invariant("every event is published", unpublished == 0, format!("{unpublished} rows in the outbox")),
        only_poison_is_parked(driver, &letters),
    ])
}

/// What the tables and the gateway's books hold when all is quiet.
pub(super) async fn read(driver: &Driver<'_>) -> Result<Books, Error> {
    let mut books = Books {
        stock: driver.stock.clone(),
        products: rows(driver, "InventoryTable").await?,
        reservations: rows(driver, "ReservationsTable").await?,
        shipments: rows(driver, "ShipmentsTable").await?,
        views: rows(driver, "OrderViewsTable").await?,
        ..Books::default()
    };
    for item in driver.stack.items("EventStoreTable").await? {
        if item.contains_key("eventType") {
            books.events.push(typed::<StoredEvent>("EventStoreTable", item)?);
        } else {
            books.heads.push(typed::<OrderHead>("EventStoreTable", item)?);
        }
    }
    // Beside it lies what other tasks remember of the views.
    let generations = driver.stack.items("ProjectionsTable").await?.into_iter();
    let mut generations = generations.filter_map(|item| serde_dynamo::from_item::<_, Generations>(item).ok());
    books.generations = generations.find(|generations| generations.projection == ORDERS);
    for intent in driver.ledger().await?.intents {
        let order = intent.metadata.get("orderId").cloned().unwrap_or_default();
        let charged = books.charges.entry(order).or_default();
        charged.times += intent.charges;
        charged.charged += intent.charged;
        charged.refunded += intent.refunded;
    }
    Ok(books)
}

async fn rows<T: DeserializeOwned>(driver: &Driver<'_>, table: &str) -> Result<Vec<T>, Error> {
    driver.stack.items(table).await?.into_iter().map(|item| typed(table, item)).collect()
}

fn typed<T: DeserializeOwned>(table: &str, item: eda::row::Item) -> Result<T, Error> {
    serde_dynamo::from_item(item)
        .map_err(|error| Error::Content { path: table.into(), message: error.to_string() })
}

fn invariant(name: &'static str, holds: bool, detail: String) -> Invariant {
    Invariant { name, holds, detail }
}

/// The invariant that nothing was found to break it.
fn unbroken(name: &'static str, broken: Vec<String>, otherwise: String) -> Invariant {
    if broken.is_empty() {
        invariant(name, true, otherwise)
    } else {
        invariant(name, false, broken.join("; "))
    }
}

fn every_order_ends_as_its_story_says(driver: &Driver<'_>) -> Invariant {
    let wrong = driver.orders.iter().filter(|order| order.end != order.scenario.expected());
    let wrong = wrong.map(|order| format!("{} ({}) is {}", order.order_id, order.scenario, order.end));
    let otherwise = format!("{} orders", driver.orders.len());
    unbroken("every order ends as its story says", wrong.collect(), otherwise)
}

fn every_order_has_one_end(driver: &Driver<'_>, books: &Books) -> Invariant {
    let mut broken = books.ends();
    let heads: HashMap<_, _> =
        books.heads.iter().map(|head| (head.aggregate_id.as_str(), head.status)).collect();
    for order in &driver.orders {
        let stored = heads.get(order.order_id.as_str()).copied();
        let told = match order.end {
            End::Confirmed => Some(OrderStatus::Confirmed),
            End::Cancelled => Some(OrderStatus::Cancelled),
            End::Unfinished => None,
        };
        if stored != told {
            broken.push(format!("{} is {stored:?}, and its customer is told {told:?}", order.order_id));
        }
    }
    let strangers = heads.len().saturating_sub(driver.orders.len());
    if strangers > 0 {
        broken.push(format!("{strangers} orders that nobody placed"));
    }
    let otherwise = "each order is confirmed and shipped, or cancelled and not".to_owned();
    unbroken("every order has exactly one end", broken, otherwise)
}

fn the_same_key_gets_the_same_answer(driver: &Driver<'_>) -> Invariant {
    let wrong = driver.orders.iter().filter(|order| !order.answers_agree);
    let wrong = wrong.map(|order| format!("{} ({}) was answered wrongly", order.order_id, order.scenario));
    let otherwise = "202 with a location each time, 422 for another body".to_owned();
    unbroken("the same key gets the same answer", wrong.collect(), otherwise)
}

fn stock_is_conserved(books: &Books) -> Invariant {
    let reserved = books.reservations.iter().filter(|row| row.status == ReservationState::Reserved);
    let pieces: u64 = reserved.flat_map(|row| &row.items).map(|item| u64::from(item.quantity)).sum();
    let otherwise = format!("{pieces} pieces in shipped orders, none lost, none below zero");
    unbroken(books::STOCK, books.stock(), otherwise)
}

fn money_matches_shipments(books: &Books) -> Invariant {
    let total: i64 = books.charges.values().map(|order| order.charged - order.refunded).sum();
    let otherwise = format!("{}.{:02} kept, the value of what has shipped", total / 100, total % 100);
    unbroken(books::MONEY, books.money(), otherwise)
}

fn nobody_is_charged_twice(books: &Books) -> Invariant {
    let total: u32 = books.charges.values().map(|order| order.times).sum();
    unbroken(books::CHARGES, books.charges(), format!("{total} charges, one per order at most"))
}

/// That no order is lost or charged twice for it is what the promises before say.
fn an_outage_costs_time_only(driver: &Driver<'_>) -> Invariant {
    const NAME: &str = "an outage of the gateway costs time and nothing else";
    match driver.outage.outcome(driver.orders.len() >= EVERY_STORY) {
        Ok(told) => {
            let late = driver.orders.iter().filter(|order| order.end != order.scenario.expected()).count();
            invariant(NAME, late == 0, told)
        }
        Err(reason) => invariant(NAME, false, reason),
    }
}

/// However often an event comes, what follows from it is announced once.
fn each_event_takes_effect_once(driver: &Driver<'_>) -> Invariant {
    let mut broken = Vec::new();
    let mut total = 0;
    for order in &driver.orders {
        let mut effects: BTreeMap<(&str, Option<&str>), u32> = BTreeMap::new();
        for (name, cause) in &order.events {
            total += 1;
            // An order that stays open past its deadline is announced again, with a new id, until it ends.
            if name != "OrderExpired" {
                *effects.entry((name, cause.as_deref())).or_default() += 1;
            }
        }
        let repeated = effects.iter().filter(|(_, times)| **times > 1);
        broken.extend(
            repeated.map(|((name, _), times)| format!("{} has {times} {name} of one cause", order.order_id)),
        );
    }
    unbroken(
        "each event takes effect once",
        broken,
        format!("{total} events, none of them twice for one cause"),
    )
}

fn views_equal_the_fold_of_their_events(books: &Books) -> Invariant {
    let generations: Vec<_> = books.whole().iter().map(u64::to_string).collect();
    let otherwise = format!("{} views, of generations {}", books.views.len(), generations.join(" and "));
    unbroken(books::VIEWS, books.views(), otherwise)
}

/// Readers see what was built while orders came in; that it is right is the promise before.
fn views_were_rebuilt_under_traffic(driver: &Driver<'_>) -> Invariant {
    const NAME: &str = "the views are built anew under traffic";
    // A single order may be over before the build begins.
    if driver.rebuild.meanwhile == 0 && driver.orders.len() > 1 {
        return invariant(NAME, false, "no event came while they were built".to_owned());
    }
    match driver.rebuild.outcome() {
        Ok(told) => invariant(NAME, true, told),
        Err(reason) => invariant(NAME, false, reason),
    }
}

/// What functions that are killed leave behind: receipts of which nobody knows whether they went out, and stream records that were
/// given up on, for which the sweeper and the reconciliation stand in.
const OF_THE_KILLED: [&str; 2] = ["SendReceiptFailuresQueue", "StreamFailuresQueue"];

/// A function that dies between parking a message and taking it off its queue parks it again: such copies are counted once.
fn only_poison_is_parked(driver: &Driver<'_>, letters: &BTreeMap<String, Vec<Letter>>) -> Invariant {
    let poisoned = work_queues(driver.stack);
    let mut broken = Vec::new();
    let (mut total, mut copies) = (0, 0);
    for (queue, letters) in letters {
        let fed = queue.strip_suffix("DeadLetterQueue").map(|name| format!("{name}Queue"));
        let expected = if fed.is_some_and(|name| poisoned.contains(&name)) { POISON_PER_QUEUE } else { 0 };
        let poison: BTreeSet<_> =
            letters.iter().filter(|letter| letter.is_poison).map(|letter| &letter.original).collect();
        let others = letters.iter().filter(|letter| !letter.is_poison).count();
        let others = if driver.killed && OF_THE_KILLED.contains(&queue.as_str()) { 0 } else { others };
        if poison.len() != expected || others > 0 {
            broken.push(format!(
                "{queue} holds {} of {expected} poisonous messages and {others} others",
                poison.len()
            ));
        }
        total += poison.len();
        copies += letters.iter().filter(|letter| letter.is_poison).count() - poison.len();
    }
    let copies = if copies > 0 { format!(", and {copies} copies") } else { String::new() };
    let otherwise = format!("{total} undecodable messages, each in its dead-letter queue{copies}");
    unbroken("only poison is parked", broken, otherwise)
}
