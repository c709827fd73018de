//! Writes a customer's activity feed, in the order in which things happened.
//!
//! Fed by the ordered queue, a group per customer: what led to an event is in the feed before it. The queue knows copies of
//! an event for five minutes, the feed's row for as long as it lives: its key is the event.

use eda::Failure;
use eda::ambient::Ambient;
use eda::aws::Aws;
use eda::batch::Consumer;
use eda::row::Table;
use eda::rows::Rows;
use eda::serve::{Function, StartError};
use envconfig::Envconfig;
use shop::KEEP_DAYS;
use shop::activity::{ActivityRow, OrderNews};

/// The table of the feeds.
#[derive(Clone, Debug, Envconfig)]
pub struct Config {
    /// One row per event, by customer.
    #[envconfig(from = "ACTIVITY_TABLE")]
    pub activity: Table<ActivityRow>,
}

/// Writes feeds.
pub struct RecordActivity {
    rows: Rows,
    ambient: Ambient,
    config: Config,
}

impl Function for RecordActivity {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    type Config = Config;

    async fn start(aws: &Aws, config: Config) -> Result<Self, StartError> {
        Ok(Self { rows: Rows::new(aws.dynamodb()), ambient: aws.ambient(), config })
    }
}

impl Consumer for RecordActivity {
    type Message = OrderNews;

    /// One conditional write. A copy that comes later finds the row and changes nothing.
    async fn consume(&self, news: OrderNews) -> Result<(), Failure> {
        let row = ActivityRow::of(&news, self.ambient.expires_in_days(KEEP_DAYS));
        self.rows.write(self.config.activity.put(&row)?.if_absent()).await.map(drop)
    }
}
