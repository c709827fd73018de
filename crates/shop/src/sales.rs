//! Sales: what was taken, by when it was taken. A payment adds to its window, a refund takes from the window of its own time.

use std::collections::BTreeMap;

use eda::event::wire::DateTime;
use eda::event::{BusEvent, Contract, DecodeError, Message, Metadata, SagaStyle};
use eda::outbox::OutboxRow;
use eda::row::Table;
use eda::window::{
    Fact, FactRow, Measures, Progress, Series, Totals, WindowPolicy, WindowRow, WindowState, WindowsConfig,
};
use envconfig::Envconfig;
use iso_currency::Currency;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::KEEP_DAYS;
use crate::events::{PaymentProcessed, PaymentRefunded, Revenue, SalesWindowClosed, SalesWindowCorrected};
use crate::money::Money;

/// Measure: payments made.
const SALES: &str = "sales";
/// Measure: payments that went back.
const REFUNDS: &str = "refunds";

/// The longest span of time that can be asked for at once, in seconds: 2,016 windows of five minutes.
pub const LONGEST_SPAN: i64 = 7 * 86_400;

/// The tables and the times of the windows.
#[derive(Clone, Debug, Envconfig)]
pub struct SalesConfig {
    /// One row per window.
    #[envconfig(from = "SALES_WINDOWS_TABLE")]
    pub windows: Table<WindowRow>,
    /// One row per payment or refund that was counted.
    #[envconfig(from = "SALES_FACTS_TABLE")]
    pub facts: Table<FactRow>,
    /// One row per shard: how far it has come.
    #[envconfig(from = "SALES_PROGRESS_TABLE")]
    pub progress: Table<Progress>,
    /// Events to publish.
    #[envconfig(from = "OUTBOX_TABLE")]
    pub outbox: Table<OutboxRow>,
    /// The length of a window, in seconds.
    #[envconfig(from = "SALES_WINDOW_SECONDS")]
    pub window_seconds: i64,
    /// By how much facts of a shard may be out of order, in seconds.
    #[envconfig(from = "SALES_DISORDER_SECONDS")]
    pub disorder_seconds: i64,
    /// How late a fact still corrects its window, in seconds.
    #[envconfig(from = "SALES_LATENESS_SECONDS")]
    pub lateness_seconds: i64,
    /// After how many seconds a shard of which nothing is heard is not waited for.
    #[envconfig(from = "SALES_IDLE_SECONDS")]
    pub idle_seconds: i64,
}

impl SalesConfig {
    /// Where the windows are kept, and how time is cut into them.
    #[must_use]
    pub fn split(self) -> (WindowsConfig, WindowPolicy) {
        let Self { windows, facts, progress, outbox, .. } = self;
        let policy = WindowPolicy {
            size: self.window_seconds,
            disorder: self.disorder_seconds,
            lateness: self.lateness_seconds,
            idle: self.idle_seconds,
        };
        (WindowsConfig { windows, facts, progress, outbox, keep_days: KEEP_DAYS }, policy)
    }
}

eda::one_of! {
    /// What is counted: the events that the stream of facts carries.
    enum Counted { PaymentProcessed, PaymentRefunded }
}

/// A payment or a refund.
#[derive(Clone, Debug)]
pub struct Sale {
    metadata: Metadata,
    order_id: String,
    measures: Measures,
}

impl Sale {
    /// The fact, or `None` where no money has moved.
    #[must_use]
    pub fn fact(self) -> Option<Fact> {
        let Self { metadata, measures, .. } = self;
        let fact = Fact { id: metadata.event_id.to_string(), at: metadata.event_time, measures };
        Some(fact).filter(|fact| !fact.measures.is_empty())
    }
}

/// The sums to which an amount adds.
fn measures<T: Contract>(
    name: &str,
    amount: Money,
    currency: Option<&str>,
    sign: i64,
) -> Result<Measures, DecodeError> {
    if amount == Money::default() {
        return Ok(Measures::new());
    }
    let malformed = |what: &str| DecodeError::Malformed {
        detail_type: T::DETAIL_TYPE,
        source: serde_json::Error::custom(what),
    };
    let code = currency.ok_or_else(|| malformed("currency: is missing beside an amount"))?;
    let known = Currency::from_code(code).ok_or_else(|| malformed("currency: is none of ISO 4217"))?;
    let minor =
        amount.minor_units(known).ok_or_else(|| malformed("amount: has a fraction of the smallest coin"))?;
    Ok(BTreeMap::from([(name.to_owned(), 1), (code.to_owned(), sign * minor)]))
}

impl Message for Sale {
    fn decode(event: &BusEvent<'_>) -> Result<Self, DecodeError> {
        Ok(match Counted::decode(event)? {
            Counted::PaymentProcessed(event) => Self {
                measures: measures::<PaymentProcessed>(
                    SALES,
                    event.data.amount,
                    Some(&event.data.currency),
                    1,
                )?,
                order_id: event.data.order_id,
                metadata: event.metadata,
            },
            Counted::PaymentRefunded(event) => {
                let currency = event.data.currency.as_deref();
                Self {
                    measures: measures::<PaymentRefunded>(REFUNDS, event.data.amount, currency, -1)?,
                    order_id: event.data.order_id,
                    metadata: event.metadata,
                }
            }
        })
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn ordering_key(&self) -> &str {
        &self.order_id
    }

    fn in_saga(mut self, saga: SagaStyle) -> Self {
        self.metadata.saga = saga;
        self
    }
}

/// The series of what was taken.
#[derive(Debug)]
pub enum Sales {}

impl Series for Sales {
    const NAME: &'static str = "sales";
    type Closed = SalesWindowClosed;
    type Corrected = SalesWindowCorrected;

    fn closed(totals: &Totals) -> SalesWindowClosed {
        SalesWindowClosed {
            window_id: totals.start.to_string(),
            window_start: totals.start,
            window_end: totals.end,
            revenue: revenue(&totals.measures),
            sales: counted(&totals.measures, SALES),
            refunds: counted(&totals.measures, REFUNDS),
            revision: u32::try_from(totals.revision).unwrap_or(u32::MAX),
        }
    }

    fn corrected(totals: &Totals, difference: &Measures) -> SalesWindowCorrected {
        let SalesWindowClosed { window_id, window_start, window_end, revenue: now, sales, refunds, revision } =
            Self::closed(totals);
        let difference = revenue(difference);
        SalesWindowCorrected {
            window_id,
            window_start,
            window_end,
            difference,
            revenue: now,
            sales,
            refunds,
            revision,
        }
    }
}

fn counted(measures: &Measures, name: &str) -> u32 {
    measures.get(name).and_then(|count| u32::try_from(*count).ok()).unwrap_or_default()
}

/// The sums by currency.
fn revenue(measures: &Measures) -> Vec<Revenue> {
    let sums = measures.iter().filter_map(|(name, sum)| {
        let currency = Currency::from_code(name)?;
        Some(Revenue { currency: name.clone(), amount: Money::from_minor_units(*sum, currency) })
    });
    sums.collect()
}

/// A window as `GET /sales` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SalesWindow {
    /// When it starts.
    #[serde(with = "DateTime")]
    pub start: Timestamp,
    /// When it ends; this moment belongs to the next one.
    #[serde(with = "DateTime")]
    pub end: Timestamp,
    /// Whether everything that happened in it is believed to be counted.
    pub closed: bool,
    /// What was taken in it, by currency.
    pub revenue: Vec<Revenue>,
    /// How many payments were made.
    pub sales: u32,
    /// How many payments went back.
    pub refunds: u32,
    /// How many came so late that they are in none of these sums.
    pub too_late: u64,
}

impl From<WindowRow> for SalesWindow {
    fn from(row: WindowRow) -> Self {
        let totals = row.totals(row.revision);
        Self {
            start: totals.start,
            end: totals.end,
            closed: row.status == WindowState::Closed,
            revenue: revenue(&totals.measures),
            sales: counted(&totals.measures, SALES),
            refunds: counted(&totals.measures, REFUNDS),
            too_late: row.too_late,
        }
    }
}
