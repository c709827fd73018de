//! What DynamoDB and the bus bill: counted from consumed capacity, priced as of us-east-1.
//!
//! <https://aws.amazon.com/dynamodb/pricing/on-demand/>, <https://aws.amazon.com/eventbridge/pricing/>,
//! <https://aws.amazon.com/sqs/pricing/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Dollars per million.
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;
const EVENTS: f64 = 1.0;
const SQS_REQUESTS: f64 = 0.40;
const FIFO_REQUESTS: f64 = 0.50;

/// Counts what calls consume.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    on: bool,
    /// Write units by table.
    pub written: BTreeMap<String, f64>,
    /// Read units by table.
    pub read: BTreeMap<String, f64>,
    /// Events put.
    pub events: u64,
    /// Requests to queues: one to send, one to receive, one to delete each message, batches aside.
    pub messages: u64,
    /// The same of FIFO queues.
    pub ordered_messages: u64,
}

impl Meter {
    /// A meter, or none.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Asks for the consumed capacity of a call.
    pub fn ask(&self, body: &mut Value) {
        if let (true, Some(fields)) = (self.on, body.as_object_mut()) {
            fields.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
        }
    }

    /// Counts what the answer says.
    pub fn count(&mut self, operation: &str, answer: &str) {
        if !self.on {
            return;
        }
        let answer: Value = serde_json::from_str(answer).unwrap_or_default();
        let consumed = match answer.get("ConsumedCapacity") {
            Some(Value::Array(tables)) => tables.clone(),
            Some(table) => vec![table.clone()],
            None => return,
        };
        let writes = !matches!(operation, "GetItem" | "Query" | "Scan" | "BatchGetItem");
        for table in consumed {
            let name = table.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned();
            let units = table.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default();
            let counted = if writes { &mut self.written } else { &mut self.read };
            *counted.entry(name).or_default() += units;
        }
    }

    /// An event was put.
    pub fn event(&mut self) {
        self.events += 1;
    }

    /// A message went through a queue.
    pub fn message(&mut self) {
        self.messages += 3;
    }

    /// A message goes through a FIFO queue.
    pub fn ordered_message(&mut self) {
        self.ordered_messages += 3;
    }

    /// What it comes to, per order.
    #[must_use]
    pub fn per_order(&self, orders: usize) -> Cost {
        let orders = orders.max(1) as f64;
        let (writes, reads) = (self.written.values().sum::<f64>(), self.read.values().sum::<f64>());
        let (events, requests) = (self.events as f64, self.messages as f64);
        let ordered = self.ordered_messages as f64;
        let queues = requests * SQS_REQUESTS + ordered * FIFO_REQUESTS;
        let dollars = writes * WRITE_UNITS + reads * READ_UNITS + events * EVENTS + queues;
        Cost {
            write_units: writes / orders,
            read_units: reads / orders,
            events: events / orders,
            sqs_requests: (requests + ordered) / orders,
            dollars_per_million: dollars / orders,
        }
    }
}

/// What one order costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Write units, transactional ones twice.
    pub write_units: f64,
    /// Read units.
    pub read_units: f64,
    /// Events put on the bus.
    pub events: f64,
    /// Requests to queues, without batching: an upper bound.
    pub sqs_requests: f64,
    /// Dollars per million orders, Lambda aside.
    pub dollars_per_million: f64,
}
