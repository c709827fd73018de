//! What the local cloud must do as AWS does it, each test a behaviour that ministack alone lacks; see `shims/`.
//!
//! Functions are a few lines of Python that note what they were given in a file.

#[cfg(test)]
mod emulator {
    mod edge;
    mod http_api;
    mod invocation;
    mod lab;
    mod rules;
    mod sqs_mapping;
    mod stream_mapping;
    mod template;
}
