//! Files of orders: the bucket that they are put in, and what must have become of each of their lines.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use eda::testing::template::at;
use eda::testing::wire::error;
use serde_json::{Value, json};
use shop::order::imported_order_id;
use shop::testing::place_order;
use simulation_cli::Kind;

use crate::world::World;

const BUCKET: &str = "ImportsBucket";
const FILE: &str = "incoming/orders.jsonl";
const RESULTS: &str = "results/orders.jsonl";
const VERSION: &str = "version-1";
const ETAG: &str = "9b2cf535f27731c974343645a3985328";

/// What S3 calls what a rule of ours looks for.
pub(crate) const CREATED: &str = "Object Created";

const EACH: &str = "each good line of a file places an order, each bad one is told of once";
const NOBODY: &str = "every order was placed by somebody";

/// A file that was put into the bucket, and all objects.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    objects: BTreeMap<String, Rc<str>>,
    /// The numbers of its lines, and whether each is an order.
    lines: Vec<(u64, bool)>,
    /// Nobody heard of the file.
    pub(crate) unheard: bool,
}

impl Imports {
    fn good(&self) -> impl Iterator<Item = String> {
        let good = self.lines.iter().filter(|(_, good)| *good);
        good.map(|(number, _)| imported_order_id(BUCKET, FILE, *number, None).to_string())
    }
}

/// A line that is an order, or one that is wrong in one way or another.
fn line(number: u64, good: bool) -> String {
    match (good, number % 3) {
        (true, _) => serde_json::to_string(&place_order(&[("keyboard", 1)])).unwrap_or_default(),
        (false, 0) => "no JSON".to_owned(),
        (false, 1) => "[]".to_owned(),
        (false, _) => json!({ "customerId": "customer-1", "items": [] }).to_string(),
    }
}

impl World {
    /// Somebody puts a file into the bucket, and S3 says so twice.
    pub(crate) fn upload(&mut self) {
        // A long file has few orders, so that it is its lines that take time.
        let length = self.options.imported;
        let some = length == 0 && self.strike(Kind::Import);
        let lines: Vec<(u64, bool)> = match length {
            0 if some => {
                let rng = self.faults.rng();
                (1..=rng.u64(3..=8)).map(|number| (number, rng.bool())).collect()
            }
            0 => return,
            _ => (1..=length).map(|number| (number, number % 50 == 41)).collect(),
        };
        let content: String =
            lines.iter().map(|(number, good)| line(*number, *good) + "\n").collect::<Vec<_>>().concat();
        let detail = json!({
            "version": "0", "bucket": { "name": BUCKET }, "reason": "PutObject",
            "object": {
                "key": FILE, "size": content.len(), "etag": ETAG, "version-id": VERSION,
                "sequencer": "617f08299329d189",
            },
        });
        self.imports.lines = lines;
        self.imports.objects.insert(format!("{BUCKET}/{FILE}"), content.into());
        let entry = json!({ "Source": "aws.s3", "DetailType": CREATED, "Detail": detail.to_string() });
        for _ in 0..2 {
            let id = format!("bus-{}", self.next_id());
            self.publish(&id, &entry);
        }
    }

    /// Reads or writes an object.
    pub(crate) fn s3(&mut self, operation: &str, body: &Value) -> (u16, String) {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let name = format!("{}/{}", text("Bucket").unwrap_or_default(), text("Key").unwrap_or_default());
        if operation == "PutObject" {
            self.imports.objects.insert(name, text("Body").unwrap_or_default().into());
            return (200, String::new());
        }
        let Some(object) = self.imports.objects.get(&name) else { return error(404, "NoSuchKey", &name) };
        let other =
            |given: Option<&str>, this: &str| given.is_some_and(|given| given.trim_matches('"') != this);
        if other(text("IfMatch"), ETAG) || other(text("VersionId"), VERSION) {
            return error(412, "PreconditionFailed", &name);
        }
        let range = text("Range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((first, last)) = range else { return (200, object.to_string()) };
        let [first, last] = [first, last].map(|at| at.parse::<usize>().unwrap_or(usize::MAX));
        let end = last.saturating_add(1).min(object.len());
        match object.get(first..end) {
            Some(part) => (206, part.to_owned()),
            None => error(416, "InvalidRange", &name),
        }
    }

    /// Looks at what became of the file when all is quiet.
    pub(crate) fn audit_imports(&mut self) {
        let mut broken = Vec::new();
        let good: BTreeSet<String> = self.imports.good().collect();
        let asked: BTreeSet<&String> =
            self.clients.orders.iter().filter_map(|order| order.id.as_ref()).chain(&good).collect();
        let strangers = self.watch.placed().filter(|order| !asked.contains(order));
        broken.extend(strangers.map(|order| (NOBODY, format!("{order} was not"))));
        if !self.imports.lines.is_empty() && !self.imports.unheard {
            let placed: BTreeSet<&String> = self.watch.placed().collect();
            let missing = good.iter().filter(|order| !placed.contains(order));
            broken.extend(missing.map(|order| (EACH, format!("{order} was not placed"))));
            let wrong = self.imports.lines.iter().filter(|(_, good)| !good);
            let wrong: Vec<u64> = wrong.map(|(number, _)| *number).collect();
            let results =
                self.imports.objects.get(&format!("{BUCKET}/{RESULTS}")).cloned().unwrap_or_default();
            let told: Vec<Value> =
                results.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
            let lines: Vec<u64> = told.iter().filter_map(|said| at(said, "/line").as_u64()).collect();
            if lines != wrong {
                broken.push((EACH, format!("{wrong:?} are wrong, and told is of {lines:?}")));
            }
            let numbers =
                json!({ "lines": self.imports.lines.len(), "taken": good.len(), "refused": wrong.len() });
            if told.last() != Some(&numbers) {
                broken.push((EACH, format!("{numbers} are the numbers, and told is of {:?}", told.last())));
            }
        }
        for (promise, detail) in broken {
            self.watch.report(promise, detail);
        }
    }
}
