//! What runs short is reordered: never twice for one shortage, and once for one that lasts.

use std::collections::BTreeMap;

use eda::testing::template::at;
use serde_json::Value;
use shop::replenishment::LOW_STOCK;

/// What was seen of the products' stock, and what was requested.
#[derive(Debug, Default)]
pub struct Shortages {
    /// Whether a product was short, by the version of its stock.
    short: BTreeMap<String, BTreeMap<u64, bool>>,
    /// The versions at which reorders were requested.
    requested: BTreeMap<String, Vec<u64>>,
    /// An update was lost for good, so that a recovery may have gone unseen.
    excused: bool,
}

impl Shortages {
    /// A product's row was written.
    pub fn stock(&mut self, row: &Value) {
        let number =
            |field: &str| at(row, &format!("/{field}/N")).as_str().and_then(|text| text.parse().ok());
        let (Some(version), Some(available)) = (number("version"), number("available")) else { return };
        let product = at(row, "/productId/S").as_str().unwrap_or_default().to_owned();
        self.short.entry(product).or_default().insert(version, available < u64::from(LOW_STOCK));
    }

    /// A reorder was requested.
    pub fn request(&mut self, detail: &Value) {
        let product = at(detail, "/productId").as_str().unwrap_or_default().to_owned();
        let version = at(detail, "/stockVersion").as_u64().unwrap_or_default();
        self.requested.entry(product).or_default().push(version);
    }

    /// An update will never arrive.
    pub fn excuse(&mut self) {
        self.excused = true;
    }

    /// What was reordered too often, or not at all.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (product, levels) in &self.short {
            let requested = self.requested.get(product).map(Vec::as_slice).unwrap_or_default();
            let shortages = shortages(levels);
            for (first, last) in &shortages {
                let times = requested.iter().filter(|version| (first..=last).contains(version)).count();
                let lasts = levels.last_key_value().is_some_and(|(version, _)| version == last);
                if times > 1 || (times == 0 && lasts && !self.excused) {
                    broken.push(format!(
                        "the shortage of {product} at {first} to {last} led to {times} reorders"
                    ));
                }
            }
            let needless = requested
                .iter()
                .filter(|version| !shortages.iter().any(|(first, last)| (first..=last).contains(version)));
            broken.extend(needless.map(|version| format!("{product} was reordered at {version}, not short")));
        }
        broken
    }
}

/// The first and the last version of each shortage, in order.
fn shortages(levels: &BTreeMap<u64, bool>) -> Vec<(u64, u64)> {
    let mut shortages: Vec<(u64, u64)> = Vec::new();
    let mut before = false;
    for (version, short) in levels {
        match shortages.last_mut() {
            Some((_, last)) if *short && before => *last = *version,
            _ if *short => shortages.push((*version, *version)),
            _ => {}
        }
        before = *short;
    }
    shortages
}
