//! The promises, checked against the tables and the gateway's books.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eda::event_store::StoredEvent;
use serde::de::DeserializeOwned;
use shop::order::{OrderHead, OrderStatus, OrderView, OrderViewRow};
use shop::shipment::{Shipment, ShipmentState};
use shop::stock::{Reservation, ReservationState};

use super::drive::{Driver, Letter, POISON_PER_QUEUE, work_queues};
use super::report::Invariant;
use super::scenario::End;
use crate::Error;
use crate::gateway::Ledger;

/// What the tables and the books hold when all is quiet.
struct Books {
    available: BTreeMap<String, i64>,
    reservations: Vec<Reservation>,
    shipped: HashMap<String, bool>,
    heads: HashMap<String, OrderHead>,
    histories: HashMap<String, Vec<StoredEvent>>,
    views: HashMap<String, OrderViewRow>,
    ledger: Ledger,
}

pub(super) async fn check(driver: &Driver<'_>) -> Result<Vec<Invariant>, Error> {
    let books = Books::read(driver).await?;
    let letters = driver.letters().await?;
    let outbox = driver.stack.items("OutboxTable").await?.len();
    Ok(vec![
        every_order_ends_as_its_story_says(driver),
        every_order_has_one_end(driver, &books),
        the_same_key_gets_the_same_answer(driver),
        stock_is_conserved(driver, &books),
        money_matches_shipments(&books),
        nobody_is_charged_twice(&books),
        each_event_takes_effect_once(driver),
        views_equal_the_fold_of_their_events(&books),
        invariant("every event is published", outbox == 0, format!("{outbox} rows in the outbox")),
        only_poison_is_parked(driver, &letters),
    ])
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

impl Books {
    async fn read(driver: &Driver<'_>) -> Result<Self, Error> {
        let stock = driver.stack.rows("InventoryTable").await?;
        let available = stock.iter().filter_map(|row| {
            Some((row.get("productId")?.as_str()?.to_owned(), row.get("available")?.as_i64()?))
        });
        let shipments: Vec<Shipment> = rows(driver, "ShipmentsTable").await?;
        let shipped = shipments.into_iter().map(|row| (row.order_id, row.status == ShipmentState::Shipped));
        let (mut heads, mut histories) = (HashMap::new(), HashMap::<String, Vec<StoredEvent>>::new());
        for item in driver.stack.items("EventStoreTable").await? {
            if item.contains_key("eventType") {
                let event: StoredEvent = typed("EventStoreTable", item)?;
                histories.entry(event.aggregate_id.clone()).or_default().push(event);
            } else {
                let head: OrderHead = typed("EventStoreTable", item)?;
                heads.insert(head.aggregate_id.clone(), head);
            }
        }
        for history in histories.values_mut() {
            history.sort_by_key(|event| event.version);
        }
        let views: Vec<OrderViewRow> = rows(driver, "OrderViewsTable").await?;
        Ok(Self {
            available: available.collect(),
            reservations: rows(driver, "ReservationsTable").await?,
            shipped: shipped.collect(),
            heads,
            histories,
            views: views.into_iter().map(|row| (row.order_id.clone(), row)).collect(),
            ledger: driver.ledger().await?,
        })
    }

    fn has_shipped(&self, order_id: &str) -> bool {
        self.shipped.get(order_id).copied().unwrap_or(false)
    }
}

async fn rows<T: DeserializeOwned>(driver: &Driver<'_>, table: &str) -> Result<Vec<T>, Error> {
    driver.stack.items(table).await?.into_iter().map(|item| typed(table, item)).collect()
}

fn typed<T: DeserializeOwned>(table: &str, item: eda::row::Item) -> Result<T, Error> {
    serde_dynamo::from_item(item)
        .map_err(|error| Error::Content { path: table.into(), message: error.to_string() })
}

fn every_order_ends_as_its_story_says(driver: &Driver<'_>) -> Invariant {
    let wrong = driver.orders.iter().filter(|order| order.end != order.scenario.expected());
    let wrong = wrong.map(|order| format!("{} ({}) is {}", order.order_id, order.scenario, order.end));
    let otherwise = format!("{} orders", driver.orders.len());
    unbroken("every order ends as its story says", wrong.collect(), otherwise)
}

fn every_order_has_one_end(driver: &Driver<'_>, books: &Books) -> Invariant {
    let mut broken = Vec::new();
    for order in &driver.orders {
        let ends = books
            .histories
            .get(&order.order_id)
            .map_or(0, |history| history.iter().filter(|event| event.event_type != "OrderPlaced").count());
        let status = books.heads.get(&order.order_id).map(|head| head.status);
        let told = match order.end {
            End::Confirmed => Some(OrderStatus::Confirmed),
            End::Cancelled => Some(OrderStatus::Cancelled),
            End::Unfinished => None,
        };
        if ends != 1
            || status != told
            || (told == Some(OrderStatus::Confirmed)) != books.has_shipped(&order.order_id)
        {
            broken.push(format!("{} has {ends} ends and is {status:?}", order.order_id));
        }
    }
    let strangers = books.heads.len().saturating_sub(driver.orders.len());
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

fn stock_is_conserved(driver: &Driver<'_>, books: &Books) -> Invariant {
    let mut reserved: BTreeMap<&str, i64> = BTreeMap::new();
    for row in books.reservations.iter().filter(|row| row.status == ReservationState::Reserved) {
        for item in &row.items {
            *reserved.entry(&item.product_id).or_default() += i64::from(item.quantity);
        }
    }
    let mut broken = Vec::new();
    for (product, before) in &driver.stock {
        let available = books.available.get(product).copied().unwrap_or_default();
        let reserved = reserved.get(product.as_str()).copied().unwrap_or_default();
        if available < 0 || available + reserved != *before {
            broken.push(format!("{product}: {before} became {available} + {reserved} reserved"));
        }
    }
    let idle = books.reservations.iter().filter(|row| row.status == ReservationState::Reserved);
    let idle = idle.filter(|row| !books.has_shipped(&row.order_id));
    broken.extend(idle.map(|row| format!("{} holds stock and has not shipped", row.order_id)));
    let pieces: i64 = reserved.values().sum();
    unbroken(
        "stock is conserved",
        broken,
        format!("{pieces} pieces in shipped orders, none lost, none below zero"),
    )
}

fn money_matches_shipments(books: &Books) -> Invariant {
    let mut kept: HashMap<&str, i64> = HashMap::new();
    for intent in &books.ledger.intents {
        let order = intent.metadata.get("orderId").map(String::as_str).unwrap_or_default();
        *kept.entry(order).or_default() += intent.charged - intent.refunded;
    }
    let mut broken = Vec::new();
    let mut total = 0;
    for (order_id, history) in &books.histories {
        let view = OrderView::fold(None, history).ok().flatten();
        let price = view.and_then(|view| {
            view.total_amount.minor_units(iso_currency::Currency::from_code(&view.currency)?)
        });
        let owed = if books.has_shipped(order_id) { price.unwrap_or(-1) } else { 0 };
        let paid = kept.remove(order_id.as_str()).unwrap_or_default();
        total += paid;
        if paid != owed {
            broken.push(format!("{order_id} is worth {owed} and paid {paid} cents"));
        }
    }
    broken.extend(
        kept.iter().filter(|(_, paid)| **paid != 0).map(|(id, paid)| format!("{id:?} paid {paid} cents")),
    );
    let otherwise = format!("{}.{:02} kept, the value of what has shipped", total / 100, total % 100);
    unbroken("charged minus refunded is the value of shipped orders", broken, otherwise)
}

fn nobody_is_charged_twice(books: &Books) -> Invariant {
    let mut charges: HashMap<&str, u32> = HashMap::new();
    for intent in &books.ledger.intents {
        *charges.entry(intent.metadata.get("orderId").map_or("", String::as_str)).or_default() +=
            intent.charges;
    }
    let twice = charges.iter().filter(|(_, charges)| **charges > 1);
    let twice = twice.map(|(order, charges)| format!("{order} was charged {charges} times")).collect();
    let total: u32 = charges.values().sum();
    unbroken("nobody is charged twice", twice, format!("{total} charges, one per order at most"))
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
    let mut broken = Vec::new();
    for (order_id, history) in &books.histories {
        let folded = OrderView::fold(None, history).ok().flatten();
        let stored = books.views.get(order_id).and_then(|row| row.view().ok());
        if folded.is_none() || folded != stored {
            broken.push(format!("the view of {order_id} differs from its events"));
        }
    }
    unbroken("each view equals the fold of its events", broken, format!("{} views", books.views.len()))
}

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
        if poison.len() != expected || others > 0 {
            broken.push(format!(
                "{queue} holds {} of {expected} poisonous messages and {others} others",
                poison.len()
            ));
        }
        total += poison.len();
        copies += letters.len() - others - poison.len();
    }
    let copies = if copies > 0 { format!(", and {copies} copies") } else { String::new() };
    let otherwise = format!("{total} undecodable messages, each in its dead-letter queue{copies}");
    unbroken("only poison is parked", broken, otherwise)
}
