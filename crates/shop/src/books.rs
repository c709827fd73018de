//! The promises about orders, stock and money, as laws over the rows of all tables when all is quiet.
//!
//! Simulations, demonstrations and audits of a live system ask the same laws.

use std::collections::{BTreeMap, BTreeSet};

use eda::event_store::{Fold, StoredEvent};
use eda::view::{FIRST_GENERATION, Generations};
use iso_currency::Currency;

use crate::order::{OrderHead, OrderStatus, OrderView, OrderViewRow};
use crate::shipment::{Shipment, ShipmentState};
use crate::stock::{Product, Reservation, ReservationState};

/// Stock is conserved: what was there is available or reserved for what has shipped, and nothing is below zero.
pub const STOCK: &str = "stock is conserved";
/// Each order is confirmed and shipped, or cancelled and not, and its history has one end.
pub const ENDS: &str = "every order has one end";
/// Charged minus refunded is the value of shipped orders.
pub const MONEY: &str = "charged minus refunded is the value of shipped orders";
/// One charge per order, at most.
pub const CHARGES: &str = "nobody is charged twice";
/// Each view equals the fold of its events, in every generation that readers see or may be sent back to.
pub const VIEWS: &str = "each view equals the fold of its events";

/// What the gateway did for an order. Amounts are in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Charges that succeeded.
    pub times: u32,
    /// Their sum.
    pub charged: i64,
    /// What went back.
    pub refunded: i64,
}

/// The rows of all tables, and the gateway's books.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Available pieces per product before the first order.
    pub stock: BTreeMap<String, i64>,
    /// All products.
    pub products: Vec<Product>,
    /// All reservations.
    pub reservations: Vec<Reservation>,
    /// All shipments.
    pub shipments: Vec<Shipment>,
    /// The heads of all orders.
    pub heads: Vec<OrderHead>,
    /// The events of all orders, in any order.
    pub events: Vec<StoredEvent>,
    /// The views of all orders, of all generations.
    pub views: Vec<OrderViewRow>,
    /// Which generations of the views there are; none where they were never built anew.
    pub generations: Option<Generations>,
    /// What the gateway did, by order.
    pub charges: BTreeMap<String, Charged>,
}

impl Books {
    /// Every law that is broken, and how.
    #[must_use]
    pub fn broken(&self) -> Vec<(&'static str, String)> {
        let laws: [(&'static str, Vec<String>); 5] = [
            (STOCK, self.stock()),
            (ENDS, self.ends()),
            (MONEY, self.money()),
            (CHARGES, self.charges()),
            (VIEWS, self.views()),
        ];
        laws.into_iter()
            .flat_map(|(law, broken)| broken.into_iter().map(move |detail| (law, detail)))
            .collect()
    }

    fn shipped(&self) -> BTreeSet<&str> {
        let shipped = self.shipments.iter().filter(|row| row.status == ShipmentState::Shipped);
        shipped.map(|row| row.order_id.as_str()).collect()
    }

    /// The events of each order, in the order of their versions.
    fn histories(&self) -> BTreeMap<&str, Vec<StoredEvent>> {
        let mut histories: BTreeMap<&str, Vec<StoredEvent>> = BTreeMap::new();
        for event in &self.events {
            histories.entry(&event.aggregate_id).or_default().push(event.clone());
        }
        for history in histories.values_mut() {
            history.sort_by_key(|event| event.version);
        }
        histories
    }

    /// How [`STOCK`] is broken.
    #[must_use]
    pub fn stock(&self) -> Vec<String> {
        let (shipped, mut reserved, mut broken) = (self.shipped(), BTreeMap::new(), Vec::new());
        for row in self.reservations.iter().filter(|row| row.status == ReservationState::Reserved) {
            for item in &row.items {
                *reserved.entry(item.product_id.as_str()).or_insert(0_i64) += i64::from(item.quantity);
            }
            if !shipped.contains(row.order_id.as_str()) {
                broken.push(format!("{} holds stock and has not shipped", row.order_id));
            }
        }
        for (product, before) in &self.stock {
            let available = self.products.iter().find(|row| row.product_id == *product);
            let available = available.map_or(0, |row| row.available);
            let reserved = reserved.get(product.as_str()).copied().unwrap_or_default();
            if available < 0 || available + reserved != *before {
                broken.push(format!("{product}: {before} became {available} and {reserved} reserved"));
            }
        }
        broken
    }

    /// How [`ENDS`] is broken.
    #[must_use]
    pub fn ends(&self) -> Vec<String> {
        let (shipped, histories, mut broken) = (self.shipped(), self.histories(), Vec::new());
        for head in &self.heads {
            let history = histories.get(head.aggregate_id.as_str());
            let ends = history.map_or(0, |history| {
                history.iter().filter(|event| event.event_type != "OrderPlaced").count()
            });
            let shipped = shipped.contains(head.aggregate_id.as_str());
            let agrees = match head.status {
                OrderStatus::Open => false,
                OrderStatus::Confirmed => shipped,
                OrderStatus::Cancelled => !shipped,
            };
            if ends != 1 || !agrees {
                let id = &head.aggregate_id;
                broken.push(format!("{id} is {:?}, has {ends} ends, shipped: {shipped}", head.status));
            }
        }
        broken
    }

    /// How [`MONEY`] is broken.
    #[must_use]
    pub fn money(&self) -> Vec<String> {
        let (shipped, mut kept, mut broken) = (self.shipped(), self.charges.clone(), Vec::new());
        for (order_id, history) in self.histories() {
            let view = OrderView::fold(None, &history).ok().flatten();
            let price =
                view.and_then(|view| view.total_amount.minor_units(Currency::from_code(&view.currency)?));
            let owed = if shipped.contains(order_id) { price.unwrap_or(-1) } else { 0 };
            let charged = kept.remove(order_id).unwrap_or_default();
            let paid = charged.charged - charged.refunded;
            if paid != owed {
                broken.push(format!("{order_id} is worth {owed} and paid {paid} cents"));
            }
        }
        let strangers = kept.iter().filter(|(_, charged)| charged.charged != charged.refunded);
        broken.extend(strangers.map(|(id, _)| format!("{id:?} paid and is no order")));
        broken
    }

    /// How [`CHARGES`] is broken.
    #[must_use]
    pub fn charges(&self) -> Vec<String> {
        let twice = self.charges.iter().filter(|(_, charged)| charged.times > 1);
        twice.map(|(order, charged)| format!("{order} was charged {} times", charged.times)).collect()
    }

    /// The generations of the views that are whole: the one that readers see, and the one that they may be sent back to.
    #[must_use]
    pub fn whole(&self) -> Vec<u64> {
        let live = self.generations.as_ref().map_or(FIRST_GENERATION, |generations| generations.live);
        let previous = self.generations.as_ref().and_then(|generations| generations.previous);
        [live].into_iter().chain(previous).collect()
    }

    /// How [`VIEWS`] is broken.
    #[must_use]
    pub fn views(&self) -> Vec<String> {
        let rows = self.views.iter().map(|row| ((row.generation, row.order_id.as_str()), row));
        let (rows, mut broken): (BTreeMap<_, _>, _) = (rows.collect(), Vec::new());
        for (order_id, history) in self.histories() {
            let folded = OrderView::fold(None, &history).ok().flatten();
            for generation in self.whole() {
                let stored = rows.get(&(generation, order_id)).and_then(|row| row.view().ok());
                if folded.is_none() || folded != stored {
                    broken.push(format!(
                        "the view of {order_id} in generation {generation} differs from its events"
                    ));
                }
            }
        }
        broken
    }
}
