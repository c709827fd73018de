//! Objects of S3: that one was created, reading it a range or a line at a time, writing others.

mod created;
mod lines;
mod store;

pub use created::{ObjectCreated, ObjectVersion};
pub use lines::{Line, Lines, Position};
pub use store::Objects;
