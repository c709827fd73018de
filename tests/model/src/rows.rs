//! The rows of one order, moved by the shop's own writes.
//!
//! Every row that a write can make of any other is worked out once, by interpreting the writes; from then on a row is
//! a number and a write is a look-up.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use eda::ambient::{Ambient, Manual};
use eda::event::{Cause, Emission, SagaStyle};
use eda::event_store::{Appendable, append, start};
use eda::join::{Arrival, JoinRow};
use eda::row::{Item, Key, Row, Table, from_item, to_item};
use eda::testing::interpret::{applied, holds};
use eda::transition::Transition;
use eda::write::{Action, Condition, ConditionalWrite};
use shop::events::{OrderCancelled, OrderConfirmed};
use shop::order::{OrderHead, OrderStatus};
use shop::payment::{CHARGE, Payment, PaymentState, UNDO};
use shop::saga::{JOIN, STEPS, reason};
use shop::shipment::{Shipment, ShipmentState};
use shop::stock::{Product, Quantity, Reservation, ReservationState};

use crate::rules::Rule;

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The head of the order in the event store.
    Head,
    /// The reservation.
    Reservation,
    /// The payment.
    Payment,
    /// The shipment.
    Shipment,
    /// The join.
    Join,
    /// The only product.
    Product,
}

const SLOTS: [Slot; 6] =
    [Slot::Head, Slot::Reservation, Slot::Payment, Slot::Shipment, Slot::Join, Slot::Product];

/// The rows of a state: numbers into [`Rows`]; 0 where there is none.
pub type Ids = [u8; 6];

/// The causes of a refund: `ShipmentFailed`, the first `OrderExpired`, the repeated one.
pub const REFUND_CAUSES: u8 = 3;
/// The causes of a release: `PaymentFailed`, and a `PaymentRefunded` for each cause of a refund.
pub const RELEASE_CAUSES: u8 = 4;
/// Which parts a join that has begun and waits may lack, as bits.
pub const LACKING: std::ops::Range<u8> = 1..7;
/// How often an order comes up past its deadline before the model counts no further.
pub const DEADLINES: u8 = 3;

/// A write, or several in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as in the shop")]
pub enum Op {
    Reserve,
    Reject,
    OtherTakes,
    OtherReturns,
    Intend(u8),
    Refuse,
    Charge,
    Decline,
    ChargeUnintended(u8),
    Undo,
    FinishUndo(u8),
    BuryPayment(u8),
    AnnouncePayment(u8),
    Ship,
    CloseShipment,
    PutBack(u8),
    BuryReservation(u8),
    AnnounceReservation(u8),
    Part(u8),
    Last(u8),
    Confirm(u8),
    Cancel(u8),
    Expire(u8),
    Postpone(u8),
    /// Of a join that was read without these parts, as bits.
    TimeOut(u8),
}

impl Op {
    fn all() -> Vec<Self> {
        let mut all = vec![Self::Reserve, Self::Reject, Self::OtherTakes, Self::OtherReturns, Self::Refuse];
        all.extend([Self::Charge, Self::Decline, Self::Undo, Self::Ship, Self::CloseShipment]);
        all.extend((0..2).flat_map(|intent| [Self::Intend(intent), Self::ChargeUnintended(intent)]));
        all.extend(
            (0..REFUND_CAUSES)
                .flat_map(|k| [Self::FinishUndo(k), Self::BuryPayment(k), Self::AnnouncePayment(k)]),
        );
        all.extend(
            (0..RELEASE_CAUSES)
                .flat_map(|k| [Self::PutBack(k), Self::BuryReservation(k), Self::AnnounceReservation(k)]),
        );
        all.extend((0..3).flat_map(|part| [Self::Part(part), Self::Last(part)]));
        all.extend((1..3).flat_map(|version| [Self::Confirm(version), Self::Cancel(version)]));
        all.extend((0..DEADLINES).flat_map(|seen| [Self::Expire(seen), Self::Postpone(seen)]));
        all.extend(LACKING.map(Self::TimeOut));
        all
    }

    const fn id(self) -> usize {
        let (kind, index) = match self {
            Self::Reserve => (0, 0),
            Self::Reject => (1, 0),
            Self::OtherTakes => (2, 0),
            Self::OtherReturns => (3, 0),
            Self::Intend(index) => (4, index),
            Self::Refuse => (5, 0),
            Self::Charge => (6, 0),
            Self::Decline => (7, 0),
            Self::ChargeUnintended(index) => (8, index),
            Self::Undo => (9, 0),
            Self::FinishUndo(index) => (10, index),
            Self::BuryPayment(index) => (11, index),
            Self::AnnouncePayment(index) => (12, index),
            Self::Ship => (13, 0),
            Self::CloseShipment => (14, 0),
            Self::PutBack(index) => (15, index),
            Self::BuryReservation(index) => (16, index),
            Self::AnnounceReservation(index) => (17, index),
            Self::Part(index) => (18, index),
            Self::Last(index) => (19, index),
            Self::Confirm(index) => (20, index),
            Self::Cancel(index) => (21, index),
            Self::Expire(index) => (22, index),
            Self::Postpone(index) => (23, index),
            // The last: it has more than four.
            Self::TimeOut(missing) => (24, missing),
        };
        kind * 4 + index as usize
    }

    /// The rule whose removal takes the conditions from this write.
    const fn rule(self) -> Option<Rule> {
        match self {
            Self::Reserve => Some(Rule::ReserveOnlyOnce),
            Self::Charge | Self::Decline => Some(Rule::RecordOnlyIfPending),
            Self::PutBack(_) => Some(Rule::ReleaseOnlyReserved),
            Self::Ship => Some(Rule::ShipOnlyIfOpen),
            Self::Last(_) => Some(Rule::JoinOnlyComplete),
            Self::TimeOut(_) => Some(Rule::TimeOutOnlyWaiting),
            Self::Confirm(_) | Self::Cancel(_) => Some(Rule::EndOnlyOpenOrders),
            _ => None,
        }
    }
}

/// What a row is, for those who decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where the head stands.
    pub order: Option<OrderStatus>,
    /// Its version.
    pub version: u8,
    /// How often its deadline has moved.
    pub deadline: u8,
    /// Where the reservation stands.
    pub reservation: Option<ReservationState>,
    /// The causes that its release was announced to, as bits.
    pub answered: u8,
    /// Where the payment stands.
    pub payment: Option<PaymentState>,
    /// Its intent.
    pub intent: Option<u8>,
    /// Where the shipment stands.
    pub shipment: Option<ShipmentState>,
    /// Whether the join is complete.
    pub joined: bool,
    /// Whether the join has timed out.
    pub timed_out: bool,
    /// What is available of the product.
    pub available: i64,
}

struct Compiled(Vec<(Slot, Vec<Option<u8>>)>);

/// All rows that there can be, and what each write makes of each.
pub struct Rows {
    items: BTreeMap<Slot, Vec<Option<Item>>>,
    /// By slot, then by row.
    seen: Vec<Vec<Seen>>,
    ops: Vec<Option<Compiled>>,
    initial: Ids,
}

type Part = (Slot, Action, Option<Condition>);

const ORDER: &str = "o1";
const PIECE: u32 = 1;

struct Tables {
    head: Table<OrderHead>,
    reservation: Table<Reservation>,
    payment: Table<Payment>,
    shipment: Table<Shipment>,
    join: Table<JoinRow>,
    product: Table<Product>,
    ambient: Ambient,
}

fn slot(table: &str) -> Option<Slot> {
    SLOTS.into_iter().find(|slot| format!("{slot:?}") == table)
}

fn intent(index: u8) -> String {
    format!("pi_{index}")
}

fn cause(index: u8) -> String {
    format!("cause-{index}")
}

fn parts<G: Row, R>(transition: &Transition<G, R>) -> Result<Vec<Part>> {
    let parts = transition.parts();
    // Stored events are not rows that anybody decides by.
    let parts =
        parts.filter(|(table, action, _)| *table != "Head" || matches!(action, Action::Update { .. }));
    parts
        .map(|(table, action, condition)| {
            Ok((slot(table).context("an unknown table")?, action.clone(), condition.cloned()))
        })
        .collect()
}

fn one<G: Row>(write: ConditionalWrite<G>) -> Result<Vec<Part>> {
    parts(&Transition::guarded_by(write))
}

impl Tables {
    fn new() -> Self {
        let start = std::time::UNIX_EPOCH.try_into().unwrap_or_default();
        Self {
            head: Table::named("Head"),
            reservation: Table::named("Reservation"),
            payment: Table::named("Payment"),
            shipment: Table::named("Shipment"),
            join: Table::named("Join"),
            product: Table::named("Product"),
            ambient: Ambient::from_source(Manual::new(start, 1)),
        }
    }

    fn append<E: Appendable<OrderHead>>(&self, event: &E, expected: u8) -> Result<Vec<Part>> {
        let cause = Cause::root(SagaStyle::Choreographed, None);
        let emission = Emission::new(&cause, event, &self.ambient)?;
        let appended = append(&self.head, ORDER, expected.into(), &[emission], |head| event.change(head))?;
        parts(&appended)
    }

    fn write(&self, op: Op) -> Result<Vec<Part>> {
        let quantity = Quantity { product_id: "keyboard".to_owned(), quantity: PIECE };
        let items = std::slice::from_ref(&quantity);
        let arrival = |part: u8| -> Result<Arrival<'static>> {
            let part = STEPS.get(usize::from(part)).context("an unknown part")?;
            Ok(Arrival { join_id: ORDER, part, event_id: "e", usually_last: false, deadline: 0 })
        };
        let postpone = |seen: u8| {
            let next = (seen + 1).min(DEADLINES - 1);
            OrderHead::postpone(self.head.update(OrderHead::key(ORDER)), seen.into(), next.into())
        };
        match op {
            Op::Reserve => {
                let guard = Reservation::reserve(&self.reservation, ORDER, items, 0)?;
                let enough = [(Product::take(&self.product, &quantity), ())];
                parts(&Transition::guarded_by(guard).requiring(enough))
            }
            Op::Reject => one(Reservation::reject(&self.reservation, ORDER, 0)?),
            Op::OtherTakes => one(Product::take(&self.product, &quantity)),
            Op::OtherReturns => {
                let back = Product::put_back(&self.product, &quantity);
                one(back.only_if(Condition::present(Product::PARTITION_KEY)))
            }
            Op::Intend(index) => one(Payment::intend(&self.payment, ORDER, &intent(index), 1, "USD", 0)?),
            Op::Refuse => one(Payment::refuse(&self.payment, ORDER, reason::NOT_CHARGEABLE, 0)?),
            Op::Charge => one(Payment::step(&self.payment, ORDER, CHARGE)),
            Op::Decline => one(Payment::decline(&self.payment, ORDER, reason::DECLINED)),
            Op::ChargeUnintended(index) => {
                // Not a write of the shop's: what it would have to write if it charged first.
                let intended = Payment::intend(&self.payment, ORDER, &intent(index), 1, "USD", 0)?;
                let (_, action, condition) = intended.parts();
                let Action::Put(mut row) = action.clone() else { anyhow::bail!("an intent is put") };
                let charged = to_item(&Payment {
                    order_id: ORDER.to_owned(),
                    status: PaymentState::Charged,
                    intent_id: None,
                    amount_minor: None,
                    currency: None,
                    reason: None,
                    answered: std::collections::BTreeSet::new(),
                    expires_at: 0,
                })?;
                row.extend(charged);
                Ok(vec![(Slot::Payment, Action::Put(row), Some(condition.clone()))])
            }
            Op::Undo => one(Payment::step(&self.payment, ORDER, UNDO)),
            Op::FinishUndo(k) => one(Payment::finish_undo(&self.payment, ORDER, &cause(k))),
            Op::BuryPayment(k) => one(Payment::bury(&self.payment, ORDER, &cause(k), 0)),
            Op::AnnouncePayment(k) => one(Payment::announce(&self.payment, ORDER, &cause(k))),
            Op::Ship => one(Shipment::ship(&self.shipment, ORDER, "shipment", 0)?),
            Op::CloseShipment => {
                one(Shipment::close(&self.shipment, ORDER, reason::DESTINATION_NOT_SERVED, 0)?)
            }
            Op::PutBack(k) => {
                let guard = Reservation::release(&self.reservation, ORDER, &cause(k));
                parts(&Transition::guarded_by(guard).also(Product::put_back(&self.product, &quantity)))
            }
            Op::BuryReservation(k) => one(Reservation::bury(&self.reservation, ORDER, &cause(k), 0)?),
            Op::AnnounceReservation(k) => one(Reservation::announce(&self.reservation, ORDER, &cause(k))),
            Op::Part(part) => {
                let write = self.join.update(Key::of(ORDER)).set("expiresAt", 0_i64);
                one(JOIN.part(write, &arrival(part)?))
            }
            Op::Last(part) => {
                let write = self.join.update(Key::of(ORDER)).set("expiresAt", 0_i64);
                one(JOIN.last(write, &arrival(part)?, 0))
            }
            Op::Confirm(version) => {
                let confirmed = OrderConfirmed { order_id: ORDER.into(), customer_id: "c".into() };
                self.append(&confirmed, version)
            }
            Op::Cancel(version) => {
                let (order_id, customer_id) = (ORDER.into(), "c".into());
                self.append(&OrderCancelled { order_id, customer_id, reason: String::new() }, version)
            }
            Op::Expire(seen) => {
                let close = Shipment::close(&self.shipment, ORDER, reason::EXPIRED, 0)?;
                parts(&Transition::guarded_by(close).requiring([(postpone(seen), ())]))
            }
            Op::Postpone(seen) => one(postpone(seen)),
            Op::TimeOut(missing) => {
                let parts = (0..).zip(STEPS).filter(|(index, _)| missing & 1 << index != 0);
                let parts: Vec<_> = parts.map(|(_, part)| *part).collect();
                one(JOIN.timed_out(self.join.update(Key::of(ORDER)), &parts, self.ambient.now()))
            }
        }
    }
}

impl Rows {
    /// Works out every row, without one of the rules if one is named.
    ///
    /// # Errors
    /// Where the shop cannot build a write, or a row of its own cannot be read: a bug.
    pub fn new(without: Option<Rule>) -> Result<Self> {
        let tables = Tables::new();
        let mut writes = BTreeMap::new();
        for op in Op::all() {
            let mut parts = tables.write(op)?;
            let removed = without.is_some() && op.rule() == without;
            for (slot, _, condition) in &mut parts {
                if (removed && *slot != Slot::Product)
                    || (*slot == Slot::Product && without == Some(Rule::ReserveOnlyWhatIsThere))
                {
                    *condition = None;
                }
                // A head that counts versions but does not look at its status.
                if let (true, Op::Confirm(version) | Op::Cancel(version)) = (removed, op) {
                    *condition = Some(Condition::equals("currentVersion", u32::from(version)));
                }
            }
            if let (Some(Rule::ExpiryClosesPivot), Op::Expire(_)) = (without, op) {
                parts.retain(|(slot, ..)| *slot != Slot::Shipment);
            }
            writes.insert(op, parts);
        }
        let placed = OrderHead { deadline: Some(0), ..shop::testing::open_order(ORDER) };
        let first = start(&tables.head, ORDER, &placed, &[])?;
        let head = first.parts().next().and_then(|(_, action, _)| applied(action, None));
        let mut head = head.context("an order can be placed")?;
        head.insert("currentVersion".to_owned(), eda::row::IntoValue::into_value(1_u32));
        let product = to_item(&Product { version: 0, ..shop::testing::product("keyboard", 1) })?;
        let mut items: BTreeMap<_, _> = SLOTS.into_iter().map(|slot| (slot, vec![None])).collect();
        items.insert(Slot::Head, vec![None, Some(head)]);
        items.insert(Slot::Product, vec![None, Some(product)]);
        let ops = close(&mut items, &writes)?;
        let mut seen = Vec::new();
        // In the order of the slots.
        for (slot, items) in &items {
            let rows: Result<Vec<_>> = items.iter().map(|item| look(*slot, item.as_ref())).collect();
            seen.push(rows?);
        }
        Ok(Self { items, seen, ops, initial: [1, 0, 0, 0, 0, 1] })
    }

    /// An order that is placed, and one piece of its product.
    #[must_use]
    pub const fn initial(&self) -> Ids {
        self.initial
    }

    /// The rows after the write.
    ///
    /// # Errors
    /// Which of its conditions refused first; 0 is the guard's.
    pub fn write(&self, rows: &Ids, op: Op) -> Result<Ids, usize> {
        let mut after = *rows;
        let compiled = self.ops.get(op.id()).and_then(Option::as_ref);
        for (index, (slot, table)) in compiled.iter().flat_map(|compiled| &compiled.0).enumerate() {
            let Some(row) = after.get_mut(*slot as usize) else { return Err(index) };
            *row = table.get(usize::from(*row)).copied().flatten().ok_or(index)?;
        }
        Ok(after)
    }

    /// What the rows say.
    #[must_use]
    pub fn look(&self, rows: &Ids) -> Seen {
        let of = |slot: Slot| -> Seen {
            let row = rows.get(slot as usize).copied().unwrap_or_default();
            self.seen
                .get(slot as usize)
                .and_then(|rows| rows.get(usize::from(row)))
                .copied()
                .unwrap_or_default()
        };
        let (head, reservation, payment) = (of(Slot::Head), of(Slot::Reservation), of(Slot::Payment));
        Seen {
            reservation: reservation.reservation,
            answered: reservation.answered,
            payment: payment.payment,
            intent: payment.intent,
            shipment: of(Slot::Shipment).shipment,
            joined: of(Slot::Join).joined,
            timed_out: of(Slot::Join).timed_out,
            available: of(Slot::Product).available,
            ..head
        }
    }

    /// How the rows differ, in words.
    #[must_use]
    pub fn difference(&self, before: &Ids, after: &Ids) -> Vec<String> {
        let changed =
            SLOTS.iter().zip(before.iter().zip(after)).filter(|(_, (before, after))| before != after);
        changed.map(|(slot, (_, after))| format!("{slot:?} row: {}", self.describe(*slot, *after))).collect()
    }

    fn describe(&self, slot: Slot, row: u8) -> String {
        let Some(Some(item)) = self.items.get(&slot).and_then(|items| items.get(usize::from(row))) else {
            return "none".to_owned();
        };
        let told = ["status", "currentVersion", "deadline", "intentId", "answered", "available"];
        let parts = STEPS.iter().copied().chain(["completedAt", "timedOutAt"]);
        let told = told.into_iter().chain(parts).filter_map(|name| {
            let value = item.get(name)?;
            let value =
                value.as_s().or(value.as_n()).cloned().or_else(|_| value.as_ss().map(|set| set.join("+")));
            value.ok().map(|value| format!("{name} {value}"))
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Applies every write to every row until nothing new comes of it.
fn close(
    items: &mut BTreeMap<Slot, Vec<Option<Item>>>,
    writes: &BTreeMap<Op, Vec<Part>>,
) -> Result<Vec<Option<Compiled>>> {
    let mut ops: Vec<Option<Compiled>> = Vec::new();
    for (op, parts) in writes {
        if ops.len() <= op.id() {
            ops.resize_with(op.id() + 1, || None);
        }
        let empty = parts.iter().map(|(slot, ..)| (*slot, Vec::new())).collect();
        if let Some(place) = ops.get_mut(op.id()) {
            *place = Some(Compiled(empty));
        }
    }
    let mut grown = true;
    while grown {
        grown = false;
        for (op, parts) in writes {
            let Some(Some(compiled)) = ops.get_mut(op.id()) else { continue };
            for ((slot, action, condition), (_, table)) in parts.iter().zip(&mut compiled.0) {
                let rows = items.get_mut(slot).context("an unknown slot")?;
                while let Some(row) = rows.get(table.len()) {
                    let allowed = condition.as_ref().is_none_or(|condition| holds(condition, row.as_ref()));
                    let after = allowed.then(|| applied(action, row.as_ref())).flatten();
                    let after =
                        after.map(|after| canonical(*slot, after)).filter(|after| small(*slot, after));
                    let after = after.map(|after| {
                        rows.iter().position(|row| row.as_ref() == Some(&after)).unwrap_or_else(|| {
                            rows.push(Some(after));
                            grown = true;
                            rows.len() - 1
                        })
                    });
                    table.push(after.map(u8::try_from).transpose().context("more rows than a byte counts")?);
                }
                ensure!(table.len() == rows.len() || grown, "a row was left out");
            }
        }
    }
    Ok(ops)
}

/// What no condition asks for is left out: how often a product changed.
fn canonical(slot: Slot, mut item: Item) -> Item {
    if slot == Slot::Product {
        item.insert("version".to_owned(), eda::row::IntoValue::into_value(0_u32));
    }
    item
}

/// Stock beyond what any order could make of it is not followed.
fn small(slot: Slot, item: &Item) -> bool {
    let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse::<i64>().ok());
    slot != Slot::Product || number("available").is_none_or(|available| (-2..=3).contains(&available))
}

fn bits(answered: &std::collections::BTreeSet<String>) -> u8 {
    (0..RELEASE_CAUSES)
        .filter(|index| answered.contains(&cause(*index)))
        .fold(0, |bits, index| bits | 1 << index)
}

fn look(slot: Slot, item: Option<&Item>) -> Result<Seen> {
    let Some(item) = item.cloned() else { return Ok(Seen::default()) };
    Ok(match slot {
        Slot::Head => {
            if !item.contains_key("customerId") {
                return Ok(Seen::default());
            }
            let head: OrderHead = from_item(item)?;
            let deadline = head.deadline.and_then(|deadline| deadline.try_into().ok()).unwrap_or_default();
            let version = head.current_version.try_into()?;
            Seen { order: Some(head.status), version, deadline, ..Seen::default() }
        }
        Slot::Reservation => {
            // A row that only a removed condition can leave behind.
            let Ok(row) = from_item::<Reservation>(item) else { return Ok(Seen::default()) };
            Seen { reservation: Some(row.status), answered: bits(&row.answered), ..Seen::default() }
        }
        Slot::Payment => {
            // Likewise.
            let Ok(row) = from_item::<Payment>(item) else { return Ok(Seen::default()) };
            let intent = row.intent_id.and_then(|id| id.strip_prefix("pi_")?.parse().ok());
            Seen { payment: Some(row.status), intent, ..Seen::default() }
        }
        Slot::Shipment => {
            let row: Shipment = from_item(item)?;
            Seen { shipment: Some(row.status), ..Seen::default() }
        }
        Slot::Join => {
            let row: JoinRow = from_item(item)?;
            let (joined, timed_out) = (row.completed_at.is_some(), row.timed_out_at.is_some());
            Seen { joined, timed_out, ..Seen::default() }
        }
        Slot::Product => {
            // Created by an update without its condition: no such product.
            let Ok(row) = from_item::<Product>(item) else { return Ok(Seen::default()) };
            Seen { available: row.available, ..Seen::default() }
        }
    })
}
