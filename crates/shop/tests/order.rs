//! An order's decisions, and the laws they obey.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use eda::ambient::Ambient;
use eda::event::{Cause, Emission, SagaStyle};
use eda::event_store::{Fold, StoredEvent};
use eda::saga::Stepped;
use eda::testing::decider::{Decider, given};
use jiff::Timestamp;
use proptest::prelude::*;
use shop::events::{OrderCancelled, OrderConfirmed};
use shop::order::{Command, OrderEvent, OrderState, OrderView, Rejection, decide, evolve};
use shop::saga::{Refused, reason};
use shop::testing::{CUSTOMER, order_placed, place_order};

struct Order;

impl Decider for Order {
    type Command = Command;
    type State = OrderState;
    type Event = OrderEvent;
    type Rejection = Rejection;

    fn decide(state: OrderState, command: Command) -> Result<OrderEvent, Rejection> {
        decide(state, command)
    }

    fn evolve(state: OrderState, event: &OrderEvent) -> OrderState {
        evolve(state, event)
    }
}

fn place() -> Command {
    let order = place_order(&[("keyboard", 1), ("mouse", 2)]);
    Command::Place { order_id: "o1".into(), order, now: Timestamp::UNIX_EPOCH }
}

fn placed() -> OrderEvent {
    OrderEvent::Placed(order_placed("o1", &[("keyboard", 1), ("mouse", 2)]))
}

fn confirmation() -> OrderConfirmed {
    OrderConfirmed { order_id: "o1".into(), customer_id: CUSTOMER.into() }
}

fn cancellation() -> OrderCancelled {
    let reason = reason::OUT_OF_STOCK.into();
    OrderCancelled { order_id: "o1".into(), customer_id: CUSTOMER.into(), reason }
}

fn confirm() -> Command {
    Command::Confirm(confirmation())
}

fn confirmed() -> OrderEvent {
    OrderEvent::Confirmed(confirmation())
}

fn cancel() -> Command {
    Command::Cancel(cancellation())
}

fn cancelled() -> OrderEvent {
    OrderEvent::Cancelled(cancellation())
}

#[test]
fn an_order_is_placed_with_what_was_asked_for_and_its_total() {
    given::<Order>([]).when(place()).then(placed());
}

#[test]
fn an_order_is_placed_once() {
    for history in [vec![placed()], vec![placed(), confirmed()], vec![placed(), cancelled()]] {
        given::<Order>(history).when(place()).then_rejected(Rejection::AlreadyPlaced);
    }
}

#[test]
fn an_open_order_is_confirmed_or_cancelled() {
    given::<Order>([placed()]).when(confirm()).then(confirmed());
    given::<Order>([placed()]).when(cancel()).then(cancelled());
}

#[test]
fn an_order_that_was_never_placed_has_no_end() {
    given::<Order>([]).when(confirm()).then_rejected(Rejection::NoSuchOrder);
    given::<Order>([]).when(cancel()).then_rejected(Rejection::NoSuchOrder);
}

#[test]
fn the_same_end_twice_is_a_duplicate() {
    given::<Order>([placed(), confirmed()]).when(confirm()).then_rejected(Rejection::AlreadyEnded);
    given::<Order>([placed(), cancelled()]).when(cancel()).then_rejected(Rejection::AlreadyEnded);
}

#[test]
fn the_opposite_end_is_refused_as_the_bug_that_it_is() {
    given::<Order>([placed(), confirmed()]).when(cancel()).then_rejected(Rejection::OppositeEnd);
    given::<Order>([placed(), cancelled()]).when(confirm()).then_rejected(Rejection::OppositeEnd);
}

#[test]
fn a_step_parks_an_order_that_was_never_placed_and_settles_every_other_rejection() {
    let end = || {
        let cause = Cause::root(SagaStyle::Choreographed, None);
        Emission::new(&cause, &confirmation(), &Ambient::system()).unwrap()
    };
    for done in [Rejection::AlreadyPlaced, Rejection::AlreadyEnded] {
        let settled = done.settle("confirm-order", end()).unwrap();
        assert!(matches!(settled, Stepped::Done(_)), "{done}");
    }
    let opposite = Rejection::OppositeEnd.settle("confirm-order", end()).unwrap();
    assert_eq!(opposite, Refused::OppositeEnd.because("opposite_end"));
    let failure = Rejection::NoSuchOrder.settle("confirm-order", end()).unwrap_err();
    assert_eq!(failure.kind(), eda::failure::Kind::Permanent);
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let command = prop_oneof![Just(place()), Just(confirm()), Just(cancel())];
    prop::collection::vec(command, 0..12)
}

/// What happens when all of this is asked, in this order.
fn run(commands: Vec<Command>) -> Vec<OrderEvent> {
    let mut history = Vec::new();
    for command in commands {
        history.extend(decide(Order::fold(&history), command));
    }
    history
}

fn stored(history: &[OrderEvent]) -> Vec<StoredEvent> {
    let cause = Cause::root(SagaStyle::Choreographed, None);
    let ambient = eda::ambient::Ambient::system();
    let events = (1..).zip(history).map(|(version, event)| {
        let emission = match event {
            OrderEvent::Placed(data) => Emission::new(&cause, data, &ambient),
            OrderEvent::Confirmed(data) => Emission::new(&cause, data, &ambient),
            OrderEvent::Cancelled(data) => Emission::new(&cause, data, &ambient),
        };
        let emission = emission.unwrap();
        StoredEvent {
            aggregate_id: "o1".into(),
            version,
            event_type: emission.detail_type.into(),
            event_id: emission.event_id.to_string(),
            detail: emission.detail,
        }
    });
    events.collect()
}

proptest! {
    #[test]
    fn whatever_is_asked_an_order_is_placed_first_and_ends_at_most_once(commands in commands()) {
        let history = run(commands);
        prop_assert!(history.len() <= 2);
        let ends = |event: &OrderEvent| !matches!(event, OrderEvent::Placed(_));
        prop_assert!(history.first().is_none_or(|first| !ends(first)));
        prop_assert!(history.iter().skip(1).all(ends));
    }

    #[test]
    fn an_order_that_has_ended_takes_no_more_commands(commands in commands(), later in commands()) {
        let history = run([vec![place(), confirm()], commands].concat());
        for command in later {
            given::<Order>(history.clone()).when(command).then_nothing_happened();
        }
    }

    #[test]
    fn fold_is_deterministic_wherever_it_is_interrupted(commands in commands(), cut in 0..3_usize) {
        let history = stored(&run(commands));
        let (before, after) = history.split_at(cut.min(history.len()));
        let at_once = OrderView::fold(None, &history).unwrap();
        let resumed = OrderView::fold(OrderView::fold(None, before).unwrap(), after).unwrap();
        prop_assert_eq!(&at_once, &resumed);
        prop_assert_eq!(at_once, OrderView::fold(None, &history).unwrap());
    }

    #[test]
    fn what_is_decided_reads_back_from_the_store_as_it_was(commands in commands()) {
        let history = run(commands);
        let read: Vec<_> =
            stored(&history).iter().map(|event| OrderEvent::decode(event).unwrap().0).collect();
        prop_assert_eq!(Order::fold(&read), Order::fold(&history));
        prop_assert_eq!(read, history);
    }
}
