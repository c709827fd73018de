//! Nothing grows without bound: whatever is kept is kept for a time, or there is a reason that says how much of it there can be.

use eda::testing::template::{Template, list};
use serde_json::{Value, json};

use crate::inspect::holds;

/// Tables whose rows do not expire, and how many rows there are.
const KEPT: [(&str, &str); 9] = [
    ("CircuitsTable", "one per partner"),
    ("CustomersTable", "one per customer, whom another system keeps"),
    ("EventStoreTable", "a few per order, for ever: they are the books"),
    ("InventoryTable", "one per product"),
    ("OrderViewsTable", "two per order at most, one of each place: to list orders is what it is for"),
    ("OutboxTable", "those of events that are being published, which are deleted then"),
    ("ProjectionsTable", "one per view, and one for where its reconciliation goes on"),
    ("ReplenishmentsTable", "one per product that has ever run short"),
    ("SnapshotsTable", "one per order at most: the newest takes the place of the one before"),
];

fn above_zero(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number > 0)
}

#[test]
fn rows_expire_or_there_is_a_reason_that_bounds_them() {
    fn relation(template: &Template) -> Vec<String> {
        let tables = template.tables();
        let kept = |table: &str| KEPT.iter().any(|(name, reason)| *name == table && !reason.is_empty());
        let wrong = tables.iter().filter(|table| table.time_to_live.is_none() != kept(&table.name));
        let gone = KEPT.iter().filter(|(name, _)| !tables.iter().any(|table| table.name == *name));
        wrong.map(|table| table.name.clone()).chain(gone.map(|(name, _)| (*name).to_owned())).collect()
    }
    holds(
        relation,
        &[
            ("JoinsTable", "TimeToLiveSpecification", Value::Null),
            ("JoinsTable", "TimeToLiveSpecification/Enabled", json!(false)),
        ],
    );
}

#[test]
fn what_is_logged_archived_streamed_or_queued_is_kept_for_a_time_that_is_given() {
    const KEEPING: [(&str, &str); 4] = [
        ("AWS::Logs::LogGroup", "RetentionInDays"),
        ("AWS::Events::Archive", "RetentionDays"),
        ("AWS::Kinesis::Stream", "RetentionPeriodHours"),
        ("AWS::SQS::Queue", "MessageRetentionPeriod"),
    ];
    fn relation(template: &Template) -> Vec<String> {
        let kept = KEEPING.iter().flat_map(|(kind, field)| {
            template.resources(kind).into_iter().map(move |resource| (resource, *field))
        });
        let wrong = kept.filter(|(resource, field)| !above_zero(&resource.properties[field]));
        wrong.map(|(resource, _)| resource.logical_id).collect()
    }
    holds(
        relation,
        &[
            ("PlaceOrderLogGroup", "RetentionInDays", Value::Null),
            ("EventArchive", "RetentionDays", json!(0)),
            ("SalesStream", "RetentionPeriodHours", Value::Null),
            ("ShipOrderQueue", "MessageRetentionPeriod", Value::Null),
        ],
    );
}

/// A service that is not told where to log makes a group of its own, which keeps everything for ever.
#[test]
fn whatever_logs_does_so_to_a_group_of_the_template() {
    fn relation(template: &Template) -> Vec<String> {
        let groups = template.resources("AWS::Logs::LogGroup");
        let named = |at: &Value| {
            let name = at.as_str().unwrap_or_default().trim_end_matches(".Arn");
            groups.iter().any(|group| group.logical_id == name)
        };
        let functions = template.resources("AWS::Serverless::Function").into_iter().map(|function| {
            let group = function.properties["LoggingConfig"]["LogGroup"].clone();
            (function.logical_id, group)
        });
        let apis = template.resources("AWS::Serverless::HttpApi").into_iter().map(|api| {
            let group = api.properties["AccessLogSettings"]["DestinationArn"].clone();
            (api.logical_id, group)
        });
        let machines = template.resources("AWS::Serverless::StateMachine").into_iter().map(|machine| {
            let to = &machine.properties["Logging"]["Destinations"][0]["CloudWatchLogsLogGroup"];
            (machine.logical_id, to["LogGroupArn"].clone())
        });
        let wrong = functions.chain(apis).chain(machines).filter(|(_, group)| !named(group));
        wrong.map(|(id, _)| id).collect()
    }
    holds(
        relation,
        &[
            ("ShipOrderFunction", "LoggingConfig/LogGroup", Value::Null),
            ("HttpApi", "AccessLogSettings", Value::Null),
            ("OrderSagaStateMachine", "Logging", json!({})),
        ],
    );
}

/// Versions and parts of uploads are objects too, which nobody sees.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>
#[test]
fn objects_their_versions_and_unfinished_uploads_expire() {
    fn relation(template: &Template) -> Vec<String> {
        let wrong = template.resources("AWS::S3::Bucket").into_iter().filter(|bucket| {
            let rules: Vec<_> = list(&bucket.properties["LifecycleConfiguration"]["Rules"])
                .filter(|rule| {
                    rule["Status"] == "Enabled" && rule["Prefix"].is_null() && rule["TagFilters"].is_null()
                })
                .collect();
            let has = |pointer: &str| rules.iter().any(|rule| rule.pointer(pointer).is_some_and(above_zero));
            let versioned = !bucket.properties["VersioningConfiguration"].is_null();
            !(has("/ExpirationInDays")
                && has("/AbortIncompleteMultipartUpload/DaysAfterInitiation")
                && (!versioned || has("/NoncurrentVersionExpiration/NoncurrentDays")))
        });
        wrong.map(|bucket| bucket.logical_id).collect()
    }
    holds(
        relation,
        &[
            ("FailedMessagesBucket", "LifecycleConfiguration/Rules/0/Status", json!("Disabled")),
            ("FailedMessagesBucket", "LifecycleConfiguration/Rules/0/Prefix", json!("some/")),
            ("FailedMessagesBucket", "VersioningConfiguration", json!({ "Status": "Enabled" })),
            ("ImportsBucket", "LifecycleConfiguration/Rules/0/AbortIncompleteMultipartUpload", Value::Null),
            ("ImportsBucket", "LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration", Value::Null),
        ],
    );
}
