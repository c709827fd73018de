//! Invoking functions of the stack, by hand.

use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use crate::deployment::Deployment;
use crate::error::Error;

impl Deployment {
    /// Invokes a function by its package and waits for its answer.
    pub(crate) async fn invoke(&self, package: &str, input: &Value) -> Result<Value, Error> {
        let sent = self
            .lambda
            .invoke()
            .function_name(self.function(package)?)
            .payload(Blob::new(input.to_string()))
            .send()
            .await;
        let answer = sent.map_err(Error::aws("lambda:Invoke"))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let document: Value = serde_json::from_slice(&payload)
            .map_err(|source| Error::Json { what: format!("the answer of {package}"), source })?;
        if answer.function_error.is_some() {
            let told = document.get("errorMessage").and_then(Value::as_str).unwrap_or("without saying why");
            return Err(Error::Invocation {
                function: package.to_owned(),
                message: told.to_owned(),
                stack: self.stack.clone(),
            });
        }
        Ok(document)
    }
}
