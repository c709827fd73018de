//! Windows of event time: facts are summed up by when they happened, whenever they arrive.
//!
//! Windows tumble: each begins where the one before it ends. A *watermark* says up to when all facts are believed to have
//! arrived; a window behind it is closed, once, and says what it holds. A fact that comes after that corrects its window, and
//! says by how much, as long as it is not later than the allowed *lateness*. Later still it changes no sum, is kept aside, and
//! is counted.
//!
//! Each fact counts once, however often it is delivered and by whichever shard: its own row, of its own id, is written in the
//! transaction that adds it to its window.

mod close;
mod fold;
mod policy;
mod progress;
mod read;
mod row;

pub use close::Closing;
pub use fold::{Absorbed, Fact, Folded, Series, Windows, WindowsConfig};
pub use policy::{Shard, WindowPolicy};
pub use progress::Progress;
pub use read::between;
pub use row::{FactRow, Measures, OPEN_INDEX, Totals, WindowRow, WindowState, day_of};
