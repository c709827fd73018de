//! Sales: windows hold what a computation over all facts at once gives, and say so.

use std::collections::{BTreeMap, BTreeSet};

use eda::event::{BusEvent, Message as _};
use eda::window::{Fact, FactRow, Measures, WindowRow, WindowState};
use serde_json::{Value, json};
use shop::sales::Sale;

use crate::world::World;

const WINDOWS: &str = "SalesWindowsTable";

/// What was announced that counts, and what was said of windows.
#[derive(Debug, Default)]
pub struct Announced {
    facts: BTreeMap<String, Fact>,
    /// What the events of a window come to, by its start and currency; an amount in the currency's own unit.
    said: BTreeMap<String, BTreeMap<String, f64>>,
    closed: BTreeSet<String>,
}

impl Announced {
    /// An event was announced. Says what is wrong with it.
    pub fn event(&mut self, name: &str, source: &str, detail: &Value) -> Option<String> {
        match name {
            "PaymentProcessed" | "PaymentRefunded" => {
                let document = json!({
                    "source": source, "detail-type": name, "time": "2026-01-15T10:30:00Z", "detail": detail,
                });
                let document = document.to_string();
                let fact =
                    BusEvent::parse(&document).ok().and_then(|event| Sale::decode(&event).ok()?.fact());
                self.facts.extend(fact.map(|fact| (fact.id.clone(), fact)));
                None
            }
            "SalesWindowClosed" => self.add(detail, "revenue", true),
            "SalesWindowCorrected" => self.add(detail, "difference", false),
            _ => None,
        }
    }

    fn add(&mut self, detail: &Value, field: &str, closes: bool) -> Option<String> {
        let window = detail.get("windowId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let said = self.said.entry(window.clone()).or_default();
        for sum in detail.get(field).and_then(Value::as_array).into_iter().flatten() {
            let currency = sum.get("currency").and_then(Value::as_str).unwrap_or_default();
            let amount = sum.get("amount").and_then(Value::as_f64).unwrap_or_default();
            *said.entry(currency.to_owned()).or_default() += amount;
        }
        let known = if closes { !self.closed.insert(window.clone()) } else { !self.closed.contains(&window) };
        known.then(|| match closes {
            true => format!("{window} is closed twice"),
            false => format!("{window} is corrected and was never closed"),
        })
    }
}

impl World {
    /// How many windows are open.
    pub(crate) fn open_windows(&self) -> usize {
        let rows = self.database.items(WINDOWS);
        rows.iter().filter(|row| row.pointer("/status/S").is_some_and(|status| status == "open")).count()
    }

    /// Looks at the windows when all is quiet.
    pub(crate) fn audit_sales(&mut self) {
        let size =
            self.system.template.resolve(&json!({ "Ref": "SalesWindowSeconds" })).as_i64().unwrap_or(300);
        let rows: Vec<WindowRow> = self.rows(WINDOWS);
        let known: Vec<FactRow> = self.rows("SalesFactsTable");
        let known: BTreeMap<_, _> = known.into_iter().map(|row| (row.fact_id.clone(), row)).collect();
        let mut broken = Vec::new();
        let (mut expected, mut late): (BTreeMap<i64, Measures>, BTreeMap<i64, u64>) = Default::default();
        for fact in self.watch.sales.facts.values() {
            let start = fact.at.as_second().div_euclid(size) * size;
            match known.get(&fact.id) {
                None => broken.push(format!("nobody counted {}", fact.id)),
                Some(row) if row.too_late_for.is_some() => *late.entry(start).or_default() += 1,
                Some(_) => {
                    let window = expected.entry(start).or_default();
                    for (name, by) in &fact.measures {
                        *window.entry(name.clone()).or_default() += by;
                    }
                }
            }
        }
        for row in &rows {
            let all = expected.remove(&row.start).unwrap_or_default();
            if row.measures != all {
                broken.push(format!("window {} holds {:?}, not {all:?}", row.start, row.measures));
            }
            if row.too_late != late.remove(&row.start).unwrap_or_default() {
                broken.push(format!("window {} counts {} that came too late", row.start, row.too_late));
            }
            if row.status == WindowState::Open {
                broken.push(format!("window {} stays open", row.start));
            }
            let window = row.totals(0).start.to_string();
            let said = self.watch.sales.said.get(&window).cloned().unwrap_or_default();
            let said: f64 = said.values().sum();
            let holds: f64 = shop::sales::SalesWindow::from(row.clone())
                .revenue
                .iter()
                .filter_map(|sum| sum.amount.to_string().parse::<f64>().ok())
                .sum();
            if (said - holds).abs() > 0.001 {
                broken.push(format!("window {window} holds {holds}, and its events come to {said}"));
            }
        }
        broken.extend(expected.keys().map(|start| format!("there is no window {start}")));
        for detail in broken {
            self.watch.report("windows hold what all facts at once give, each counted once", detail);
        }
    }
}
