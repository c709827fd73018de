//! Alarms that are on.

use eda::aws::Signed;
use serde::Deserialize;

use crate::deployment::Deployment;
use crate::error::Error;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    metric_alarms: Vec<Alarm>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Alarm {
    alarm_name: String,
    #[serde(default)]
    state_reason: String,
    #[serde(default)]
    state_value: String,
}

/// The stack's alarms that are on: logical id and reason.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>
pub(super) async fn on(deployment: &Deployment) -> Result<Vec<(String, String)>, Error> {
    let cloudwatch = Signed::to(&deployment.aws, "monitoring")?;
    let ours: Vec<_> = deployment.resources("AWS::CloudWatch::Alarm").collect();
    let mut on = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mut input = serde_json::json!({ "StateValue": "ALARM", "MaxRecords": 100 });
        if let (Some(token), Some(fields)) = (next.take(), input.as_object_mut()) {
            fields.insert("NextToken".to_owned(), token.into());
        }
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "GraniteServiceVersion20100801.DescribeAlarms"),
        ];
        let answer = cloudwatch.send("POST", "/", &headers, input.to_string().into_bytes()).await?;
        if answer.status != 200 {
            let message = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(Error::Aws { call: "cloudwatch:DescribeAlarms", message });
        }
        let page: Page = serde_json::from_slice(&answer.body)
            .map_err(|source| Error::Json { what: "the answer of CloudWatch".to_owned(), source })?;
        for alarm in page.metric_alarms.into_iter().filter(|alarm| alarm.state_value == "ALARM") {
            let ours = ours.iter().find(|resource| resource.physical_id == alarm.alarm_name);
            on.extend(ours.map(|resource| (resource.logical_id.clone(), alarm.state_reason)));
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(on);
        }
    }
}
