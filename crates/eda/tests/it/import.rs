//! Files of lines, taken in stretch by stretch.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use eda::Failure;
use eda::batch::{Deadline, LongConsumer, LongWorker, Parking, ParkingConfig, Stretch};
use eda::fields::FieldError;
use eda::import::{Import, Importer, Refusal, Status, TakeLine, WINDOW};
use eda::objects::{ObjectCreated, ObjectVersion};
use eda::serve::{Function, StartError};
use eda::testing::Fault;
use envconfig::Envconfig;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "in/file";
const REPORT: &str = "out/file";

/// Knows which lines it has taken; it takes no number and fails at "later".
#[derive(Default)]
struct Names {
    taken: Mutex<Vec<(u64, String)>>,
    pause: Duration,
}

impl Names {
    fn numbers(&self) -> Vec<u64> {
        self.taken.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }
}

impl TakeLine for Names {
    const LONGEST: usize = 100;

    async fn take(&self, _: &ObjectVersion, number: u64, line: &str) -> Result<Result<(), Refusal>, Failure> {
        tokio::time::sleep(self.pause).await;
        if line == "later" {
            return Err(Failure::transient("not now"));
        }
        if line == "never" {
            return Err(Failure::permanent("not at all"));
        }
        if let Ok(many) = line.parse::<usize>() {
            let error = FieldError { field: "x".repeat(200), problem: "must be a name".to_owned() };
            return Ok(Err(Refusal { problem: "is a number".to_owned(), errors: vec![error; many] }));
        }
        self.taken.lock().unwrap().push((number, line.to_owned()));
        Ok(Ok(()))
    }
}

fn version(content: &[u8]) -> ObjectVersion {
    ObjectVersion {
        bucket: "FilesBucket".into(),
        key: KEY.into(),
        size: content.len() as u64,
        etag: content.len().to_string(),
        version_id: None,
    }
}

fn put(cloud: &TestCloud, content: &[u8]) -> ObjectVersion {
    cloud.put_object(&format!("FilesBucket/{KEY}"), content);
    version(content)
}

fn importer(cloud: &TestCloud) -> Importer {
    Importer::new(&cloud.aws(), Table::named("ImportsTable")).unwrap()
}

async fn import(cloud: &TestCloud, object: &ObjectVersion, names: &Names) -> Result<Stretch, Failure> {
    let advanced = importer(cloud).advance(object, REPORT, cloud.deadline(), names).await;
    advanced.map(|(stretch, _)| stretch)
}

fn row(cloud: &TestCloud, object: &ObjectVersion) -> Import {
    cloud.get("ImportsTable", Key::of(object.name())).unwrap()
}

/// What is said in a file, line by line.
fn said(cloud: &TestCloud, key: &str) -> Vec<Value> {
    let objects = cloud.objects();
    objects[&format!("FilesBucket/{key}")].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn lines(count: usize) -> Vec<u8> {
    (1..=count).map(|number| format!("name {number}\n")).collect::<String>().into_bytes()
}

#[tokio::test]
async fn each_line_is_taken_and_the_row_moves_once_for_a_window() {
    let (cloud, names) = (cloud(), Names::default());
    let object = put(&cloud, &lines(2 * WINDOW));
    assert_eq!(import(&cloud, &object, &names).await.unwrap(), Stretch::Done);
    assert_eq!(names.numbers(), (1..=2 * WINDOW as u64).collect::<Vec<_>>());
    let calls = ["dynamodb:GetItem", "s3:GetObject", "dynamodb:PutItem", "dynamodb:PutItem"];
    assert_eq!(cloud.take_call_names(), [&calls[..], &["s3:PutObject", "dynamodb:PutItem"]].concat());
    assert_eq!(said(&cloud, REPORT), [json!({ "lines": 100, "taken": 100, "refused": 0 })]);
    assert_eq!(row(&cloud, &object).status, Status::Done);
}

#[tokio::test]
async fn a_file_that_is_done_costs_one_read() {
    let (cloud, names) = (cloud(), Names::default());
    let object = put(&cloud, b"a\n");
    import(&cloud, &object, &names).await.unwrap();
    cloud.take_calls();
    assert_eq!(import(&cloud, &object, &names).await.unwrap(), Stretch::Done);
    assert_eq!(cloud.take_call_names(), ["dynamodb:GetItem"]);
    assert_eq!(names.numbers(), [1]);
}

#[tokio::test]
async fn what_is_wrong_with_a_line_is_said_with_its_number() {
    let (cloud, names) = (cloud(), Names::default());
    let mut content = b"a\n\n2\n\xff\xfe\n".to_vec();
    content.extend([b'x'; 101]);
    content.extend(b"\nnever\r\n  \nnever\nb");
    let object = put(&cloud, &content);
    import(&cloud, &object, &names).await.unwrap();
    assert_eq!(names.numbers(), [1, 6, 9], "the sixth ends with a carriage return");
    let field = "x".repeat(100);
    let error = json!({ "field": field, "problem": "must be a name" });
    let expected = [
        json!({ "line": 3, "problem": "is a number", "errors": [error, error] }),
        json!({ "line": 4, "problem": "is not UTF-8 text" }),
        json!({ "line": 5, "problem": "is longer than 100 bytes" }),
        json!({ "line": 8, "problem": "not at all" }),
        json!({ "lines": 9, "taken": 3, "refused": 4 }),
    ];
    assert_eq!(said(&cloud, REPORT), expected);
}

#[tokio::test]
async fn a_file_without_a_line_is_said_to_hold_nothing_and_is_not_read() {
    for content in ["", "\n \n"] {
        let (cloud, names) = (cloud(), Names::default());
        let object = put(&cloud, content.as_bytes());
        import(&cloud, &object, &names).await.unwrap();
        let lines = content.lines().count();
        let nothing =
            json!({ "lines": lines, "taken": 0, "refused": 0, "problem": "the file holds nothing" });
        assert_eq!(said(&cloud, REPORT), [nothing]);
        assert_eq!(cloud.take_call_names().contains(&"s3:GetObject".to_owned()), lines > 0);
    }
}

#[tokio::test]
async fn a_line_without_end_is_passed_by_and_never_held() {
    let (cloud, names) = (cloud(), Names::default());
    let content = [b"a\n".to_vec(), vec![b'x'; 5 << 20], b"\nb".to_vec()].concat();
    let object = put(&cloud, &content);
    import(&cloud, &object, &names).await.unwrap();
    assert_eq!(names.numbers(), [1, 3]);
    assert_eq!(said(&cloud, REPORT)[0]["line"], 2);
    let reads = cloud.take_calls().into_iter().filter(|call| call.name == "s3:GetObject");
    let ranges: Vec<_> = reads.map(|call| call.body["Range"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ranges.len(), 6, "{ranges:?}");
    assert_eq!(ranges[1], "bytes=1048576-2097151");
}

#[tokio::test]
async fn a_line_that_ranges_cut_is_read_whole() {
    let (cloud, names) = (cloud(), Names::default());
    // 99 bytes a line: no range ends where a line does.
    let content = format!("{}\n", "n".repeat(98)).repeat(11_000).into_bytes();
    let object = put(&cloud, &content);
    import(&cloud, &object, &names).await.unwrap();
    let taken = names.taken.lock().unwrap();
    assert_eq!(taken.len(), 11_000);
    assert_eq!(taken.iter().map(|(_, name)| name.len()).collect::<BTreeSet<_>>(), BTreeSet::from([98]));
}

#[tokio::test]
async fn a_stretch_that_failed_is_taken_up_where_the_row_stands() {
    let (cloud, names) = (cloud(), Names::default());
    let mut content = lines(2 * WINDOW);
    content.extend(b"later\n");
    let object = put(&cloud, &content);
    assert!(import(&cloud, &object, &names).await.is_err());
    assert_eq!(row(&cloud, &object).lines, 2 * WINDOW as u64);
    cloud.put_object(&format!("FilesBucket/{KEY}"), [lines(2 * WINDOW), b"no-w!\n".to_vec()].concat());
    cloud.take_calls();
    import(&cloud, &object, &names).await.unwrap();
    assert_eq!(names.numbers(), (1..=2 * WINDOW as u64 + 1).collect::<Vec<_>>(), "no line twice");
    let read = cloud.take_calls().into_iter().find(|call| call.name == "s3:GetObject").unwrap();
    assert_eq!(read.body["Range"], format!("bytes={}-{}", content.len() - 6, content.len() - 1));
}

#[tokio::test]
async fn a_lost_reply_to_the_rows_write_is_no_loss() {
    let (cloud, names) = (cloud(), Names::default());
    let object = put(&cloud, &lines(2 * WINDOW));
    for _ in 0..2 {
        cloud.inject("dynamodb:PutItem", Fault::ReplyLost);
    }
    import(&cloud, &object, &names).await.unwrap();
    assert_eq!(names.numbers().len(), 2 * WINDOW);
    assert_eq!(row(&cloud, &object).taken, 2 * WINDOW as u64);
}

#[tokio::test]
async fn what_does_not_fit_one_report_goes_into_others_before_it() {
    let (cloud, names) = (cloud(), Names::default());
    let object = put(&cloud, "30\n".repeat(10 * WINDOW).as_bytes());
    import(&cloud, &object, &names).await.unwrap();
    let last = said(&cloud, REPORT);
    let numbers = last.last().unwrap();
    let before: Vec<_> =
        numbers["before"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert!(before.len() > 1 && before[0] == "out/file.1", "{before:?}");
    let mut all: Vec<_> = before.iter().flat_map(|key| said(&cloud, key)).collect();
    all.extend(last.iter().take(last.len() - 1).cloned());
    let lines: Vec<_> = all.iter().map(|said| said["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=10 * WINDOW as u64).collect::<Vec<_>>(), "each once, in order");
    assert_eq!(all[0]["furtherErrors"], 10);
}

#[tokio::test]
async fn an_object_that_is_gone_or_was_overwritten_is_not_read() {
    for (content, problem) in [(None, "gone"), (Some("other"), "overwritten")] {
        let (cloud, names) = (cloud(), Names::default());
        if let Some(content) = content {
            put(&cloud, content.as_bytes());
        }
        let failure = import(&cloud, &version(b"a\n"), &names).await.unwrap_err();
        assert_eq!(failure.kind(), eda::failure::Kind::Permanent);
        assert!(failure.to_string().contains(problem), "{failure}");
    }
}

#[tokio::test]
async fn two_that_import_one_file_at_once_say_everything_once() {
    let (cloud, names) = (cloud(), Names::default());
    let object = put(&cloud, &[lines(2 * WINDOW), b"1\n".repeat(WINDOW)].concat());
    let (one, other) = tokio::join!(import(&cloud, &object, &names), import(&cloud, &object, &names));
    assert_eq!((one.unwrap(), other.unwrap()), (Stretch::Done, Stretch::Done));
    let report = said(&cloud, REPORT);
    assert_eq!(report.len(), WINDOW + 1);
    assert_eq!(report[WINDOW], json!({ "lines": 150, "taken": 100, "refused": 50 }));
}

/// A function that takes a second for ten lines.
struct Slow {
    importer: Importer,
    names: Names,
}

#[derive(Envconfig)]
struct Nothing {}

impl Function for Slow {
    const NAME: &'static str = "door";
    type Config = Nothing;

    async fn start(aws: &eda::aws::Aws, _: Nothing) -> Result<Self, StartError> {
        let names = Names { pause: Duration::from_secs(1), ..Names::default() };
        Ok(Self { importer: Importer::new(aws, Table::named("ImportsTable"))?, names })
    }
}

impl LongConsumer for Slow {
    type Message = ObjectCreated;

    async fn work(&self, created: &ObjectCreated, deadline: Deadline) -> Result<Stretch, Failure> {
        let advanced = self.importer.advance(&created.object, REPORT, deadline, &self.names).await;
        advanced.map(|(stretch, _)| stretch)
    }
}

fn created(object: &ObjectVersion) -> String {
    json!({
        "version": "0", "id": "1", "detail-type": "Object Created", "source": "aws.s3", "account": "1",
        "time": "2026-01-15T10:30:00Z", "region": "us-east-1", "resources": [],
        "detail": {
            "version": "0", "bucket": { "name": object.bucket },
            "object": { "key": object.key, "size": object.size, "etag": object.etag, "sequencer": "0" },
            "reason": "PutObject",
        },
    })
    .to_string()
}

async fn slow(cloud: &TestCloud) -> LongWorker<Slow> {
    let config = ParkingConfig {
        dead_letter_queue_url: "DeadLetterQueue".into(),
        queue_url: Some("DoorsQueue".into()),
    };
    LongWorker::new(cloud.start::<Slow>().await, Parking::new(cloud.aws().sqs(), config, "door"))
}

fn batch(body: &str) -> aws_lambda_events::sqs::SqsEvent {
    serde_json::from_value(json!({ "Records": [{
        "messageId": "m1", "receiptHandle": "r1", "body": body,
        "attributes": { "ApproximateReceiveCount": "1", "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793" },
        "messageAttributes": { "failureId": { "stringValue": "f1", "dataType": "String" } },
    }] }))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_leaves_goes_on_in_a_new_message() {
    let cloud = cloud();
    let object = put(&cloud, &lines(3 * WINDOW));
    let (worker, body) = (slow(&cloud).await, created(&object));
    for (seconds, done) in [(7, 1), (7, 2)] {
        cloud.take_calls();
        let deadline = Deadline::after(Duration::from_secs(seconds));
        let answer = worker.handle(batch(&body), deadline).await;
        assert!(answer.batch_item_failures.is_empty());
        assert_eq!(row(&cloud, &object).lines, done * WINDOW as u64);
        let sent = cloud.take_calls().pop().unwrap();
        assert_eq!((sent.name.as_str(), &sent.body["QueueUrl"]), ("sqs:SendMessage", &json!("DoorsQueue")));
        assert_eq!(sent.body["MessageBody"], body);
        assert_eq!(sent.body["MessageAttributes"]["failureId"]["StringValue"], "f1");
        let trace = &sent.body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"];
        assert_eq!(trace, "Root=1-5759e988-bd862e3fe1be46a994272793");
    }
    let answer = worker.handle(batch(&body), Deadline::after(Duration::from_secs(60))).await;
    assert!(answer.batch_item_failures.is_empty());
    assert_eq!(row(&cloud, &object).status, Status::Done);
}

#[tokio::test(start_paused = true)]
async fn a_stretch_that_came_no_further_is_delivered_again() {
    let cloud = cloud();
    let object = put(&cloud, &lines(WINDOW));
    let worker = slow(&cloud).await;
    let answer = worker.handle(batch(&created(&object)), Deadline::after(Duration::from_secs(4))).await;
    assert_eq!(answer.batch_item_failures.len(), 1);
    assert!(!cloud.take_call_names().contains(&"sqs:SendMessage".to_owned()));
}

#[tokio::test]
async fn an_event_of_another_form_is_parked_and_names_the_form() {
    let cloud = cloud();
    let mut none: Value = serde_json::from_str(&created(&version(b"a"))).unwrap();
    let mut other = none.clone();
    none["detail"].as_object_mut().unwrap().remove("version");
    other["detail"]["version"] = json!("9");
    for (body, reason) in [(none, "missing field `version`"), (other, "\"9\" is unknown; known: 0")] {
        let answer = slow(&cloud).await.handle(batch(&body.to_string()), cloud.deadline()).await;
        assert!(answer.batch_item_failures.is_empty());
        let parked = cloud.take_calls().pop().unwrap();
        assert_eq!(parked.body["QueueUrl"], "DeadLetterQueue");
        let told = parked.body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    }
}
