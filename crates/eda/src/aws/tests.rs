use std::sync::Mutex;

use aws_config::Region;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::testing::wire::sdk_config;

/// Answers every call, and notes whether it was signed.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<bool>>>);

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().unwrap().push(request.headers().get("authorization").is_some());
        let status = StatusCode::try_from(200).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from("{}"))))
    }
}

impl HttpClient for Recorder {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn aws(recorder: &Recorder) -> Aws {
    let sdk = sdk_config(SharedHttpClient::new(recorder.clone()), Region::from_static("us-east-1"));
    Aws::from_parts(sdk, Ambient::system())
}

#[tokio::test]
async fn calls_are_signed_unless_it_is_said_that_they_need_not_be() {
    let recorder = Recorder::default();
    aws(&recorder).dynamodb().list_tables().send().await.unwrap();
    aws(&recorder).unsigned().dynamodb().list_tables().send().await.unwrap();
    let signed = Signed::to(&aws(&recorder).unsigned(), "s3").unwrap();
    signed.send("GET", "/bucket/key", &[], Vec::new()).await.unwrap();
    assert_eq!(*recorder.0.lock().unwrap(), [true, false, true]);
}
