//! `ops` against a deployed stack: what failed is found, explained, corrected and retried to success; what is wrong with a
//! deployment is named.

use std::path::PathBuf;
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use eda::testing::template::Resource;
use localcloud::Stack;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::clouds::{eventually, own, run};
use super::samples::{STORY, file};

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// Builds it as `cargo xtask ops` does.
async fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bin", "ops", "--message-format", "json"]);
    let output = command.current_dir(system_tests::workspace()).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| Some(message["executable"].as_str()?.into())).next_back().unwrap()
}

/// Runs it with `--json`; answers its exit code and what it printed.
pub(crate) async fn ops(stack: &Stack, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(BINARY.get_or_init(build).await);
    command.args(["--stack", stack.name(), "--json", "--yes"]).args(arguments).envs(stack.access());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap();
    let answer = serde_json::from_slice(&output.stdout);
    (code, answer.unwrap_or_else(|error| panic!("ops {arguments:?} ({code}): {error}\n{errors}")))
}

/// The queues that functions of the saga read, each with its function.
fn work_queues() -> Vec<(String, String)> {
    let template = system_tests::template().unwrap();
    let fed = |mapping: Resource| {
        let function = template.functions().get(mapping.properties["FunctionName"].as_str()?)?.binary.clone();
        let queue =
            mapping.properties["EventSourceArn"].as_str()?.strip_suffix("Queue.Arn")?.to_owned() + "Queue";
        (function != "process-dlq").then_some((queue, function))
    };
    template.resources("AWS::Lambda::EventSourceMapping").into_iter().filter_map(fed).collect()
}

/// An event that the function understands, from its samples, about an order of its own.
fn event_for(stack: &Stack, function: &str) -> Value {
    let (_, sample) = STORY.iter().find(|(told, _)| *told == function).unwrap();
    let batch: Value = serde_json::from_slice(&std::fs::read(file(function, sample)).unwrap()).unwrap();
    let mut event: Value = serde_json::from_str(batch["Records"][0]["body"].as_str().unwrap()).unwrap();
    if let Some(order) = event["detail"].get_mut("orderId") {
        *order = json!(format!("order-for-{function}"));
    }
    if function == "import-orders" {
        // A file that holds nothing is not read.
        event["detail"]["bucket"]["name"] = json!(stack.output("ImportsBucket").unwrap());
        event["detail"]["object"]["size"] = json!(0);
    }
    event
}

/// Places the order that a function's event is about, without telling anybody.
async fn order_for(stack: &Stack, function: &str) {
    let mut placed = event_for(stack, "reserve-inventory")["detail"].clone();
    let id = format!("order-for-{function}");
    placed["orderId"] = json!(id);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let rows = || {
        stack
            .dynamodb()
            .put_item()
            .table_name(stack.output("EventStoreTable").unwrap())
            .item("aggregateId", text(&id))
    };
    let head =
        rows().item("version", number(0)).item("currentVersion", number(1)).item("status", text("open"));
    let head = head.item("customerId", text("customer-1")).item("commandHash", text("none"));
    let head = head.item("correlationId", text(placed["metadata"]["correlationId"].as_str().unwrap()));
    head.item("openShard", text("open#0")).item("deadline", number(32_503_680_000)).send().await.unwrap();
    let event = rows().item("version", number(1)).item("eventType", text("OrderPlaced"));
    let event = event.item("eventId", text(placed["metadata"]["eventId"].as_str().unwrap()));
    event.item("detail", text(&placed.to_string())).send().await.unwrap();
}

async fn send(stack: &Stack, queue: &str, body: &Value) {
    let url = stack.output(queue).unwrap();
    let mut send = stack.sqs().send_message().queue_url(url).message_body(body.to_string());
    if url.ends_with(".fifo") {
        let id = uuid::Uuid::new_v4().to_string();
        send = send.message_group_id("poison").message_deduplication_id(id);
    }
    send.send().await.unwrap();
}

async fn depth(stack: &Stack, queue: &str) -> u64 {
    stack.queue_depth(queue).await.unwrap().total()
}

#[test]
fn poison_on_every_queue_is_found_explained_edited_and_retried_to_success() {
    run(async {
        let cloud = own().await;
        let stack = cloud.stack();
        let queues = work_queues();
        assert!(queues.len() >= 8, "{queues:?}");
        for (queue, function) in &queues {
            order_for(stack, function).await;
            let mut event = event_for(stack, function);
            event["detail"]["version"] = json!("9.0");
            event["detail"]["metadata"]["eventId"] = json!(uuid::Uuid::now_v7());
            send(stack, queue, &event).await;
        }
        for (queue, _) in &queues {
            let dead = queue.replace("Queue", "DeadLetterQueue");
            let parked = async || (depth(stack, &dead).await == 1).then_some(());
            eventually(&format!("the poison of {queue} is parked"), parked).await;
        }

        let (code, found) = ops(stack, &["doctor"]).await;
        assert_eq!(code, 3, "{found:#}");
        let all = i64::try_from(queues.len()).unwrap();
        let (_, would) = ops(stack, &["failed", "collect", "--dry-run"]).await;
        assert_eq!(would["waiting"].as_object().unwrap().len(), queues.len(), "{would:#}");
        let (code, collected) = ops(stack, &["failed", "collect"]).await;
        assert_eq!((code, &collected["taken"]), (0, &json!(all)), "{collected:#}");
        let (_, again) = ops(stack, &["failed", "collect"]).await;
        assert_eq!(again["taken"], 0, "{again:#}");
        let (code, groups) = ops(stack, &["failed", "groups"]).await;
        assert_eq!((code, groups.as_array().unwrap().len()), (3, queues.len()), "{groups:#}");

        for (queue, function) in &queues {
            let (_, failures) = ops(stack, &["failed", "list", "--place", function]).await;
            let id = failures[0]["failureId"].as_str().unwrap();
            let (_, shown) = ops(stack, &["failed", "show", &id[..8]]).await;
            assert!(shown["reason"].as_str().unwrap().contains("\"9.0\" is unknown"), "{shown:#}");
            assert_eq!(shown["body"]["detail"]["version"], "9.0");

            let correct = format!("/detail/version={}", event_for(stack, function)["detail"]["version"]);
            let (_, would) = ops(stack, &["failed", "edit", id, "--set", &correct, "--dry-run"]).await;
            assert_eq!(would["would"]["failureId"], json!(id));
            let (code, copy) = ops(stack, &["failed", "edit", id, "--set", &correct]).await;
            assert_eq!((code, &copy["outcome"]), (0, &json!("is in its queue")), "{queue}: {copy:#}");
            let (_, original) = ops(stack, &["failed", "show", id]).await;
            assert_eq!(original["replacedBy"], copy["failureId"]);
            assert_eq!(original["body"]["detail"]["version"], "9.0", "the original is kept");
        }
        for (queue, _) in &queues {
            let done = async || (depth(stack, queue).await == 0).then_some(());
            eventually(&format!("{queue} is empty"), done).await;
            let dead = queue.replace("Queue", "DeadLetterQueue");
            assert_eq!(depth(stack, &dead).await, 0, "{queue}: the corrected message is handled");
        }
        let (_, waiting) = ops(stack, &["failed", "list", "--status", "failed"]).await;
        assert_eq!(waiting, json!([]));
        an_uncorrected_retry_returns_to_its_group(stack, &queues[0]).await;
        let log = std::fs::read_to_string(cloud.folder().join("emulator.log")).unwrap();
        assert!(log.contains("the whole reason is in the message's attributes"), "functions log there");
        let placed = &event_for(stack, "reserve-inventory")["detail"]["shippingAddress"];
        for part in ["name", "line1", "postalCode"] {
            let personal = placed[part].as_str().unwrap();
            assert!(!log.contains(personal), "the log of a failing order holds {personal}");
        }
    });
}

async fn an_uncorrected_retry_returns_to_its_group(stack: &Stack, (queue, function): &(String, String)) {
    let dead = queue.replace("Queue", "DeadLetterQueue");
    let parked = async || (depth(stack, &dead).await == 1).then_some(());
    send(stack, queue, &json!("no event at all")).await;
    eventually("it is parked", parked).await;
    ops(stack, &["failed", "collect"]).await;
    let list = ["failed", "list", "--place", function, "--status", "failed"];
    let (_, before) = ops(stack, &list).await;
    let group = before[0]["group"].as_str().unwrap();
    let (code, retried) = ops(stack, &["failed", "retry", "--group", group, "--rate", "50"]).await;
    assert_eq!((code, &retried["done"][0]["outcome"]), (0, &json!("sent")), "{retried:#}");
    eventually("it is parked again", parked).await;
    ops(stack, &["failed", "collect"]).await;
    let (_, after) = ops(stack, &list).await;
    assert_eq!(after[0]["failureId"], before[0]["failureId"]);
    assert_eq!((&after[0]["failures"], &after[0]["group"]), (&json!(2), &json!(group)));
    assert_eq!(after[0]["history"].as_array().unwrap().len(), 4, "{after:#}");
    let (code, archived) = ops(stack, &["failed", "archive", "--group", group, "--note", "a test"]).await;
    assert_eq!((code, &archived["done"][0]["outcome"]), (0, &json!("archived")));
}

/// The names of the checks that found something.
async fn found(stack: &Stack) -> Vec<String> {
    let (_, report) = ops(stack, &["doctor"]).await;
    assert_eq!(report["unchecked"], json!([]), "{report:#}");
    let findings = report["findings"].as_array().unwrap();
    let mut checks: Vec<_> = findings.iter().map(|one| one["check"].as_str().unwrap().to_owned()).collect();
    checks.sort();
    checks.dedup();
    checks
}

#[test]
fn the_doctor_finds_each_of_ten_planted_problems() {
    run(async {
        let cloud = own().await;
        let stack = cloud.stack();
        let well = async || found(stack).await.is_empty().then_some(());
        eventually("a new deployment is well", well).await;
        for problem in PLANTED {
            planted(stack, problem).await;
            let seen = async || found(stack).await.contains(&problem.to_owned()).then_some(());
            eventually(&format!("{problem} is found"), seen).await;
        }
        let mut expected = PLANTED.map(str::to_owned).to_vec();
        expected.sort();
        let seen = found(stack).await;
        let missed: Vec<_> = expected.iter().filter(|problem| !seen.contains(problem)).collect();
        assert!(missed.is_empty(), "missed: {missed:?}, seen: {seen:?}");
    });
}

/// In an order in which none mends another.
const PLANTED: [&str; 10] = [
    "alarm",
    "disabled rule",
    "throttled function",
    "disabled mapping",
    "dead letters",
    "failed messages",
    "outbox",
    "overdue order",
    "view behind",
    "stream",
];

async fn planted(stack: &Stack, problem: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    match problem {
        "alarm" => {
            let names = stack.resources("AWS::CloudWatch::Alarm").await.unwrap();
            let answer = stack.set_alarm(&names["ShipOrderDeadLetterQueueAlarm"]).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        "disabled rule" => {
            let rules = stack.resources("AWS::Events::Rule").await.unwrap();
            let name = rules["ConfirmOrderQueueRule"].rsplit(['|', '/']).next().unwrap();
            let disable =
                stack.eventbridge().disable_rule().event_bus_name(stack.output("EventBus").unwrap());
            disable.name(name).send().await.unwrap();
        }
        "throttled function" => {
            for function in ["sweep-outbox", "expire-orders", "relay-outbox", "project-orders"] {
                let limit = stack.lambda().put_function_concurrency().reserved_concurrent_executions(0);
                limit.function_name(stack.function(function).unwrap()).send().await.unwrap();
            }
        }
        "disabled mapping" => {
            let name = stack.function("ship-order").unwrap();
            let mappings =
                stack.lambda().list_event_source_mappings().function_name(name).send().await.unwrap();
            let id = mappings.event_source_mappings()[0].uuid().unwrap();
            stack.lambda().update_event_source_mapping().uuid(id).enabled(false).send().await.unwrap();
        }
        "dead letters" => send(stack, "ShipOrderDeadLetterQueue", &json!("nothing")).await,
        "failed messages" => {
            send(stack, "CancelOrderDeadLetterQueue", &json!("nothing")).await;
            let url = stack.output("CancelOrderDeadLetterQueue").unwrap();
            let drained =
                stack.invoke("process-dlq", json!({ "queueUrls": [url] }).to_string().as_bytes()).await;
            assert_eq!(drained.unwrap().payload[url]["taken"], 1);
        }
        "outbox" => {
            let put = stack.dynamodb().put_item().table_name(stack.output("OutboxTable").unwrap());
            let put = put
                .item("orderingKey", text("o1"))
                .item("eventId", text("e1"))
                .item("source", text("orders"));
            let put = put.item("detailType", text("Nothing")).item("detail", text("{}"));
            put.item("createdAt", number(1)).send().await.unwrap();
        }
        "overdue order" | "view behind" => {
            let put = stack.dynamodb().put_item().table_name(stack.output("EventStoreTable").unwrap());
            let overdue = problem == "overdue order";
            let deadline = if overdue { 1 } else { 32_503_680_000 };
            let put = put
                .item("aggregateId", text(problem))
                .item("version", number(0))
                .item("status", text("open"));
            let put = put.item("currentVersion", number(i64::from(!overdue))).item("customerId", text("c1"));
            let put = put
                .item("commandHash", text("h"))
                .item("correlationId", text(&uuid::Uuid::now_v7().to_string()));
            put.item("openShard", text("open#0")).item("deadline", number(deadline)).send().await.unwrap();
        }
        "stream" => {
            use aws_sdk_dynamodb::types::StreamSpecification;
            let off = StreamSpecification::builder().stream_enabled(false).build().unwrap();
            let update = stack.dynamodb().update_table().table_name(stack.output("OutboxTable").unwrap());
            update.stream_specification(off).send().await.unwrap();
        }
        other => panic!("nobody can plant {other}"),
    }
}
