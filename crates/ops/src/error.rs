//! What can go wrong, in one line that says what to do next.

use std::io;

use eda::Failure;

/// Every failure of this program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such stack, or nobody may see it.
    #[error(
        "there is no stack {stack} here ({reason}): name another with --stack, look elsewhere with --region or --endpoint, \
         or check your credentials with `aws sts get-caller-identity`"
    )]
    NoStack {
        /// Its name.
        stack: String,
        /// What CloudFormation said.
        reason: String,
    },

    /// The stack lacks something.
    #[error(
        "the stack {stack} has no {what}: it was deployed from another version; deploy this one, or use that one's ops"
    )]
    Missing {
        /// The stack.
        stack: String,
        /// The resource or output.
        what: String,
    },

    /// An AWS call failed.
    #[error("{call}: {message}")]
    Aws {
        /// The operation.
        call: &'static str,
        /// Code and message of the service.
        message: String,
    },

    /// The toolkit's own failure.
    #[error("{}", .0.chain())]
    Failure(#[from] Failure),

    /// A function that was invoked failed.
    #[error("{function} failed: {message}; its log is in the group /aws/lambda/{stack}/{function}")]
    Invocation {
        /// Its package.
        function: String,
        /// What it said.
        message: String,
        /// The stack.
        stack: String,
    },

    /// There is no such failure.
    #[error(
        "there is no failure {0}: `ops failed list` shows them; letters that wait in their queues come with `ops failed collect`"
    )]
    NoFailure(String),

    /// There is no such order.
    #[error("there is no order {0}")]
    NoOrder(String),

    /// There is no such circuit.
    #[error("there is no circuit {0}: `ops breaker` shows those that have ever seen a failure")]
    NoCircuit(String),

    /// What was selected is not what can be worked with.
    #[error("{0}")]
    Usage(String),

    /// Nobody confirmed.
    #[error("nothing was done: confirm with --yes, or look first with --dry-run")]
    Unconfirmed,

    /// A file or the terminal.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was to be done.
        action: String,
        /// The operating system's reason.
        source: io::Error,
    },

    /// An answer cannot be understood.
    #[error("{what} cannot be understood: {source}")]
    Json {
        /// What.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Error {
    /// Wraps the error of an SDK call with its operation; made for `map_err`.
    pub(crate) fn aws<E, R>(
        call: &'static str,
    ) -> impl FnOnce(aws_sdk_dynamodb::error::SdkError<E, R>) -> Self
    where
        E: std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        move |error| Self::Aws {
            call,
            message: aws_sdk_dynamodb::error::DisplayErrorContext(&error).to_string(),
        }
    }

    /// Wraps an I/O error; made for `map_err`.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
