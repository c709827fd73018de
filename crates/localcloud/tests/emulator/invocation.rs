//! Functions of the custom runtime, which ours are.

use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use localcloud::{Progress, Tools, Workspace};

use super::lab::Lab;

const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    event = api.getresponse()
    body, request = event.read(), event.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", body)
    api.getresponse().read()
"#;

/// Far above what it takes, far below the 90 ms that the emulator alone adds to each.
const WARM: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_warm_invocation_costs_a_few_milliseconds() {
    let lab = Lab::new().await;
    let zip = lab.cloud.folder().join("tmp/code.zip");
    let tools = Tools::ensure(&Workspace::find().unwrap(), &Progress::silent()).await.unwrap();
    let pack = "import sys, zipfile\n\
        entry = zipfile.ZipInfo('bootstrap')\n\
        entry.external_attr = 0o100755 << 16\n\
        zipfile.ZipFile(sys.argv[1], 'w').writestr(entry, sys.argv[2])";
    let mut python = Command::new("python3");
    python.env("PATH", tools.search_path()).args(["-c", pack]).arg(&zip).arg(BOOTSTRAP);
    assert!(python.status().unwrap().success());
    let code = FunctionCode::builder().zip_file(Blob::new(std::fs::read(&zip).unwrap())).build();
    let create = lab.lambda.create_function().function_name("echo").runtime(Runtime::from("provided.al2023"));
    let create =
        create.handler("bootstrap").role("arn:aws:iam::000000000000:role/lab").timeout(10).code(code);
    create.send().await.unwrap();

    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let begun = Instant::now();
        let answer =
            lab.lambda.invoke().function_name("echo").payload(Blob::new("[1]")).send().await.unwrap();
        assert_eq!(answer.payload().unwrap().as_ref(), b"[1]");
        fastest = fastest.min(begun.elapsed());
    }
    assert!(fastest < WARM, "{fastest:?}");
}
