//! Functions of the custom runtime, which ours are.

use std::process::Command;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{ApplicationLogLevel, FunctionCode, LogFormat, LoggingConfig, Runtime};
use localcloud::{Progress, Tools, Workspace};
use serde_json::{Value, json};

use super::lab::Lab;

/// Answers with its process, and the environment variables that the event names.
const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    body, request = event.read(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    answer = {"process": os.getpid(), "env": [os.environ.get(name) for name in json.loads(body)]}
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps(answer))
    api.getresponse().read()
"#;

async fn create(lab: &Lab, name: &str, logging: LoggingConfig) {
    let zip = lab.cloud.folder().join("tmp").join(format!("{name}.zip"));
    let tools = Tools::ensure(&Workspace::find().unwrap(), &Progress::silent()).await.unwrap();
    let pack = "import sys, zipfile\n\
        entry = zipfile.ZipInfo('bootstrap')\n\
        entry.external_attr = 0o100755 << 16\n\
        zipfile.ZipFile(sys.argv[1], 'w').writestr(entry, sys.argv[2])";
    let mut python = Command::new("python3");
    python.env("PATH", tools.search_path()).args(["-c", pack]).arg(&zip).arg(BOOTSTRAP);
    assert!(python.status().unwrap().success());
    let code = FunctionCode::builder().zip_file(Blob::new(std::fs::read(&zip).unwrap())).build();
    let create = lab.lambda.create_function().function_name(name).runtime(Runtime::from("provided.al2023"));
    let create =
        create.handler("bootstrap").role("arn:aws:iam::000000000000:role/lab").timeout(10).code(code);
    create.logging_config(logging).send().await.unwrap();
}

async fn invoke(lab: &Lab, name: &str, variables: Value) -> Value {
    let payload = Blob::new(variables.to_string());
    let answer = lab.lambda.invoke().function_name(name).payload(payload).send().await.unwrap();
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

#[tokio::test]
async fn invocations_one_after_another_share_a_warm_environment() {
    let lab = Lab::new().await;
    create(&lab, "warm", LoggingConfig::builder().build()).await;
    let first = invoke(&lab, "warm", json!([])).await;
    for _ in 0..20 {
        assert_eq!(invoke(&lab, "warm", json!([])).await, first);
    }
}

#[tokio::test]
async fn a_function_learns_the_format_and_the_level_of_its_logs() {
    let lab = Lab::new().await;
    let logging = LoggingConfig::builder()
        .log_format(LogFormat::Json)
        .application_log_level(ApplicationLogLevel::Warn)
        .build();
    create(&lab, "logging", logging).await;
    let answer = invoke(&lab, "logging", json!(["AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"])).await;
    assert_eq!(answer["env"], json!(["JSON", "WARN"]));
}
